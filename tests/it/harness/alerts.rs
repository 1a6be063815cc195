//! Alerts as Alertmanager sends them.

use serde_json::{Value, json};
use tocsin::time::Timestamp;

/// Alerts as Alertmanager sends them.
pub fn body(alerts: &[Value]) -> Value {
    json!({"version": "4", "status": "firing", "alerts": alerts})
}

/// A firing alert of one pod, since `starts_at`.
pub fn firing(pod: &str, starts_at: Timestamp) -> Value {
    alert("CrashLooping", pod, starts_at)
}

/// A firing alert of this name.
pub fn alert(name: &str, pod: &str, starts_at: Timestamp) -> Value {
    json!({
        "status": "firing",
        "labels": {"alertname": name, "job": "checkout", "namespace": "prod", "pod": pod,
                   "reason": "CrashLoopBackOff", "severity": "critical"},
        "annotations": {"summary": format!("{name} in prod")},
        "startsAt": starts_at.to_rfc3339(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": format!("{name}-{pod}"),
    })
}

/// The same alert, over since `ends_at`.
pub fn resolved(mut alert: Value, ends_at: Timestamp) -> Value {
    alert["status"] = json!("resolved");
    alert["endsAt"] = json!(ends_at.to_rfc3339());
    alert
}
