//! SigNoz: the webhook of its alert manager, which is Alertmanager's, version 4.
//!
//! They send labels with dots (`service.name`, `k8s.namespace.name`), among them `ruleId`, `ruleSource`, and for each
//! threshold of a rule that is crossed an alert of its own: `threshold.name` says which, `severity` is that name in
//! lower case. The higher one silences the lower, so that getting worse is an alert that begins, and easing is
//! "critical is over, warning fires" in one body. A rule without data fires `[No data] NAME` with `nodata="true"` and
//! `lastSeen`, a time, and without the labels of what it queries. The test of a rule ends its name in `_TEST_ALERT`
//! and has `testalert="true"`; that of a channel is `Test Alert (CHANNEL)`, without a rule and without an address.
//!
//! We make one alert of all entries of a body that are of one series, and a series is called by its labels without
//! those that change while it fires: `threshold.name`, `severity`, `lastSeen`, and `ruleSource`, which is an address.
//! If any of them fires, it fires, with the highest severity that does; it is over when all are. An entry that says
//! nothing beside another counts as unused. A rule without data is an anomaly of its name with the error type
//! `no_data`; what service it is about is known from the rule's other alerts, see [`AlertRule`]. Tests are counted and
//! nothing else. `externalURL` names no cluster: rules of two installations have different ids.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::alertmanager::{self, Odd};
use super::text::Object;
use super::{
    Admission, Answer, Delivery, Refused, ReportedAlert, Source, Translated, Verb, canary, dialect,
};
use crate::config::Config;
use crate::domain::alert::{AlertRule, AlertStatus};
use crate::domain::severity;
use crate::jobs::Content;

/// `POST /api/v1/signoz`
pub const SOURCE: Source = Source {
    name: "signoz",
    sender: "SigNoz",
    paths: &["/api/v1/signoz"],
    senders: None,
    methods: &[Verb::Post],
    schema,
    example: EXAMPLE,
    admission: |config, _| Admission::by_token(&config.sources.signoz),
    translate: |delivery, config| translate(&delivery.body, config),
    looks_like,
    answer: Answer::COUNTS,
    canary: canary::signoz,
};

/// As SigNoz 0.138 sends it.
const EXAMPLE: &str = r#"{"receiver":"tocsin","status":"firing","alerts":[
    {"status":"firing","labels":{"alertname":"ServiceLatencyP99High","k8s.namespace.name":"shop",
     "reason":"LatencyP99","ruleId":"0197c9f2-3f5e-7a11-9c1e-2f7f5f0f4c55",
     "ruleSource":"http://signoz:8080/alerts/overview?ruleId=0197c9f2-3f5e-7a11-9c1e-2f7f5f0f4c55",
     "service.name":"checkout","severity":"critical","threshold.name":"critical"},
     "annotations":{"summary":"checkout is slow","related_traces":"http://signoz:8080/traces-explorer?x=1"},
     "startsAt":"2026-11-22T10:05:00Z","endsAt":"0001-01-01T00:00:00Z",
     "generatorURL":"http://signoz:8080/alerts/overview?ruleId=0197c9f2-3f5e-7a11-9c1e-2f7f5f0f4c55",
     "fingerprint":"5d1f0c9b7a3e2241"}],
    "groupLabels":{"ruleId":"0197c9f2-3f5e-7a11-9c1e-2f7f5f0f4c55","service.name":"checkout"},
    "externalURL":"http://signoz:8080","version":"4",
    "groupKey":"{__receiver__=\"tocsin\"}:{ruleId=\"0197c9f2-3f5e-7a11-9c1e-2f7f5f0f4c55\"}",
    "truncatedAlerts":0}"#;

/// What the name of a rule without data begins with.
const NO_DATA: &str = "[No data] ";
/// What the name of a rule that is tested ends with.
const RULE_TEST: &str = "_TEST_ALERT";
/// Labels that change while a series fires, or say nothing of what fires.
const NO_PART: [&str; 4] = ["lastSeen", "ruleSource", "severity", "threshold.name"];

fn schema() -> Schema {
    let alert = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(
            "As Alertmanager's, with the labels `ruleId`, `ruleSource`, `threshold.name`. Those of one body that \
             differ by threshold only are one alert.",
        ));
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .property("alerts", ArrayBuilder::new().items(alert))
        .required("alerts")
        .description(Some("The body of a SigNoz webhook channel."))
        .into()
}

/// Whether it has alerts of rules, or the test of a channel.
fn looks_like(delivery: &Delivery) -> bool {
    let listed = alertmanager::list(&delivery.body, &Config::default());
    listed.is_ok_and(|(_, entries)| {
        let mut entries = entries.iter().take(10);
        entries.any(|raw| {
            let alert = alertmanager::reported(raw.get(), &mut Odd::default());
            alert.is_ok_and(|alert| alert.label("ruleId").is_some() || is_test(&alert))
        })
    })
}

