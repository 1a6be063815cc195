//! Drafts: a rejected alert as a person corrects it, and what is added to the result.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::reported::known_time;
use super::text::Object;
use super::{alertmanager, fingerprint};
use crate::domain::alert::AlertStatus;
use crate::jobs::{IngestAlert, Job as _};
use crate::time::Timestamp;

/// The payload of an ingest job as it is to be edited: where it carries one rejected alert, with the alert in our
/// terms that this could be; else as it is. A fingerprint that was not sent is left out: it follows from the
/// labels, which are to be edited, see [`completed`].
#[must_use]
pub fn of(mut payload: Value) -> Value {
    let raw = payload
        .pointer("/content/rejected/raw")
        .and_then(Value::as_str);
    let alert = raw.and_then(|raw| Some(alert(&Object::read(raw.trim())?)));
    if let Some(alert) = alert {
        payload["content"] = json!({"alert": alert});
    }
    payload
}

/// An alert in our terms, as far as the body says; with the label that it must have. Texts are read as at
/// the webhook, so that the labels make the series that the sender's next delivery makes.
fn alert(sent: &Object<'_>) -> Value {
    let texts = |name: &str| -> Map<String, Value> {
        let fields = sent.get(name).and_then(Object::read);
        let texts = fields.map(Object::into_texts).unwrap_or_default();
        let texts = texts.into_iter();
        texts
            .map(|(name, value)| (name.into_owned(), value.into()))
            .collect()
    };
    let mut labels = texts("labels");
    labels.entry("alertname").or_insert_with(|| json!(""));
    let (status, _) = alertmanager::status(&sent.text("status"));
    let mut alert = json!({
        "status": status,
        "labels": labels,
        "annotations": texts("annotations"),
    });
    let sent_fingerprint = sent.text("fingerprint");
    if !sent_fingerprint.is_empty() {
        alert["fingerprint"] = fingerprint::kept(&sent_fingerprint).into();
    }
    let time = |name: &str| {
        let text = sent.text(name);
        let is_known = Timestamp::parse(&text).and_then(known_time).is_some();
        is_known.then(|| Value::from(text))
    };
    if let Some(at) = time("startsAt") {
        alert["starts_at"] = at;
    }
    if let Some(at) = time("endsAt").filter(|_| status == AlertStatus::Resolved) {
        alert["ends_at"] = at;
    }
    let url = sent.text("generatorURL");
    if !url.is_empty() {
        alert["generator_url"] = url.into();
    }
    alert
}

/// A payload that a person wrote, with the fingerprint of its alert's labels if it names none: the one that the
/// same alert has at the webhook. Any other payload stays as it is.
#[must_use]
pub fn completed(queue: &str, payload: Vec<u8>) -> Vec<u8> {
    if queue != IngestAlert::POLICY.queue {
        return payload;
    }
    let Ok(mut job) = serde_json::from_slice::<Value>(&payload) else {
        return payload;
    };
    let Some(alert) = job.pointer_mut("/content/alert") else {
        return payload;
    };
    let is_named =
        !matches!(&alert["fingerprint"], Value::Null) && alert["fingerprint"].as_str() != Some("");
    let labels = alert["labels"].as_object();
    let texts = labels.and_then(|labels| {
        let texts = labels.iter();
        let texts = texts.map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        texts.collect::<Option<BTreeMap<&str, &str>>>()
    });
    let Some(texts) = texts.filter(|_| !is_named) else {
        return payload;
    };
    let texts = texts.into_iter().filter(|(_, value)| !value.is_empty());
    alert["fingerprint"] = fingerprint::of_labels(texts).into();
    job.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::jobs::{Content, check_payload};
    use crate::sources::Delivery;
    use crate::sources::alertmanager::SOURCE;

    fn sent(alert: &Value) -> Content {
        let body = json!({"alerts": [alert]}).to_string();
        let translated = (SOURCE.translate)(&Delivery::of(body), &Config::default());
        translated.unwrap().alerts.remove(0)
    }

    #[test]
    fn an_edited_alert_is_the_series_that_the_corrected_sender_delivers() {
        let mut alert = json!({"status": "RESOLVED", "startsAt": "2026-11-29T16:00:00Z", "endsAt": "soon",
            "labels": {"service": "x", "n": 7, "none": ""}});
        let content = json!(sent(&alert));
        assert!(content.get("rejected").is_some(), "{content}");
        let mut draft = of(
            json!({"source": "alertmanager", "received_at": "2026-11-29T16:00:01Z", "content": content}),
        );
        assert_eq!(draft["content"]["alert"].get("fingerprint"), None);
        for labels in [
            &mut alert["labels"],
            &mut draft["content"]["alert"]["labels"],
        ] {
            labels["alertname"] = json!("A");
        }
        let payload = completed("ingest", draft.to_string().into_bytes());
        assert_eq!(check_payload("ingest", &payload), Ok(()));
        let job: IngestAlert = serde_json::from_slice(&payload).unwrap();
        let (Content::Alert(edited), Content::Alert(mut sent)) = (job.content, sent(&alert)) else {
            panic!("an alert was rejected");
        };
        // What the ingress works out is worked out of an edited job when it is done.
        sent.identity = None;
        assert_eq!(edited, sent);
    }

    #[test]
    fn only_a_missing_fingerprint_is_added() {
        let job = |alert: Value| json!({"content": {"alert": alert}});
        let labels = json!({"alertname": "A"});
        for (queue, payload) in [
            ("ingest", job(json!({"labels": labels, "fingerprint": "f"}))),
            ("ingest", job(json!({"labels": {"alertname": 7}}))),
            ("ingest", job(json!({}))),
            ("ingest", json!({"content": {"rejected": {"raw": "7"}}})),
            ("ingest", json!(7)),
            ("tier", job(json!({"labels": labels}))),
        ] {
            let bytes = payload.to_string().into_bytes();
            assert_eq!(completed(queue, bytes.clone()), bytes, "{payload}");
        }
        for none in [json!(null), json!("")] {
            let payload = job(json!({"labels": labels, "fingerprint": none}));
            let done = completed("ingest", payload.to_string().into_bytes());
            let done: Value = serde_json::from_slice(&done).unwrap();
            let expected = fingerprint::of_labels([("alertname", "A")]);
            assert_eq!(done["content"]["alert"]["fingerprint"], expected);
        }
        assert_eq!(completed("ingest", b"{".to_vec()), b"{");
    }
}
