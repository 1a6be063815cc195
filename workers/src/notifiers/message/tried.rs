//! A card's lines about repairs: how often actions held, or were reported to have helped, the last one, and the last
//! that held.

use std::cmp::Reverse;
use std::time::Duration;

use tocsin::domain::effectiveness::{RepairEntry, excerpt};
use tocsin::domain::verdict::Verdict;
use tocsin::text::{Lang, Text, fill, repairs};

use super::{NAME, known, pair};
use crate::notifiers::Card;
use crate::notifiers::markup::Line;

/// The longest note, in UTF-16 code units.
const NOTE: usize = 120;

/// How often actions held on the anomaly, the best first, as far as that is judged.
fn held(card: &Card, text: &Text) -> Option<String> {
    let tried = &card.recommendation.as_ref()?.why.tried;
    let mut judged: Vec<_> = tried.iter().filter(|one| one.verdicts > 0).collect();
    judged.sort_by_key(|one| (Reverse(one.held), one.verdicts));
    let named = judged.iter().filter_map(|one| {
        let action = known(&one.action, NAME)?;
        Some((action, one.held, one.verdicts))
    });
    let named: Vec<_> = named.collect();
    let said = named.iter().map(|(action, held, n)| (&**action, *held, *n));
    (!named.is_empty()).then(|| repairs::held(text, said))
}

/// Who did a repair, whether it held, how long that and the repair itself took, and the note.
fn told(line: Line, repair: &RepairEntry, text: &Text) -> Line {
    let who = repair.operator.as_deref().and_then(|who| known(who, NAME));
    let line = match who {
        Some(who) => line.text(format!(" {}", fill(text.by_person, &[("name", &who)]))),
        None => line,
    };
    let span = |form: &str, ms: Option<i64>| {
        let ms = ms.filter(|ms| *ms > 0)?;
        let age = Lang::of(text).age(Duration::from_millis(ms.unsigned_abs()));
        Some(fill(form, &[("age", &age)]))
    };
    let verdict = repair.verdict;
    let facts = [
        verdict.map(|verdict| repairs::verdict_word(text, verdict).to_owned()),
        span(text.quiet_after, repair.quiet_after_ms),
        span(text.took_age, repair.duration_ms),
    ];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    let line = match facts.is_empty() {
        true => line,
        false => line.text(format!(" ({})", facts.join(text.comma))),
    };
    let note = repair.note.as_deref();
    match note.and_then(|note| known(&excerpt(note, NOTE), NOTE)) {
        Some(note) => line.text(format!(" {}", fill(text.quoted, &[("said", &note)]))),
        None => line,
    }
}

/// How often actions held on the anomaly, and the last repair of it.
pub(super) fn repairs(card: &Card, text: &Text) -> Option<Line> {
    let stats = card.incident.repair_stats.as_ref()?;
    let (tried, helped) = (stats.total_attempts, stats.successful_attempts);
    if tried == 0 {
        return None;
    }
    let places = [
        ("helped", &*helped.to_string()),
        ("tried", &*tried.to_string()),
    ];
    let line = Line::new().text(match held(card, text) {
        Some(held) => pair(text, text.what_helped, &held),
        None => fill(text.msg_repairs, &places),
    });
    let last = stats.last_repair_action.as_deref();
    let Some(action) = last.and_then(|action| known(action, NAME)) else {
        return Some(line);
    };
    let line = line.dot().text(pair(text, text.last_time, "")).code(action);
    Some(match stats.repair_history.first() {
        Some(newest) => told(line, newest, text),
        None => line,
    })
}

/// The last repair that held, if it is not the last of all.
pub(super) fn held_last(card: &Card, text: &Text) -> Option<Line> {
    let history = &card.incident.repair_stats.as_ref()?.repair_history;
    let is_held = |repair: &RepairEntry| repair.verdict == Some(Verdict::Verified);
    let at = history.iter().position(is_held).filter(|at| *at > 0)?;
    let repair = history.get(at)?;
    let action = known(&repair.action, NAME)?;
    let line = Line::new().text(pair(text, text.held_last, ""));
    Some(told(line.code(action), repair, text))
}
