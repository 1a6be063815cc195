//! What the servers of one cluster say, and what that means for a firing.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};
use tocsin::alertmanager;
use tocsin::context::Context;
use tocsin::domain::stale::SourceAnswer;
use tocsin::jobs::Content;
use tocsin::prometheus::{Answer, Labels, ask_all};
use tocsin::sources::cluster::with_cluster;
use tocsin::sources::{Delivery, prometheus as direct};
use tocsin::store::stale::StaleFiring;
use tocsin::time::Timestamp;

use super::super::together;

/// The sources by which alerts of a Prometheus come.
const WAYS: [&str; 2] = [direct::SOURCE.name, alertmanager::SOURCE];

/// What the servers of one cluster say.
pub(in crate::recount) struct Said {
    pub(super) cluster: Option<String>,
    pub(super) answers: Vec<Answer>,
    /// Whether what they do not have is gone: all of them answered, and have for long.
    is_believed: bool,
    /// The labels that may differ between what is sent and what they say.
    pub(super) changed: BTreeSet<String>,
    /// The fingerprints of what they have or had lately.
    has: HashSet<String>,
    by_name: ByName,
}

/// What every cluster's servers say. None of them is waited for alone.
pub(in crate::recount) async fn ask(
    context: &Context,
    (before, now): (Timestamp, Timestamp),
) -> Vec<Said> {
    let mut of: HashMap<Option<&str>, Said> = HashMap::new();
    let answers = ask_all(&context.prometheus, before, now).await;
    for (server, answer) in context.prometheus.iter().zip(answers) {
        let said = of.entry(server.cluster()).or_insert_with(|| Said {
            cluster: server.cluster().map(str::to_owned),
            answers: Vec::new(),
            is_believed: true,
            changed: BTreeSet::new(),
            has: HashSet::new(),
            by_name: ByName::default(),
        });
        said.changed.extend(server.changed().map(str::to_owned));
        match answer {
            Ok(answer) => {
                let is_steady = answer.steady_since.is_some_and(|since| since <= before);
                said.is_believed &= is_steady && answer.started_at <= before;
                said.answers.push(answer);
            }
            Err(error) => {
                said.is_believed = false;
                context.metrics.prometheus_errors.inc();
                tracing::warn!("cannot compare with what Prometheus has: {error}");
            }
        }
    }
    let mut all: Vec<Said> = of.into_values().collect();
    all.sort_unstable_by(|one, other| one.cluster.cmp(&other.cluster));
    for said in &mut all {
        said.translate(context);
    }
    all
}

impl Said {
    fn translate(&mut self, context: &Context) {
        let labels: Vec<&Labels> = self.labels().collect();
        let posted: Vec<Value> = labels
            .iter()
            .map(|labels| json!({"labels": labels}))
            .collect();
        let mut has = HashSet::with_capacity(posted.len());
        let mut is_read = true;
        for posted in posted.chunks(together(context)) {
            match translated(context, posted) {
                Some(contents) => has.extend(contents.into_iter().filter_map(fingerprint)),
                None => is_read = false,
            }
        }
        self.by_name = ByName::of(labels.into_iter().cloned());
        self.has = has;
        self.is_believed &= is_read;
    }

    /// What fires, is about to or fired lately, by its labels.
    fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.answers.iter().flat_map(|answer| {
            let firing = answer.firing.iter().map(|alert| &alert.labels);
            firing.chain(&answer.pending).chain(&answer.fired_since)
        })
    }

    /// Whether one of them has or had lately what has this fingerprint.
    pub(super) fn has(&self, fingerprint: &str) -> bool {
        self.has.contains(fingerprint)
    }

    /// Whether a firing may be of these servers: it came from them, or by their Alertmanager.
    pub(in crate::recount) fn may_send(&self, source: &str) -> bool {
        WAYS.iter()
            .any(|way| source == with_cluster(way, self.cluster.as_deref()))
    }

    /// What they say of a firing that they may have sent. Nothing of one that none of their rules makes: another sender
    /// has it.
    pub(in crate::recount) fn about(&self, firing: &StaleFiring) -> SourceAnswer {
        if self.has(&firing.fingerprint) {
            return SourceAnswer::Fires;
        }
        if !self.is_believed {
            return SourceAnswer::Unknown;
        }
        let labels = labels_of(firing);
        let rules = self.answers.iter().map(|answer| &answer.rules);
        let rules: Vec<bool> = rules
            .filter_map(|rules| rules.get(name_of(&labels)).copied())
            .collect();
        let is_doubtful = || self.by_name.has_differing(&labels, &self.changed);
        match rules.is_empty() {
            true => SourceAnswer::Nothing,
            false if rules.contains(&false) || is_doubtful() => SourceAnswer::Unknown,
            false => SourceAnswer::Gone,
        }
    }
}

