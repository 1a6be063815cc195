//! Every alert is accounted for: it has one outcome, figures are what the rows say, and what
//! became of it can be shown.

mod given_up;
mod lost;
mod outcomes;
mod pruned;
mod trace;
mod unlocked;
mod verify;

use crate::harness::{Harness, On};

impl Harness {
    /// The sum of a metric over the labels that contain all of `labels`.
    async fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let metrics = self.metrics().await;
        let of_it = metrics.lines().filter_map(|line| line.strip_prefix(name));
        of_it
            .filter(|rest| rest.starts_with(['{', ' ']))
            .filter(|rest| labels.iter().all(|label| rest.contains(label)))
            .map(|rest| rest.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Has the database refuse rows of this fingerprint, as data that does not fit.
    async fn refuse(&self, on: On, fingerprint: &str) {
        let sql = match on {
            On::Sqlite => format!(
                "CREATE TRIGGER refuse BEFORE INSERT ON occurrences \
                 WHEN NEW.fingerprint = '{fingerprint}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
            ),
            On::Postgres | On::Fleet => format!(
                "ALTER TABLE occurrences ADD CONSTRAINT refuse CHECK (fingerprint <> '{fingerprint}')"
            ),
        };
        self.execute(&sql).await;
    }
}
