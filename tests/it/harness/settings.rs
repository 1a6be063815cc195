//! Settings that many tests share.

use std::time::Duration;

use tocsin::config::{Span, TelegramSettings};
use tocsin::domain::escalation::{Level, Rule};
use tocsin::domain::frequency::Window;

/// Levels by counts alone, however few incidents these lie in.
pub fn levels_by_counts() -> Vec<Rule> {
    let rules = [
        (Level::Repeat, Window::Hour, 3),
        (Level::Escalate, Window::Day, 5),
        (Level::PermanentFix, Window::Day, 10),
    ];
    let rule = |(level, window, count)| Rule {
        level,
        window,
        count,
        incidents: 1,
    };
    rules.map(rule).to_vec()
}

/// The same, for a process.
pub const LEVELS_BY_COUNTS: (&str, &str) = (
    "TOCSIN_ESCALATION__RULES",
    r#"[{level="REPEAT",window="1h",count=3},{level="ESCALATE",window="24h",count=5},{level="PERMANENT_FIX",window="24h",count=10}]"#,
);

/// Telegram without limits: tests that are not about them are not to be paced, their cards are
/// edited at once, and each incident has its own.
pub fn at_once() -> TelegramSettings {
    TelegramSettings {
        fold: Span(Duration::ZERO),
        again: Span(Duration::ZERO),
        storm_above: 1_000_000,
        chat_per_second: 1_000_000,
        group_per_minute: 1_000_000,
        bot_per_second: 1_000_000,
        ..TelegramSettings::default()
    }
}
