//! Accounting: what this process received, what came of it, and whether that is all of it.

use maud::{Markup, html};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::{Pages, charts};
use crate::domain::canary;
use crate::jobs::{IngestAlert, Job as _};
use crate::queue::about::{self, WorkerInfo, WorkerStatus};
use crate::queue::store::{LEASE, QueueError};
use crate::sources::SOURCES;
use crate::telemetry::metrics::{BySource, Outcome};
use crate::text::{Text, plural};

/// A worker without a heartbeat for a lease counts as dead.
const LIVE_MS: u64 = LEASE.as_millis() as u64;

/// Whether received alerts and outcomes agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Balance {
    /// It is, with what still waits.
    Even,
    /// This many alerts have no outcome.
    Missing(u64),
    /// This many outcomes more than received alerts.
    Over(u64),
    /// The figures changed while they were read.
    UnderWay,
    /// Other processes enter alerts, too, or this one enters none.
    Shared,
}

/// `received` is the received alerts and their outcomes, before and after `waiting` was read.
fn balanced(received: [(u64, u64); 2], waiting: u64, in_flight: u64) -> Balance {
    let [before, (received, outcomes)] = received;
    let accounted = outcomes + waiting;
    if accounted == received {
        Balance::Even
    } else if before != (received, outcomes) || in_flight > 0 {
        Balance::UnderWay
    } else if accounted < received {
        Balance::Missing(received - accounted)
    } else {
        Balance::Over(accounted - received)
    }
}

/// Asks who enters alerts, and what still waits.
pub(super) async fn balance(pages: &Pages) -> Result<Balance, QueueError> {
    let (context, ingest) = (&pages.context, IngestAlert::POLICY.queue);
    let store = context.queues.store();
    let workers = store.consumers(ingest).await?;
    let (host, pid) = (about::host(), std::process::id());
    let is_live = |worker: &&WorkerStatus| worker.seen_ms_ago < LIVE_MS;
    let mut live = workers.iter().filter(is_live).map(|worker| &worker.about);
    let is_ours = |about: &WorkerInfo| about.host == host && about.pid == pid;
    if workers.iter().all(|worker| worker.seen_ms_ago >= LIVE_MS) || !live.all(is_ours) {
        return Ok(Balance::Shared);
    }
    let figures = || {
        let m = &context.metrics;
        let outcomes = Outcome::ALL.iter().map(|outcome| m.alerts.total(*outcome));
        (of_sources(&m.received), outcomes.sum())
    };
    let before = figures();
    let depth = store.depth(ingest).await?;
    let waiting = depth.ready + depth.delayed + depth.in_flight;
    Ok(balanced([before, figures()], waiting, depth.in_flight))
}

fn of_sources(family: &Family<BySource, Counter>) -> u64 {
    let of = |source| family.get_or_create(&BySource { source }).get();
    let sources = SOURCES.iter().map(|source| source.name);
    sources.chain([canary::SOURCE]).map(of).sum()
}

/// What came in, what came of it, and whether these are the same.
pub(super) fn accounting(text: &Text, pages: &Pages, balance: Option<Balance>) -> Markup {
    let m = &pages.context.metrics;
    let outcomes: u64 = Outcome::ALL.iter().map(|o| m.alerts.total(*o)).sum();
    // A process that counts no alerts does not know their outcomes, which is not the same as none.
    let of_ingress = Outcome::OF_INGRESS.iter().map(|o| m.alerts.total(*o));
    let counts = outcomes > of_ingress.sum() || !matches!(balance, None | Some(Balance::Shared));
    let came_to = |outcome| counts.then(|| m.alerts.total(outcome));
    let rows = [
        (text.acc_accepted, Some(of_sources(&m.received))),
        (text.acc_new, came_to(Outcome::Counted)),
        (text.acc_resent, came_to(Outcome::Resent)),
        (text.acc_ignored, came_to(Outcome::Ignored)),
        (text.acc_rejected, came_to(Outcome::Rejected)),
        (text.acc_buried, came_to(Outcome::Dead)),
        (text.acc_tests, came_to(Outcome::Test)),
        (text.acc_unused, came_to(Outcome::Unused)),
        (text.acc_sum, counts.then_some(outcomes)),
        (text.acc_truncated, Some(of_sources(&m.truncated))),
    ];
    let figure = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    html! {
        (charts::figures(&rows.map(|(name, n)| (name.to_owned(), figure(n)))))
        @match balance {
            None => p.hint { (text.acc_unknown) },
            Some(Balance::Even) => p.good { span aria-hidden="true" { "✓ " } (text.acc_even) },
            Some(Balance::Missing(n)) => p.warn { span aria-hidden="true" { "⚠ " }
                (plural(text.acc_missing, i64::try_from(n).unwrap_or(i64::MAX))) },
            Some(Balance::Over(n)) => p.hint {
                (plural(text.acc_over, i64::try_from(n).unwrap_or(i64::MAX))) },
            Some(Balance::UnderWay) => p.hint { (text.acc_under_way) },
            Some(Balance::Shared) => p.hint { (text.acc_shared) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_alerts_are_compared_with_their_outcomes() {
        let table = [
            ([(9, 9), (9, 9)], 0, 0, Balance::Even),
            ([(9, 5), (9, 5)], 4, 0, Balance::Even),
            ([(9, 5), (9, 5)], 3, 0, Balance::Missing(1)),
            ([(9, 9), (9, 9)], 2, 0, Balance::Over(2)),
            ([(9, 5), (9, 6)], 4, 0, Balance::UnderWay),
            ([(9, 5), (9, 5)], 3, 3, Balance::UnderWay),
        ];
        for (received, waiting, in_flight, expected) in table {
            let found = balanced(received, waiting, in_flight);
            assert_eq!(found, expected, "{received:?} {waiting}");
        }
    }
}