fn translate(body: &[u8], config: &Config) -> Result<Translated, Refused> {
    let (envelope, entries) = alertmanager::list(body, config)?;
    let mut read = Read::default();
    for raw in &entries {
        match alertmanager::reported(raw.get(), &mut read.odd) {
            Ok(alert) => read.add(alert, raw.get()),
            Err(reason) => read.rejected.push(Content::rejected(reason, raw.get())),
        }
    }
    let of_nobody = read.rules == 0 && read.tests == 0 && !read.series.is_empty();
    if of_nobody && is_whole(&envelope) {
        let why = "no alert has the label `ruleId`, which SigNoz gives to each";
        return Err(Refused::Malformed(why.to_owned()));
    }
    let folded = read.series.into_iter();
    let folded = folded.map(|(alert, raw)| alert.into_content(config, raw));
    Ok(Translated {
        alerts: folded.chain(read.rejected).collect(),
        tests: read.tests,
        unused: read.unused,
        truncated: alertmanager::truncated(&envelope),
        misdated: read.odd.misdated,
        unknown_status: read.odd.unknown_status,
        ..Translated::default()
    })
}

/// Whether an envelope is what an Alertmanager sends, and not one that a person wrote to try this out.
fn is_whole(envelope: &Object<'_>) -> bool {
    envelope.get("version").is_some() && envelope.get("groupKey").is_some()
}

/// What was in a body so far.
#[derive(Default)]
struct Read<'a> {
    /// One alert of each series, in the order in which they first came, and how the first was sent.
    series: Vec<(ReportedAlert<'a>, &'a str)>,
    /// Where in that list a series is, by its fingerprint and what it is called.
    places: BTreeMap<String, usize>,
    rejected: Vec<Content>,
    /// How many have a rule.
    rules: u64,
    tests: u64,
    unused: u64,
    odd: Odd,
}

impl<'a> Read<'a> {
    fn add(&mut self, mut alert: ReportedAlert<'a>, raw: &'a str) {
        if is_test(&alert) {
            self.tests += 1;
            return;
        }
        self.rules += u64::from(alert.label("ruleId").is_some());
        make_one_of_rule(&mut alert);
        match self.places.get(&*alert.fingerprint) {
            Some(place) => {
                self.unused += 1;
                fold(&mut self.series[*place].0, alert);
            }
            None => {
                let fingerprint = alert.fingerprint.clone().into_owned();
                self.places.insert(fingerprint, self.series.len());
                self.series.push((alert, raw));
            }
        }
    }
}

/// Whether it only tries a rule or a channel.
fn is_test(alert: &ReportedAlert<'_>) -> bool {
    let name = alert.label("alertname").unwrap_or_default();
    let is_of_rule = alert.label("testalert") == Some("true") || name.ends_with(RULE_TEST);
    is_of_rule || dialect::tries_channel(&alert.labels, &alert.url)
}

/// Has an alert be one of its rule: by the rule's name, of the series that its thresholds share.
fn make_one_of_rule(alert: &mut ReportedAlert<'_>) {
    let name = alert.label("alertname").unwrap_or_default();
    let has_no_data = alert.label("nodata") == Some("true") || name.starts_with(NO_DATA);
    if has_no_data {
        let rule = name.strip_prefix(NO_DATA).unwrap_or(name).to_owned();
        alert.set_label("alertname", rule);
        alert.set_label("error_type", "no_data");
        alert.read_from.error_type = "error_type";
    }
    // Templates of SigNoz's own messages.
    alert.annotations.retain(|(name, _)| !name.starts_with('_'));
    alert.rule = Some(AlertRule {
        id: alert.label("ruleId").unwrap_or_default().to_owned(),
        has_no_data,
        shares_series: true,
    });
    alert.series_without(&NO_PART);
}

/// Makes one of two alerts of a series: of those that fire the most severe; it began with the first of them. Where
/// none fires, it was over with the last.
fn fold<'a>(kept: &mut ReportedAlert<'a>, other: ReportedAlert<'a>) {
    let severity =
        |alert: &ReportedAlert<'_>| severity::order(alert.label("severity").unwrap_or_default());
    let is_firing = |alert: &ReportedAlert<'_>| alert.status == AlertStatus::Firing;
    let (kept_fires, other_fires) = (is_firing(kept), is_firing(&other));
    if kept_fires != other_fires {
        if other_fires {
            *kept = other;
        }
        return;
    }
    let starts_at = kept.starts_at.into_iter().chain(other.starts_at).min();
    let ends_at = kept.ends_at.zip(other.ends_at).map(|(a, b)| a.max(b));
    if severity(&other) > severity(kept) {
        *kept = other;
    }
    (kept.starts_at, kept.ends_at) = (starts_at, ends_at);
}

#[cfg(test)]
mod tests;
