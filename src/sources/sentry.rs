//! Sentry: the webhook of an internal integration.
//!
//! They send `{action, installation, data, actor}`; the header `Sentry-Hook-Resource` says what it is about.
//! `event_alert` is an issue alert of which an event took the action: the event, with the number of its project and
//! the project's slug in its addresses only. `issue` is an issue that was created, resolved, unresolved, ignored
//! (archived), assigned. `activity_alert` is an alert that an issue's change of state took the action of, so that one
//! resolve may come as both. `metric_alert` is an alert for a metric: critical, warning, resolved. If the integration
//! has a client secret, `Sentry-Hook-Signature` is HMAC-SHA256 over the body, in hexadecimal. An answer that takes
//! longer than a second is a failure there, and of many failures Sentry unsubscribes; what failed is not sent again.
//!
//! We make one series of each issue, called `SentryIssue`, however Sentry reports it: its service is the project's
//! slug, its error type `metadata.type`. It fires from when it is created, unresolved, regressed or escalating, or
//! an event of it triggers an alert, until it is resolved or archived, and may fire again later. Whatever Sentry
//! reports while it fires is that firing: only a new issue and an event say when it began. A rule for a metric is a
//! series, too, by its name; its service is its project, if it has one project. Critical and warning are one firing
//! that changes its severity. `Request-ID` is another with each try, and says nothing.
//!
//! Resources and actions that are none of this are answered as all others are and counted as unused. So are comments:
//! what we comment (see `workers/src/notifiers/sentry.rs`) never comes back as an alert.

mod issue;
mod metric;
#[cfg(test)]
mod tests;

use std::time::Duration;

use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use super::text::Object;
use super::{
    Admission, Answer, Delivery, Refused, ReportedAlert, Source, Translated, Verb, canary,
};
use crate::config::Config;
use crate::domain::sentry;
use crate::jobs::Content;
use crate::time::Timestamp;

/// `POST /api/v1/sentry`
pub const SOURCE: Source = Source {
    name: sentry::SOURCE,
    sender: "Sentry",
    paths: &["/api/v1/sentry"],
    senders: None,
    methods: &[Verb::Post],
    schema,
    example: EXAMPLE,
    admission: |config, _| Admission::signed(&config.sources.sentry, SIGNATURE, ""),
    translate,
    looks_like,
    answer: Answer {
        within: Some(WITHIN),
        ..Answer::COUNTS
    },
    canary: canary::sentry,
};

/// The header that says what a body is about.
const RESOURCE: &str = "Sentry-Hook-Resource";
/// The header that it is signed in.
const SIGNATURE: &str = "Sentry-Hook-Signature";
/// What a body is about that is used.
const USED: [&str; 4] = ["event_alert", "issue", "activity_alert", "metric_alert"];
/// How long the queue is waited for: the whole answer is to take 200 ms at most, and half of that is for the rest of it.
const WITHIN: Duration = Duration::from_millis(100);

/// As an integration that subscribes to issues gets it.
const EXAMPLE: &str = r#"{"action":"created","installation":{"uuid":"6f1f0f3a-52a4-4d8c-9a5e-1f0b8c2d7e11"},
    "data":{"issue":{"id":"9000042","shortId":"CHECKOUT-2A","title":"PaymentDeclined: card issuer did not answer",
     "culprit":"checkout.pay in charge","level":"error","status":"unresolved","substatus":"new",
     "permalink":"https://sentry.example.com/organizations/acme/issues/9000042/",
     "project":{"id":"17","name":"checkout","slug":"checkout","platform":"python"},
     "metadata":{"type":"PaymentDeclined","value":"card issuer did not answer"},
     "count":"1","userCount":1,"firstSeen":"2026-11-20T07:12:03.120000Z"}},
    "actor":{"type":"application","id":"sentry","name":"Sentry"}}"#;

fn schema() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .description(Some(
            "The body of an internal integration's webhook. The header `Sentry-Hook-Resource` says what it is about; \
             `event_alert`, `issue`, `activity_alert` and `metric_alert` are used, others are counted and nothing else.",
        ))
        .into()
}

/// Whether it has the header, or what is in each body of theirs.
fn looks_like(delivery: &Delivery) -> bool {
    let installation = || {
        let envelope = Object::read(text_of(delivery))?;
        let installation = envelope.get("installation").and_then(Object::read)?;
        envelope.get("action").and(installation.get("uuid"))
    };
    !delivery.header(RESOURCE).is_empty() || installation().is_some()
}

fn text_of(delivery: &Delivery) -> &str {
    let text = std::str::from_utf8(&delivery.body);
    text.unwrap_or_default().trim()
}

/// What one body tells: an alert, or nothing that is used; or why that cannot be known.
type Parsed<'a> = Result<Option<ReportedAlert<'a>>, &'static str>;

fn translate(delivery: &Delivery, config: &Config) -> Result<Translated, Refused> {
    let body = text_of(delivery);
    let malformed = |why: &str| Refused::Malformed(why.to_owned());
    let envelope = Object::read(body).ok_or_else(|| malformed("the body is not a JSON object"))?;
    let action = envelope.text("action");
    let data = envelope.get("data").and_then(Object::read);
    let resource = match delivery.header(RESOURCE) {
        // A proxy may have taken it away.
        "" => match data.as_ref().filter(|_| !action.is_empty()) {
            Some(data) => resource_of(data),
            None => return Err(malformed("the header Sentry-Hook-Resource is missing")),
        },
        named => named,
    };
    let mut translated = Translated::default();
    let mut times = Times::default();
    let told = told(resource, &action, data.as_ref(), &mut times);
    match told {
        Ok(Some(alert)) => translated.alerts.push(alert.into_content(config, body)),
        Ok(None) => translated.unused = 1,
        Err(why) => translated.alerts.push(Content::rejected(why, body)),
    }
    translated.misdated = u64::from(times.is_one_unreadable);
    Ok(translated)
}

/// What data are about that nothing else says.
fn resource_of(data: &Object<'_>) -> &'static str {
    let has = |name| data.get(name).is_some();
    if has("metric_alert") {
        "metric_alert"
    } else if has("event") {
        "event_alert"
    } else if has("activity") {
        "activity_alert"
    } else if has("issue") {
        "issue"
    } else {
        ""
    }
}

fn told<'a>(
    resource: &str,
    action: &str,
    data: Option<&Object<'a>>,
    times: &mut Times,
) -> Parsed<'a> {
    if !USED.contains(&resource) {
        return Ok(None);
    }
    let data = data.ok_or("the body has no data")?;
    match resource {
        "event_alert" => issue::of_event(action, data, times),
        "issue" => issue::of_issue(action, data, times),
        "activity_alert" => issue::of_activity(data),
        _ => metric::of_metric(action, data, times),
    }
}

/// Reads times, and remembers whether one of them is none.
#[derive(Default)]
struct Times {
    is_one_unreadable: bool,
}

impl Times {
    fn read(&mut self, text: &str) -> Option<Timestamp> {
        let at = Timestamp::parse(text);
        self.is_one_unreadable |= at.is_none() && !text.is_empty();
        at
    }
}
