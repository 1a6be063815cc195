//! Bars of days: drawn here, without script; each says in words what it shows, and a table has the figures.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::report::said::number;
use crate::report::{Day, Report};
use crate::text::words::{counted, moment};
use crate::text::{Text, fill};

/// The width and height of a plot, in its own units, without what is written above and below.
const WIDTH: i64 = 240;
const HEIGHT: i64 = 60;
/// So many bars have their counts above them, if each has no more characters than this.
const COUNTED: (usize, usize) = (8, 6);

/// One kind of figure, by day.
type Series<'a> = (String, Vec<i64>, &'a [Day]);

/// Alerts, occurrences, incidents and messages of each day, one plot below the other, and all as a table.
pub(super) fn days(text: &Text, report: &Report) -> Markup {
    let unit = fill(
        text.rp_occurrences,
        &[("counted", counted(text, report.unit))],
    );
    let of = |figure: fn(&Day) -> i64| report.days.iter().map(figure).collect::<Vec<i64>>();
    let series: [Series<'_>; 4] = [
        (
            text.rp_alerts.to_owned(),
            of(|day| day.alerts),
            &report.days,
        ),
        (unit, of(|day| day.occurrences), &report.days),
        (
            text.rp_incidents.to_owned(),
            of(|day| day.incidents),
            &report.days,
        ),
        (
            text.rp_messages.to_owned(),
            of(|day| day.messages),
            &report.days,
        ),
    ];
    let from = moment(report.from);
    html! {
        p.hint { (fill(text.rp_days_lead, &[("time", from.get(11..16).unwrap_or_default())])) }
        div.plots { @for series in &series { (plot(text, series)) } }
        details {
            summary { (text.heat_map_days) }
            div.wide tabindex="0" role="region" aria-label=(text.rp_days) { table {
                thead { tr {
                    th scope="col" { (text.rp_day) }
                    @for (name, ..) in &series { th.n scope="col" { (name) } }
                } }
                tbody { @for (n, day) in report.days.iter().enumerate() { tr {
                    th scope="row" { (moment(day.from)) }
                    @for (_, counts, _) in &series { td.n { (number(counts[n])) } }
                } } }
            } }
        }
    }
}

/// What a row of bars shows, in words.
fn says(text: &Text, what: &str, counts: &[i64], days: &[Day]) -> String {
    let most = counts.iter().zip(days).max_by_key(|(count, _)| **count);
    let Some((most, day)) = most.filter(|(most, _)| **most > 0) else {
        return fill(text.rp_chart_none, &[("what", what)]);
    };
    let (n, most) = (number(counts.iter().sum()), number(*most));
    let on = moment(day.from);
    let on = on.get(5..10).unwrap_or_default();
    let places = [("what", what), ("n", &*n), ("most", &*most), ("day", on)];
    fill(text.rp_chart_says, &places)
}

fn plot(text: &Text, (name, counts, days): &Series<'_>) -> Markup {
    let step = WIDTH / i64::try_from(counts.len()).unwrap_or(1).max(1);
    let says = says(text, name, counts, days);
    let every = counts.len().div_ceil(8).max(1);
    let (few, short) = COUNTED;
    let is_counted =
        counts.len() <= few && counts.iter().all(|count| number(*count).len() <= short);
    html! {
        figure.days {
            figcaption { (says) }
            svg viewBox="0 -14 240 88" role="img" aria-label=(says) {
                path.base d="M0 60h240" {}
                path d=(bars(counts, step, HEIGHT)) {}
                @if is_counted { @for (n, count) in counts.iter().enumerate() {
                    @let x = i64::try_from(n).unwrap_or(0) * step + (step - 2) / 2;
                    text x=(x) y=(HEIGHT - tall(*count, most(counts), HEIGHT) - 3) text-anchor="middle" { (number(*count)) }
                } }
                @for (n, day) in days.iter().enumerate().step_by(every) {
                    @let x = i64::try_from(n).unwrap_or(0) * step;
                    text x=(x) y="71" { (moment(day.from).get(5..10).unwrap_or_default()) }
                }
            }
        }
    }
}

/// The most of these, by which the others are drawn.
fn most(counts: &[i64]) -> i64 {
    counts.iter().copied().max().unwrap_or(0).max(1)
}

/// How tall the bar of a count is. What is there is seen, however little it is.
fn tall(count: i64, most: i64, height: i64) -> i64 {
    match count {
        0 => 0,
        _ => (count.saturating_mul(height) / most).max(2),
    }
}

/// The bars, as one path.
fn bars(counts: &[i64], step: i64, height: i64) -> String {
    let most = most(counts);
    let width = (step - 2).max(1);
    let mut path = String::new();
    for (n, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let tall = tall(*count, most, height);
        let (x, y) = (i64::try_from(n).unwrap_or(0) * step, height - tall);
        let _ = write!(path, "M{x} {y}h{width}v{tall}h-{width}z");
    }
    path
}

/// The days of one anomaly, small.
pub(super) fn spark(text: &Text, report: &Report, counts: &[i64]) -> Markup {
    let step = 96 / i64::try_from(counts.len()).unwrap_or(1).max(1);
    let what = counted(text, report.unit);
    html! {
        svg viewBox="0 0 96 20" role="img" aria-label=(says(text, what, counts, &report.days)) {
            path d=(bars(counts, step, 20)) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_tall_as_their_counts_and_the_least_is_seen() {
        assert_eq!(bars(&[0, 0], 10, 20), "");
        assert_eq!(
            bars(&[100, 1, 0, 50], 10, 20),
            "M0 0h8v20h-8zM10 18h8v2h-8zM30 10h8v10h-8z"
        );
    }
}
