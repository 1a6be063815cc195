//! The words for what is recommended, and why.

use std::time::Duration;

use super::{Lang, Text, fill, plural, words};
use crate::domain::frequency::figure;
use crate::domain::reason::{LevelRule, TierRule, restarts_figure};
use crate::domain::recommendation::{
    Alternative, FailedFix, Figures, FiguresOf, Recommendation, Rule, Tried, Usable, Why,
};

/// What is recommended by which rule, as it follows the action's name; without an action, a sentence of its own.
#[must_use]
pub fn because(text: &Text, found: &Recommendation) -> String {
    let figures = found.figures.as_ref();
    match found.rule {
        Rule::Held | Rule::InOrder => {
            let held = figures.map_or_else(|| text.rec_untried.to_owned(), |f| held(text, f));
            match (&found.playbook, found.rule) {
                (Some(name), Rule::InOrder) => {
                    fill(text.rec_in_order, &[("held", &held), ("name", name)])
                }
                _ => held,
            }
        }
        Rule::Wait => {
            let of = |figure: fn(&Figures) -> i64| figures.map_or(0, figure).to_string();
            let (held, n) = (of(|f| f.nothing_held), of(|f| f.nothing_episodes));
            fill(text.rec_wait, &[("held", &held), ("n", &n)])
        }
        Rule::NoneLeft => text.rec_none_left.to_owned(),
        Rule::NoneKnown => text.rec_none_known.to_owned(),
    }
}

/// How often an action held, and on what.
#[must_use]
pub fn held(text: &Text, figures: &Figures) -> String {
    let (held, n) = (figures.held.to_string(), figures.verdicts.to_string());
    let form = match figures.of {
        FiguresOf::Anomaly => text.rec_held,
        FiguresOf::AlertName => text.rec_held_wider,
    };
    let mut said = fill(form, &[("held", &held), ("n", &n)]);
    if figures.effective == Some(true) && figures.nothing_episodes > 0 {
        let (held, n) = (
            figures.nothing_held.to_string(),
            figures.nothing_episodes.to_string(),
        );
        said.push_str(&fill(text.rec_nothing, &[("held", &held), ("n", &n)]));
    }
    said
}

/// Why another action is not recommended, where that is so.
#[must_use]
pub fn why_not(text: &Text, other: &Alternative) -> Option<String> {
    match other.usable {
        Usable::Yes => None,
        Usable::NotYet => {
            let at = other.not_before.map(words::moment).unwrap_or_default();
            Some(fill(text.rec_not_yet, &[("time", &at)]))
        }
        Usable::Worse => Some(text.rec_worse.to_owned()),
        Usable::Stopped => {
            let streak = other.stopped?;
            let (n, at) = (
                plural(text.n_times, streak.in_a_row),
                words::moment(streak.last_at),
            );
            Some(fill(text.rec_stopped, &[("n", &n), ("time", &at)]))
        }
    }
}

/// Why it is this tier, in a few words; empty if there is nothing to say.
#[must_use]
pub fn why(text: &Text, why: &Why) -> String {
    let by_level = why.level.as_ref().map(|level| match level {
        LevelRule::Count(counted) => {
            let (n, window) = (figure(counted.figure), words::window(text, counted.window));
            fill(text.rec_count, &[("n", &n), ("window", window)])
        }
        LevelRule::Lasts(lasting) => fill(text.rec_lasts, &[("hours", &lasting.hours())]),
    });
    let by_restarts = match why.tier {
        Some(TierRule::Restarts { restarts }) => {
            let n = restarts_figure(restarts);
            Some(fill(text.rec_restarts, &[("n", &n)]))
        }
        _ => None,
    };
    let raised = why.raised_from.map(|tier| {
        let tier = tier.to_string();
        fill(text.rec_raised, &[("n", &tier)])
    });
    let parts = [
        why.fix.as_ref().map(|fix| failed_fix(text, fix)),
        by_level,
        by_restarts,
    ];
    let tried = why.tried.iter().map(|one| tried(text, one));
    let stopped = why.stopped.iter().map(|one| {
        let n = plural(text.n_times, one.in_a_row);
        fill(text.rec_is_stopped, &[("action", &one.action), ("n", &n)])
    });
    let parts = parts.into_iter().flatten().chain(tried);
    let parts = parts.chain(stopped).chain(raised);
    parts.collect::<Vec<_>>().join(text.semicolon)
}

/// Which fix did not hold, and after how long.
#[must_use]
pub fn failed_fix(text: &Text, fix: &FailedFix) -> String {
    let of = || words::moment(fix.fixed_at).chars().take(10).collect();
    let which = fix.reference.clone().unwrap_or_else(of);
    match fix.held_ms {
        Some(ms) => {
            let age = Duration::from_millis(ms.max(0).unsigned_abs());
            let age = Lang::of(text).age(age);
            fill(text.rec_fix_after, &[("which", &which), ("age", &age)])
        }
        None => fill(text.rec_fix, &[("which", &which)]),
    }
}

