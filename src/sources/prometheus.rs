//! Prometheus itself, by what it speaks to Alertmanagers (`/api/v2/alerts`): another entry under
//! `alerting.alertmanagers`, beside Alertmanager or in its place. So Tocsin sees what grouping hides.
//!
//! They send a list of alerts without status and fingerprint. One that fires ends in the future: that is its
//! lease, four times the longer of the rule's interval and `--rules.alert.resend-delay`, which is how often they
//! send it again. One that is over ended in the past; that is sent again as often, for 15 minutes. When Prometheus
//! stops, nothing comes. They read nothing of the answer but whether it is 2xx, and try nothing again.
//!
//! We make one alert of each, as Alertmanager does: it fires if its end is later than its receipt, or for
//! [`lease::USUAL`] if it has none. Which of both holds is read off our clock, so one that is ahead of the sender's by
//! a lease (four minutes, by default) would take what fires for what is over, and one that is behind learns of an end
//! later by as much. Their fingerprint follows from the labels, external ones included, and is the one that
//! Alertmanager gives it. What cannot be used is kept as elsewhere, and answered with 400 as Alertmanager does; the
//! others are taken.
//!
//! An address of Prometheus' configuration has no query, so the cluster is named in its path:
//! `path_prefix: /api/v1/prometheus/eu`.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType};

use super::alertmanager::{Odd, alert, entry};
use super::plain::{Entry, Object};
use super::reported::ReportedAlert;
use super::{
    Admission, Answer, Delivery, Refused, Source, Translated, Verb, WebhookAnswer, canary, cluster,
};
use crate::config::Config;
use crate::domain::alert::AlertStatus;
use crate::domain::lease;
use crate::jobs::Content;
use crate::time::{Timestamp, millis};

/// What Prometheus 1 and 2 spoke, and Alertmanager 0.27 does not take any more.
pub(crate) const VERSION_1: &str = "/api/v1/alerts";

/// `POST /api/v2/alerts`
pub const SOURCE: Source = Source {
    name: "prometheus",
    sender: "Prometheus",
    paths: &[
        "/api/v2/alerts",
        "/api/v1/prometheus/{name}/api/v2/alerts",
        VERSION_1,
    ],
    senders: None,
    methods: &[Verb::Post],
    schema,
    example: EXAMPLE,
    admission: |config, _| Admission::by_token(&config.sources.prometheus),
    translate,
    looks_like,
    answer: Answer {
        give: answer,
        has_counts: false,
        ..Answer::COUNTS
    },
    canary: canary::prometheus,
};

/// Recorded from Prometheus 2.42: it fires.
const EXAMPLE: &str = r#"[{"annotations":{"summary":"v 18.592"},
    "endsAt":"2026-11-22T21:32:29.632Z","startsAt":"2026-11-22T21:28:29.632Z",
    "generatorURL":"http://prom:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
    "labels":{"alertname":"InstanceDown","cluster":"c1","instance":"10.0.0.2:9100","job":"node",
     "severity":"warning"}}]"#;

fn schema() -> Schema {
    let alert = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(
            "An object with `labels`, of which one is `alertname`; and `annotations`, `startsAt`, `endsAt` and \
             `generatorURL`, if known. It fires until `endsAt`, or for five minutes without one; if that is past, it \
             is resolved. An invalid alert is rejected without the others.",
        ));
    ArrayBuilder::new()
        .items(alert)
        .description(Some("What Prometheus posts to an Alertmanager."))
        .into()
}

/// As Alertmanager answers: nothing, or that something was wrong with some of them.
fn answer(taken: &WebhookAnswer) -> Response {
    match taken.rejected {
        0 => StatusCode::OK.into_response(),
        rejected => {
            let why = format!(
                "{rejected} of {} alerts cannot be used and are kept as a dead letter; the others were taken",
                taken.processed
            );
            (StatusCode::BAD_REQUEST, Json(why)).into_response()
        }
    }
}

