//! The outcomes of the storm's requests.

use std::time::Duration;

use super::delivery::Delivery;
use super::ledger::Ledger;

/// Sums of all deliveries.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Which episodes the instance has to know of.
    pub(super) ledger: Ledger,
    /// Requests, each counted once.
    pub(super) posts: u64,
    /// Attempts after the first.
    pub(super) retries: u64,
    /// Alerts in those requests.
    pub(super) sent: u64,
    /// Alerts that the instance queued.
    pub(super) accepted: u64,
    /// Alerts that it could not use.
    pub(super) rejected: u64,
    /// The first failure.
    pub(super) failure: Option<String>,
    /// Whether it failed in a way that all others would.
    pub(super) is_refused: bool,
    /// How long it took from the first request to the last answer.
    pub(super) took: Duration,
    latencies: Vec<Duration>,
}

impl Tally {
    /// Adds one request and its answer.
    pub(super) fn add(&mut self, delivery: Delivery) {
        let alerts = delivery.episodes.len() as u64;
        self.posts += 1;
        self.sent += alerts;
        self.retries += u64::from(delivery.retries);
        self.latencies.extend(delivery.latencies);
        match delivery.answer {
            Ok(answer) => {
                self.accepted += answer.enqueued;
                self.rejected += answer.rejected;
                if answer.enqueued == alerts {
                    self.ledger.accepted(&delivery.episodes);
                } else {
                    self.ledger.unsure(&delivery.episodes);
                }
            }
            Err(error) => {
                self.ledger.unsure(&delivery.episodes);
                self.is_refused |= !error.is_passing();
                self.failure.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// Alerts that were neither accepted nor rejected.
    pub(super) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.accepted + self.rejected)
    }

    /// Alerts accepted a second.
    pub(super) fn rate(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// The time within which this share of the requests was answered.
    pub(super) fn latency(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        let found = sorted.get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1)));
        found.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::error::Error;
    use super::super::delivery::Answer;
    use super::*;

    fn delivery(answer: Result<Answer, Error>) -> Delivery {
        Delivery {
            episodes: vec![1, 2],
            answer,
            retries: 1,
            latencies: vec![Duration::from_millis(3)],
        }
    }

    #[test]
    fn an_unanswered_alert_is_lost_and_its_first_failure_is_reported() {
        let mut tally = Tally::default();
        let answer = Answer {
            enqueued: 1,
            rejected: 1,
        };
        tally.add(delivery(Ok(answer)));
        for why in ["first", "second"] {
            tally.add(delivery(Err(Error::Unanswered {
                base: "http://there".to_owned(),
                why: why.to_owned(),
            })));
        }
        assert_eq!((tally.posts, tally.retries, tally.sent), (3, 3, 6));
        assert_eq!((tally.accepted, tally.rejected, tally.lost()), (1, 1, 4));
        assert_eq!(
            tally.failure.as_deref(),
            Some("no response from http://there: first")
        );
        assert!(!tally.is_refused);
    }

    #[test]
    fn a_share_of_the_latencies_is_one_of_them() {
        let tally = Tally {
            latencies: (1..=200).rev().map(Duration::from_millis).collect(),
            ..Tally::default()
        };
        assert_eq!(tally.latency(0.5), Duration::from_millis(100));
        assert_eq!(tally.latency(0.99), Duration::from_millis(198));
        assert_eq!(tally.latency(1.0), Duration::from_millis(200));
        assert_eq!(Tally::default().latency(0.5), Duration::ZERO);
    }
}
