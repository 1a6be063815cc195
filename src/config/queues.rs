//! Settings of queues. The defaults are in the payloads' files in `jobs/`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Config, Span};
// Whatever the rows name.
use crate::jobs::*;

/// The highest concurrency and the most attempts. More is a typing error, and would overload the process.
const MOST: (usize, u32) = (100_000, 1000);
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
const LONGEST_BACKOFF: Duration = Duration::from_secs(24 * 3600);

/// Makes a section of each row of [`crate::queues`].
macro_rules! sections {
    ($($(#[$doc:meta])* $queue:ident: $job:ty,)*) => {
        /// How each queue's jobs are run.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct QueuePolicies {
            $($(#[$doc])* pub $queue: QueuePolicy,)*
        }

        impl Default for QueuePolicies {
            fn default() -> Self {
                Self {
                    $($queue: <$job>::POLICY.into(),)*
                }
            }
        }

        impl QueuePolicies {
            const fn each(&self) -> [(&'static str, QueuePolicy); QUEUES.len()] {
                [$((stringify!($queue), self.$queue)),*]
            }
        }
    };
}

crate::queues!(sections);

/// How one queue's jobs are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueuePolicy {
    /// Jobs that one process runs at once.
    pub concurrency: usize,
    /// Failed attempts until a job is a dead letter.
    pub attempts: u32,
    /// The delay before the second attempt; doubled for each that follows.
    pub backoff: Span,
    /// The longest delay between two attempts.
    pub max_backoff: Span,
    /// How long one attempt may take.
    pub timeout: Span,
}

impl From<Policy> for QueuePolicy {
    fn from(policy: Policy) -> Self {
        Self {
            concurrency: policy.concurrency,
            attempts: policy.attempts,
            backoff: Span(policy.backoff),
            max_backoff: Span(policy.max_backoff),
            timeout: Span(policy.timeout),
        }
    }
}

impl Config {
    /// How jobs of this kind are run.
    #[must_use]
    pub fn policy<J: Job>(&self) -> Policy {
        let queue = J::POLICY.queue;
        let set = self
            .queues
            .each()
            .into_iter()
            .find(|(name, _)| *name == queue);
        set.map_or(J::POLICY, |(_, set)| Policy {
            queue,
            concurrency: set.concurrency,
            in_flight_bytes: self.queue.in_flight_bytes,
            attempts: set.attempts,
            backoff: set.backoff.0,
            max_backoff: set.max_backoff.0,
            timeout: set.timeout.0,
        })
    }
}

impl QueuePolicies {
    /// What is wrong with them, by the setting's name.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, policy) in self.each() {
            policy
                .check()
                .map_err(|(setting, wrong)| format!("queues.{name}.{setting} {wrong}"))?;
        }
        if self.notify.timeout.0 < Notify::LEAST {
            let least = Notify::LEAST;
            return Err(format!("queues.notify.timeout must be at least {least:?}"));
        }
        Ok(())
    }
}

impl QueuePolicy {
    fn check(&self) -> Result<(), (&'static str, String)> {
        let within = |value: usize, most: usize| {
            let wrong = format!("must be from 1 to {most}");
            if (1..=most).contains(&value) {
                Ok(())
            } else {
                Err(wrong)
            }
        };
        within(self.concurrency, MOST.0).map_err(|wrong| ("concurrency", wrong))?;
        within(self.attempts as usize, MOST.1 as usize).map_err(|wrong| ("attempts", wrong))?;
        if self.backoff.0.is_zero() {
            return Err(("backoff", "must not be zero".to_owned()));
        }
        if self.backoff.0 > self.max_backoff.0 {
            return Err(("backoff", "must not be longer than max_backoff".to_owned()));
        }
        if self.max_backoff.0 > LONGEST_BACKOFF {
            return Err(("max_backoff", "must be at most 1d".to_owned()));
        }
        if !(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&self.timeout.0) {
            return Err(("timeout", "must be from 1s to 1h".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load;

    #[test]
    fn every_queue_has_its_policy_until_it_is_set_otherwise() {
        let config = load("", &[]).unwrap();
        assert_eq!(
            config.queues.each().map(|(name, _)| name),
            crate::jobs::QUEUES
        );
        for (policy, default) in [
            (config.policy::<IngestAlert>(), IngestAlert::POLICY),
            (config.policy::<CalculateTier>(), CalculateTier::POLICY),
            (config.policy::<Notify>(), Notify::POLICY),
            (config.policy::<Analyze>(), Analyze::POLICY),
            (config.policy::<RecordRepair>(), RecordRepair::POLICY),
            (config.policy::<Recount>(), Recount::POLICY),
        ] {
            assert_eq!(policy, default);
        }

        let config = load(
            "[queues.ingest]\nconcurrency = 500\ntimeout = \"90s\"\n[queues.notify]\nattempts = 3",
            &[
                ("TOCSIN_QUEUES__INGEST__CONCURRENCY", "50"),
                ("TOCSIN_QUEUES__NOTIFY__BACKOFF", "2s"),
            ],
        );
        let config = config.unwrap();
        let expected = Policy {
            concurrency: 50,
            timeout: Duration::from_secs(90),
            ..IngestAlert::POLICY
        };
        assert_eq!(config.policy::<IngestAlert>(), expected);
        let expected = Policy {
            attempts: 3,
            backoff: Duration::from_secs(2),
            ..Notify::POLICY
        };
        assert_eq!(config.policy::<Notify>(), expected);
        assert_eq!(config.policy::<CalculateTier>(), CalculateTier::POLICY);
        let shown = toml::to_string(&config).unwrap();
        let ingest = "[queues.ingest]\nconcurrency = 50\nattempts = 10\nbackoff = \"1s\"\n\
                      max_backoff = \"5m\"\ntimeout = \"90s\"\n";
        assert!(shown.contains(ingest), "{shown}");
    }

    #[test]
    fn an_invalid_queue_policy_is_refused_by_name() {
        for (variable, value, message) in [
            ("INGEST__CONCURRENCY", "0", "queues.ingest.concurrency"),
            ("INGEST__CONCURRENCY", "100001", "queues.ingest.concurrency"),
            ("TIER__ATTEMPTS", "0", "queues.tier.attempts"),
            ("NOTIFY__ATTEMPTS", "1001", "queues.notify.attempts"),
            ("NOTIFY__BACKOFF", "0s", "queues.notify.backoff"),
            ("REPAIR__BACKOFF", "6m", "queues.repair.backoff"),
            ("REPAIR__MAX_BACKOFF", "25h", "queues.repair.max_backoff"),
            ("RECOUNT__TIMEOUT", "999ms", "queues.recount.timeout"),
            ("RECOUNT__TIMEOUT", "2h", "queues.recount.timeout"),
            ("NOTIFY__TIMEOUT", "44s", "queues.notify.timeout"),
            (
                "RECOUNT__TIMEOUT",
                "long",
                "TOCSIN_QUEUES__RECOUNT__TIMEOUT",
            ),
            ("INGEST__RETRIES", "5", "TOCSIN_QUEUES__INGEST__RETRIES"),
            ("MAIL__ATTEMPTS", "5", "TOCSIN_QUEUES__MAIL"),
            ("INGEST", "5", "TOCSIN_QUEUES__INGEST"),
        ] {
            let variable = format!("TOCSIN_QUEUES__{variable}");
            let refused = load("", &[(&variable, value)]).unwrap_err().to_string();
            assert!(refused.contains(message), "{variable}={value}: {refused}");
        }
        let refused = load("[queues.mail]\nattempts = 5", &[]).unwrap_err();
        assert!(refused.to_string().contains("mail"), "{refused}");
    }
}
