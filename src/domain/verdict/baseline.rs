//! The baseline: alarms end by themselves. How often an anomaly stayed quiet with nothing done is what an action
//! must do better than.
//!
//! It is counted by episodes, from quiet to quiet: thirty pods that fire and end together have ended once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Evidence, Tried, Verdict, blind, judge};
use crate::time::Timestamp;

/// How often an anomaly stayed quiet after an episode with nothing done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Episodes that ended without a repair, and after which it could be seen.
    pub episodes: i64,
    /// Those after whose end the anomaly stayed quiet for as long as after a repair.
    pub held: i64,
}

/// The baseline of an anomaly by its episodes that ended before `now` by the quiet time. One counts if no repair of
/// the anomaly was at work between its start and the end of the quiet time; its end is judged as a repair is that
/// finished then.
#[must_use]
pub fn baseline(now: Timestamp, quiet: Duration, seen: &Evidence<'_>) -> Baseline {
    let mut found = Baseline::default();
    for episode in episodes(seen) {
        let Some(ended) = episode.ended_at else {
            continue;
        };
        let until = ended.after(quiet);
        let is_treated =
            |repair: &Tried| repair.began_at <= until && repair.finished_at >= episode.began_at;
        if until > now
            || seen.repairs.iter().any(is_treated)
            || blind(seen.blind, ended, until).is_some()
        {
            continue;
        }
        let nothing = Tried {
            id: uuid::Uuid::nil(),
            began_at: ended,
            finished_at: ended,
        };
        let alone = Evidence {
            repairs: &[],
            ..*seen
        };
        match judge(&nothing, quiet, &alone).verdict() {
            Verdict::Verified => {
                found.episodes += 1;
                found.held += 1;
            }
            Verdict::Disproved => found.episodes += 1,
            Verdict::Superseded | Verdict::Unknown => {}
        }
    }
    found
}

/// The baseline for a quiet time, in milliseconds, of those that are kept by it; where none is, that which the most
/// is known of.
#[must_use]
pub fn for_quiet(kept: &BTreeMap<i64, Baseline>, quiet_ms: i64) -> (i64, Baseline) {
    let own = kept.get_key_value(&quiet_ms);
    let best = || kept.iter().max_by_key(|(_, baseline)| baseline.episodes);
    let found = own.or_else(best);
    found.map_or((quiet_ms, Baseline::default()), |(quiet, found)| {
        (*quiet, *found)
    })
}

/// Firings of which each began by the end of those before it.
struct Episode {
    began_at: Timestamp,
    /// None while one of them fires, or if it is not known when the last one ended.
    ended_at: Option<Timestamp>,
}

/// The episodes of an anomaly, the first one first.
fn episodes(seen: &Evidence<'_>) -> Vec<Episode> {
    let spans = seen.firings.iter().map(|firing| {
        let began = firing.starts_at.min(firing.received_at);
        // What was lost may have fired until it was given up.
        let over = match firing.is_lost {
            true => Some(seen.limits.unseen_at(&firing.heard)),
            false => firing.ended_at,
        };
        (
            began,
            over.unwrap_or(Timestamp(i64::MAX)),
            firing.ended_at.filter(|_| !firing.is_lost),
        )
    });
    let mut spans: Vec<_> = spans.collect();
    spans.sort_unstable();
    let mut found: Vec<Episode> = Vec::new();
    let mut last_over = None;
    for (began_at, over, ended_at) in spans {
        match found.last_mut().filter(|_| last_over >= Some(began_at)) {
            Some(episode) if last_over < Some(over) => episode.ended_at = ended_at,
            Some(_) => continue,
            None => found.push(Episode { began_at, ended_at }),
        }
        last_over = Some(over);
    }
    found
}
