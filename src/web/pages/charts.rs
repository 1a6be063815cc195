//! Pictures of figures, drawn here: bars of a day, a heat map of a month, a line of depths. Each says
//! in words what it shows.

use std::collections::HashMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::parts;
use crate::domain::aggregation::Unit;
use crate::store::views::hourly_counts::Day;
use crate::text::{Text, fill, words};
use crate::time::Timestamp;

/// The last 24 hours as bars. The style sheet gives their size: a list has fifty of them.
pub(super) fn spark(text: &Text, day: &Day) -> Markup {
    const HEIGHT: i64 = 20;
    let most = day.iter().copied().max().unwrap_or(0);
    // One outline of all hours, as short as it can be said.
    let (mut outline, mut at) = (format!("M0 {HEIGHT}"), HEIGHT);
    for count in day {
        // What is there is seen, however little it is.
        let height = (count * HEIGHT).div_euclid(most.max(1));
        let top = HEIGHT - if *count > 0 { height.max(2) } else { 0 };
        if top != at {
            let _ = write!(outline, "V{top}");
            at = top;
        }
        outline.push_str("h4");
    }
    let _ = write!(outline, "V{HEIGHT}z");
    let total: i64 = day.iter().sum();
    let says = [("n", total.to_string()), ("most", most.to_string())];
    let says: Vec<(&str, &str)> = says.iter().map(|(k, v)| (*k, v.as_str())).collect();
    html! {
        svg viewBox="0 0 96 20" role="img"
            aria-label=(fill(text.last_24h_chart, &says)) {
            path d=(outline) {}
        }
    }
}

/// Days in a heat map.
pub(super) const DAYS: i64 = 30;
/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// Where a heat map that ends with today (UTC) begins.
pub(super) fn heat_from(now: Timestamp) -> Timestamp {
    Timestamp((now.0.div_euclid(DAY) - DAYS + 1) * DAY)
}

/// Thirty days, one column each, an hour one square; and the days as a table for who cannot see it. What is
/// counted is what `unit` says.
pub(super) fn heat_map(
    text: &Text,
    unit: Unit,
    hours: &HashMap<i64, i64>,
    now: Timestamp,
) -> Markup {
    let counted = words::counted(text, unit);
    let from = heat_from(now);
    let last_hour = (now.0 - from.0) / 3_600_000;
    let most = hours.values().copied().max().unwrap_or(0);
    let total: i64 = hours.values().sum();
    let mut paths: [String; 5] = Default::default();
    for hour in 0..=last_hour {
        let count = hours.get(&hour).copied().unwrap_or(0);
        let (x, y) = (hour / 24 * 10 + 30, hour % 24 * 6 + 12);
        let _ = write!(paths[shade(count, most)], "M{x} {y}h9v5h-9z");
    }
    let (n, most_text) = (total.to_string(), most.to_string());
    let says = fill(text.heat_map_says, &[("n", &n), ("most", &most_text)]);
    html! {
        figure.heat {
            svg viewBox="0 0 340 158" role="img" aria-label=(says) {
                @for hour in [0, 6, 12, 18] {
                    text x="26" y=(hour * 6 + 17) text-anchor="end" { (hour) "h" }
                }
                // Above the middle of their columns, today's last.
                @for day in (0..DAYS).rev().step_by(7) {
                    text x=(day * 10 + 34) y="8" text-anchor="middle" { (date(from, day)) }
                }
                @for (at, path) in paths.iter().enumerate() {
                    @if !path.is_empty() { path.(format!("h{at}")) d=(path) {} }
                }
            }
            figcaption {
                (says) " · " (fill(text.heat_map_legend, &[("counted", counted)])) " "
                svg.scale viewBox="0 0 50 8" role="img" aria-label=(text.heat_map_scale) {
                    @for at in 0..5 { path.(format!("h{at}")) d=(format!("M{} 0h9v8h-9z", at * 10)) {} }
                }
            }
        }
        details {
            summary { (text.heat_map_days) }
            (days(text, hours, from, last_hour))
        }
    }
}

