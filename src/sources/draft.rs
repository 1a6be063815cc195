//! What a person who corrects an alert that was rejected begins with.

use serde_json::{Value, json};

/// The payload of an ingest job as it is to be edited: where it carries one rejected alert, with the alert in our
/// terms that this could be; else as it is. `id` is the job's, and the fingerprint of what was sent without one.
#[must_use]
pub fn of(mut payload: Value, id: &str) -> Value {
    let raw = payload
        .pointer("/content/rejected/raw")
        .and_then(Value::as_str);
    let sent: Option<Value> = raw.and_then(|raw| serde_json::from_str(raw).ok());
    if let Some(sent) = sent.filter(Value::is_object) {
        payload["content"] = json!({"alert": alert(&sent, id)});
    }
    payload
}

/// An alert in our terms, as far as what was sent tells; with the label that it must have.
fn alert(sent: &Value, id: &str) -> Value {
    let texts = |name: &str| {
        let members = sent[name].as_object().into_iter().flatten();
        let texts = members.filter(|(_, value)| value.is_string());
        texts
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
    };
    let mut labels = texts("labels");
    labels.entry("alertname").or_insert_with(|| json!(""));
    let is_resolved = sent["status"] == "resolved";
    let given = |name: &str| sent[name].as_str().filter(|text| !text.is_empty());
    let mut alert = json!({
        "status": if is_resolved { "resolved" } else { "firing" },
        "labels": labels,
        "annotations": texts("annotations"),
        "fingerprint": given("fingerprint").map_or_else(|| id.into(), Value::from),
    });
    let ours = [
        ("starts_at", "startsAt"),
        ("ends_at", "endsAt"),
        ("generator_url", "generatorURL"),
    ];
    for (ours, theirs) in ours {
        let known = given(theirs).filter(|text| !text.starts_with("0001-"));
        if let Some(text) = known.filter(|_| ours != "ends_at" || is_resolved) {
            alert[ours] = text.into();
        }
    }
    alert
}