fn translate(delivery: &Delivery, config: &Config) -> Result<Translated, Refused> {
    if delivery.path == VERSION_1 {
        let what = "this version is not served any more: set api_version to v2 in Prometheus' alertmanagers, or \
                    leave it out, so that it posts to /api/v2/alerts";
        return Err(Refused::Gone(what.to_owned()));
    }
    let mut odd = Odd::default();
    let at = delivery.received_at;
    let alerts = match plain(&delivery.body, config, at, &mut odd) {
        Some(alerts) => alerts,
        None => {
            odd = Odd::default();
            each(&delivery.body, config, at, &mut odd)?
        }
    };
    Ok(Translated {
        alerts,
        misdated: odd.misdated,
        cluster: cluster::named(&delivery.name),
        ..Translated::default()
    })
}

/// The alerts of a list in which every value is what it should be.
fn plain(body: &[u8], config: &Config, at: Timestamp, odd: &mut Odd) -> Option<Vec<Content>> {
    let entries: Vec<Object<Entry<'_>>> = serde_json::from_slice(body).ok()?;
    if entries.len() > config.limits.alerts {
        return None;
    }
    let alerts = entries.into_iter().map(|Object(entry)| {
        let alert = reported(entry, at, odd).into_alert(config);
        alert.map(Content::Alert)
    });
    alerts.collect::<Result<_, _>>().ok()
}

/// The alerts of any list, as far as they can be used.
fn each(
    body: &[u8],
    config: &Config,
    at: Timestamp,
    odd: &mut Odd,
) -> Result<Vec<Content>, Refused> {
    let entries = read(body).ok_or_else(|| {
        Refused::Malformed(
            "the body is not a JSON list of alerts, as Prometheus sends it".to_owned(),
        )
    })?;
    let most = config.limits.alerts;
    if entries.len() > most {
        return Err(Refused::TooMany {
            count: entries.len(),
            most,
        });
    }
    let content = |raw: &RawValue| match entry(raw.get()) {
        Ok(entry) => reported(entry, at, odd).into_content(config, raw.get()),
        Err(reason) => Content::rejected(reason, raw.get()),
    };
    Ok(entries.into_iter().map(content).collect())
}

/// Whether it is a list of alerts.
fn looks_like(delivery: &Delivery) -> bool {
    let entries = read(&delivery.body).unwrap_or_default();
    entries.first().is_some_and(|raw| entry(raw.get()).is_ok())
}

fn read(body: &[u8]) -> Option<Vec<&RawValue>> {
    serde_json::from_slice(body).ok()
}