/// The days that had any, newest first.
fn days(text: &Text, hours: &HashMap<i64, i64>, from: Timestamp, last_hour: i64) -> Markup {
    let of_day = |day: i64| -> i64 {
        let hours_of = day * 24..day * 24 + 24;
        hours_of.filter_map(|hour| hours.get(&hour)).sum()
    };
    html! {
        table {
            thead { tr { th scope="col" { (text.day) } th.n scope="col" { (text.count) } } }
            tbody {
                @for day in (0..=last_hour / 24).rev().filter(|day| of_day(*day) > 0) {
                    tr { td { (date(from, day)) } td.n { (of_day(day)) } }
                }
            }
        }
    }
}

/// Month and day.
fn date(from: Timestamp, day: i64) -> String {
    let text = Timestamp(from.0 + day * DAY).to_rfc3339();
    text.get(5..10).unwrap_or_default().to_owned()
}

/// From none (0) to the most (4).
fn shade(count: i64, most: i64) -> usize {
    if count == 0 {
        return 0;
    }
    let part = count as f64 / most.max(1) as f64;
    match part {
        ..0.25 => 1,
        0.25..0.5 => 2,
        0.5..0.75 => 3,
        _ => 4,
    }
}

/// A queue's depth over an hour that ends now.
pub(super) fn depth_line(
    text: &Text,
    queue: &str,
    looks: &[(Timestamp, u64)],
    now: Timestamp,
) -> Markup {
    const HOUR: i64 = 3_600_000;
    const WIDTH: i64 = 240;
    const HEIGHT: i64 = 36;
    let most = looks.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
    let scale = i64::try_from(most).unwrap_or(i64::MAX).max(1);
    let mut line = String::new();
    for (at, depth) in looks {
        let x = (WIDTH - now.0.saturating_sub(at.0).saturating_mul(WIDTH) / HOUR).clamp(0, WIDTH);
        let depth = i64::try_from(*depth).unwrap_or(i64::MAX);
        let y = HEIGHT - depth.saturating_mul(HEIGHT - 2) / scale;
        let _ = write!(line, "{}{x} {y}", if line.is_empty() { "M" } else { "L" });
    }
    let latest = looks.last().map_or(0, |(_, depth)| *depth).to_string();
    let most = most.to_string();
    let says = fill(
        text.depth_chart_says,
        &[("queue", queue), ("now", &latest), ("most", &most)],
    );
    html! {
        svg.depth viewBox="0 0 240 38" preserveAspectRatio="none" role="img" aria-label=(says) {
            path.base d="M0 37h240" {}
            path.line d=(line) {}
        }
    }
}

/// How something went compared with before: an arrow and words.
pub(super) fn trend(text: &Text, now: i64, before: i64) -> Markup {
    let (class, symbol, word) = if before == 0 {
        ("up", "✦", text.trend_new.to_owned())
    } else {
        let percent = (now - before) * 100 / before;
        let n = percent.abs().to_string();
        match percent {
            1.. => ("up", "↗", fill(text.trend_up, &[("n", &n)])),
            0 => ("same", "→", text.trend_same.to_owned()),
            _ => ("down", "↘", fill(text.trend_down, &[("n", &n)])),
        }
    };
    html! { span.trend.(class) { span aria-hidden="true" { (symbol) } " " (word) } }
}

/// A share as a bar with its figure.
pub(super) fn share(part: i64, whole: i64) -> Markup {
    let percent = if whole == 0 { 0 } else { part * 100 / whole };
    html! {
        svg.share viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            path.base d="M0 0h100v8h-100z" {}
            path d=(format!("M0 0h{percent}v8h-{percent}z")) {}
        }
        " " (percent) " %"
    }
}

/// Names and figures, one below the other.
pub(super) fn figures(rows: &[(String, String)]) -> Markup {
    html! { dl.facts { @for (name, value) in rows { (fact(name, &html! { span.n { (value) } })) } } }
}

/// A name and what it says, in a list of facts.
pub(super) fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// The time of a look, in words.
pub(super) fn since(text: &Text, at: Timestamp) -> Markup {
    parts::around(text.depth_since, "time", &parts::at(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_rise_with_the_count() {
        let shades = [0, 1, 2, 4, 6, 8].map(|count| shade(count, 8));
        assert_eq!(shades, [0, 1, 2, 3, 4, 4]);
        assert_eq!(shade(1, 1), 4);
    }

    #[test]
    fn a_heat_map_ends_with_today() {
        let now = Timestamp(1_795_382_909_102);
        let from = heat_from(now);
        assert_eq!(date(from, 0), "10-24");
        assert_eq!(date(from, DAYS - 1), "11-22");
    }
}