/// These alerts as Prometheus posts them. `None` if they cannot be read.
pub(super) fn translated(context: &Context, posted: &[Value]) -> Option<Vec<Content>> {
    let body = Value::from(posted).to_string();
    let read = (direct::SOURCE.translate)(&Delivery::of(body), &context.config);
    match read {
        Ok(translated) => Some(translated.alerts),
        Err(error) => {
            tracing::warn!("cannot read what Prometheus has: {error}");
            None
        }
    }
}

fn fingerprint(content: Content) -> Option<String> {
    match content {
        Content::Alert(alert) => Some(alert.fingerprint),
        Content::Rejected { .. } => None,
    }
}

/// Alerts by their names.
#[derive(Default)]
pub(super) struct ByName(HashMap<String, Vec<Labels>>);

impl ByName {
    pub(super) fn of(all: impl Iterator<Item = Labels>) -> Self {
        let mut by_name: HashMap<String, Vec<Labels>> = HashMap::new();
        for labels in all {
            by_name
                .entry(name_of(&labels).to_owned())
                .or_default()
                .push(labels);
        }
        Self(by_name)
    }

    /// Whether one of them is this alert but for labels: the settings do not name what is added or dropped, or give it
    /// another value.
    pub(super) fn has_differing(&self, labels: &Labels, changed: &BTreeSet<String>) -> bool {
        let mut of_name = self.0.get(name_of(labels)).into_iter().flatten();
        of_name.any(|other| differ(other, labels, changed))
    }
}

pub(super) fn name_of(labels: &Labels) -> &str {
    labels.get("alertname").unwrap_or_default()
}

pub(super) fn labels_of(firing: &StaleFiring) -> Labels {
    let labels = firing.labels.as_object().into_iter().flatten();
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    labels.filter_map(text).collect()
}

/// Whether both are the same alert and have other labels: without those that are `changed` on the way, one has all that
/// the other has.
fn differ(one: &Labels, other: &Labels, changed: &BTreeSet<String>) -> bool {
    let has_all = |of: &Labels, in_it: &Labels| {
        of.iter()
            .filter(|(name, _)| !changed.contains(*name))
            .all(|(name, value)| in_it.get(name) == Some(value))
    };
    one != other && (has_all(one, other) || has_all(other, one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_differ_if_one_has_all_labels_of_the_other_and_more_or_another_cluster() {
        let labels = |of: &[(&str, &str)]| -> Labels {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            of.iter().map(owned).collect()
        };
        let changed = BTreeSet::from(["cluster".to_owned(), "replica".to_owned()]);
        let (a, b) = (("alertname", "A"), ("pod", "b"));
        let (c1, c2, replica) = (("cluster", "c1"), ("cluster", "c2"), ("replica", "x"));
        for (one, other, expected) in [
            (&[a, b][..], &[a, b][..], false),
            (&[a], &[a, b], true),
            (&[a, b], &[a], true),
            (&[a, b], &[a, ("pod", "c")], false),
            (&[a, b], &[a, ("job", "j"), ("team", "t")], false),
            (&[a, b, c1], &[a, b, c2], true),
            (&[a, b, c1], &[a, ("pod", "c"), c2], false),
            (&[a, b, c1], &[a, b, replica], true),
            (&[a, b, c1, ("more", "m")], &[a, b, c2], true),
        ] {
            let found = differ(&labels(one), &labels(other), &changed);
            assert_eq!(found, expected, "{one:?} {other:?}");
        }
    }
}