fn tried(text: &Text, one: &Tried) -> String {
    let said = match one.verdicts {
        0 => text.rec_tried_unjudged,
        _ => text.rec_tried,
    };
    let places = [
        ("action", &*one.action),
        ("tried", &*plural(text.n_times, one.attempts)),
        ("held", &*one.held.to_string()),
        ("verdicts", &*one.verdicts.to_string()),
    ];
    fill(said, &places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::frequency::Window;
    use crate::domain::level::Level;
    use crate::domain::reason::tests::count;
    use crate::domain::recommendation::StoppedAction;
    use crate::text::{EN, ZH_TW};
    use crate::time::Timestamp;

    fn tried_three_times() -> Tried {
        Tried {
            action: "restart".to_owned(),
            attempts: 3,
            held: 0,
            verdicts: 3,
        }
    }

    #[test]
    fn a_tier_says_why_in_a_few_words() {
        let why_level = Why {
            tier: Some(TierRule::Level {
                level: Level::PermanentFix,
            }),
            level: Some(LevelRule::Count(count(12, Window::Day, 10))),
            tried: vec![tried_three_times()],
            ..Why::default()
        };
        assert_eq!(
            why(&EN, &why_level),
            "12 in 24 h; restart tried 3 times, held 0 of 3"
        );
        assert_eq!(
            why(&ZH_TW, &why_level),
            "24 小時 12 次；restart 試過 3 次，3 次判定中有 0 次維持住"
        );
        let fix = FailedFix {
            reference: Some("PR-7".to_owned()),
            fixed_at: Timestamp(0),
            fired_at: Some(Timestamp(3 * 86_400_000)),
            held_ms: Some(3 * 86_400_000),
        };
        let why_fix = Why {
            tier: Some(TierRule::FixFailed),
            fix: Some(fix.clone()),
            ..Why::default()
        };
        assert_eq!(
            why(&EN, &why_fix),
            "permanent fix PR-7 did not hold: it fired again after 3 d"
        );
        assert_eq!(
            why(&ZH_TW, &why_fix),
            "根治「PR-7」沒有成功：3 天後再次觸發"
        );
        let unnamed = FailedFix {
            reference: None,
            held_ms: None,
            ..fix
        };
        let said = failed_fix(&EN, &unnamed);
        assert_eq!(said, "permanent fix 1970-01-01 did not hold");
        let risen = Why {
            tier: Some(TierRule::Default),
            raised_from: Some(1),
            ..Why::default()
        };
        assert_eq!(why(&EN, &risen), "tier 1 has no action to recommend");
        let stopped = Why {
            stopped: vec![StoppedAction {
                action: "rollback".to_owned(),
                in_a_row: 3,
                last_at: Timestamp(0),
            }],
            ..Why::default()
        };
        assert_eq!(
            why(&EN, &stopped),
            "rollback is stopped: it did not hold 3 times in a row"
        );
        assert_eq!(why(&ZH_TW, &stopped), "rollback 已停用：連續 3 次沒維持住");
        assert_eq!(why(&EN, &Why::default()), "");
    }

    #[test]
    fn a_recommendation_says_by_what_it_is_made() {
        let figures = |of, effective| Figures {
            of,
            held: 4,
            verdicts: 4,
            lower_bound: 0.51,
            effective,
            nothing_held: 1,
            nothing_episodes: 9,
        };
        let found = |rule, figures| Recommendation {
            action: Some("rollback".to_owned()),
            tier: 2,
            rule,
            playbook: Some("pods".to_owned()),
            figures,
            why: Why::default(),
            alternatives: Vec::new(),
        };
        let own = || Some(figures(FiguresOf::Anomaly, Some(true)));
        for (rule, figures, english, chinese) in [
            (
                Rule::Held,
                own(),
                "held 4 of 4 times (nothing done: 1 of 9)",
                "4 次中有 4 次維持住（不處理時：9 次中 1 次）",
            ),
            (
                Rule::InOrder,
                Some(figures(FiguresOf::AlertName, None)),
                "held 4 of 4 times on all anomalies with this alert name, since too little is known of this one; next in \
                 playbook pods",
                "此異常的判定次數太少；所有同名告警的異常：4 次中有 4 次維持住；依處置手冊 pods 的順序",
            ),
            (
                Rule::InOrder,
                None,
                "not judged yet; next in playbook pods",
                "尚無判定；依處置手冊 pods 的順序",
            ),
            (
                Rule::Wait,
                own(),
                "Wait: with nothing done it stayed quiet 1 of 9 times, and no action is known to do better.",
                "先觀察：不處理時 9 次中有 1 次自行平息，目前沒有已知更有效的動作。",
            ),
        ] {
            let found = found(rule, figures);
            assert_eq!(because(&EN, &found), english);
            assert_eq!(because(&ZH_TW, &found), chinese);
        }
    }
}