/// What an entry says that was received then.
fn reported<'a>(mut entry: Entry<'a>, at: Timestamp, odd: &mut Odd) -> ReportedAlert<'a> {
    // These are no fields of theirs: what stands there says nothing.
    entry.fingerprint = "".into();
    // So that its end is read as any other time.
    entry.status = "resolved".into();
    let alert = alert(entry, odd);
    let left = match alert.ends_at {
        Some(end) => end.since(at),
        None => lease::USUAL,
    };
    let (status, ends_at) = match left {
        Duration::ZERO => (AlertStatus::Resolved, alert.ends_at),
        _ => (AlertStatus::Firing, None),
    };
    ReportedAlert {
        status,
        ends_at,
        lease_ms: Some(millis(left.min(lease::LONGEST))),
        ..alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::Alert;
    use crate::sources::alertmanager;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn received(body: &str, path: &'static str, received_at: Timestamp) -> Delivery {
        Delivery {
            path,
            received_at,
            ..Delivery::of(body)
        }
    }

    fn translated(body: &str, received_at: Timestamp) -> Translated {
        translate(&received(body, "", received_at), &Config::default()).unwrap()
    }

    fn alerts(body: &str, received_at: Timestamp) -> Vec<Alert> {
        let contents = translated(body, received_at).alerts.into_iter();
        contents
            .filter_map(|content| match content {
                Content::Alert(alert) => Some(alert),
                Content::Rejected { .. } => None,
            })
            .collect()
    }

    #[test]
    fn an_end_in_the_future_is_a_lease_and_one_in_the_past_an_end() {
        let end = at("2026-11-22T21:32:29.632Z");
        for (later, expected) in [
            (-240_000, (AlertStatus::Firing, None, 240_000)),
            (-1, (AlertStatus::Firing, None, 1)),
            (0, (AlertStatus::Resolved, Some(end), 0)),
            (900_000, (AlertStatus::Resolved, Some(end), 0)),
        ] {
            let alert = alerts(EXAMPLE, Timestamp(end.0 + later)).remove(0);
            let found = (alert.status, alert.ends_at, alert.lease_ms.unwrap());
            assert_eq!(found, expected, "{later}");
            assert_eq!(alert.starts_at, Some(at("2026-11-22T21:28:29.632Z")));
        }
        // No end; one that is no time; one before there were clocks; one that is far.
        for (end, lease) in [
            (r#""startsAt":"2026-11-22T21:28:29Z""#, 300_000),
            (r#""endsAt":"soon""#, 300_000),
            (r#""endsAt":"0001-01-01T00:00:00Z""#, 300_000),
            (r#""endsAt":"2036-11-22T21:28:29Z""#, 86_400_000),
        ] {
            let body = format!(r#"[{{"labels":{{"alertname":"A"}},{end}}}]"#);
            let alert = alerts(&body, at("2026-11-22T21:28:29Z")).remove(0);
            assert_eq!(
                (alert.status, alert.lease_ms),
                (AlertStatus::Firing, Some(lease)),
                "{end}"
            );
        }
    }

    #[test]
    fn it_is_the_series_that_alertmanager_has_of_it() {
        let labels = r#"{"alertname":"InstanceDown","cluster":"c1","job":"node","empty":""}"#;
        let direct = format!(r#"[{{"labels":{labels},"fingerprint":"x","status":"resolved"}}]"#);
        let direct = alerts(&direct, Timestamp::now()).remove(0);
        let by_way = format!(r#"{{"alerts":[{{"labels":{labels}}}]}}"#);
        let by_way = (alertmanager::SOURCE.translate)(&Delivery::of(by_way), &Config::default());
        let Content::Alert(by_way) = by_way.unwrap().alerts.remove(0) else {
            unreachable!("it has labels")
        };
        assert_eq!(direct.fingerprint, by_way.fingerprint);
        assert_eq!(
            (direct.status, direct.identity),
            (AlertStatus::Firing, by_way.identity)
        );
    }

    #[test]
    fn one_that_cannot_be_used_does_not_harm_the_others() {
        let body = r#"[1,{"labels":{"alertname":"A"}},{"labels":{"job":"a"}},{"labels":{"alertname":7},"startsAt":1}]"#;
        let translated = translated(body, Timestamp::now());
        let is_alert = |content: &Content| matches!(content, Content::Alert(_));
        let found: Vec<bool> = translated.alerts.iter().map(is_alert).collect();
        assert_eq!(found, [false, true, false, true]);
        let taken = |rejected| WebhookAnswer {
            status: "ok",
            processed: 4,
            enqueued: 4 - rejected,
            rejected,
            tests: 0,
            unused: 0,
        };
        assert_eq!(answer(&taken(0)).status(), 200);
        assert_eq!(answer(&taken(2)).status(), 400);
    }

    #[test]
    fn what_is_no_list_is_refused_and_version_1_is_gone() {
        assert_eq!(alerts("[]", Timestamp::now()), []);
        let refused = |body, path| {
            let delivery = received(body, path, Timestamp::now());
            translate(&delivery, &Config::default()).unwrap_err()
        };
        for body in ["{}", "", "x", r#"{"alerts":[]}"#] {
            assert!(matches!(refused(body, ""), Refused::Malformed(_)), "{body}");
        }
        assert!(matches!(refused("[]", VERSION_1), Refused::Gone(_)));
        let many = format!("[{}1]", "1,".repeat(Config::default().limits.alerts));
        assert!(matches!(refused(&many, ""), Refused::TooMany { .. }));
    }

    #[test]
    fn its_address_may_name_the_cluster() {
        for (path, expected) in [
            ("/api/v2/alerts", Some("")),
            ("/api/v1/prometheus/eu/api/v2/alerts", Some("eu")),
            ("/api/v1/prometheus//api/v2/alerts", None),
            ("/api/v1/prometheus/a/b/api/v2/alerts", None),
            ("/api/v1/prometheus/eu", None),
        ] {
            assert_eq!(SOURCE.at(path).map(|(_, name)| name), expected, "{path}");
        }
        let mut delivery = received("[]", SOURCE.paths[1], Timestamp::now());
        "eu".clone_into(&mut delivery.name);
        let translated = translate(&delivery, &Config::default()).unwrap();
        assert_eq!(translated.cluster.as_deref(), Some("eu"));
    }
}
