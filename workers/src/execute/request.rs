//! The request to an executor.

use serde_json::{Value, json};
use tocsin::context::Context;
use tocsin::domain::id::ShortId;
use tocsin::domain::recommendation::Recommendation;
use tocsin::executions::Request;
use tocsin::text::{EN, recommendation};

/// A larger body, in bytes, goes without the alert's labels.
const BODY_MAX: usize = 64 * 1024;

/// The body: the same each time that the request is sent.
pub(super) fn body(context: &Context, request: &Request) -> String {
    let whole = write(context, request, false);
    match whole.len() <= BODY_MAX {
        true => whole,
        false => write(context, request, true),
    }
}

fn write(context: &Context, request: &Request, is_shortened: bool) -> String {
    let Request {
        execution,
        incident,
        anomaly,
    } = request;
    let address = |path: String| match &context.config.public_url {
        Some(url) => format!("{}{path}", url.trim_end_matches('/')),
        None => path,
    };
    let report = |what: &str| address(format!("/api/v1/executions/{}/{what}", execution.id));
    json!({
        "type": "execution.asked",
        "timestamp": execution.wanted_at,
        "data": {
            "execution": execution.id,
            "action": execution.action,
            "tier": execution.tier,
            "hook": execution.hook,
            "wanted_by": execution.wanted_by,
            "report_by": execution.expires_at,
            "report": {"started": report("started"), "finished": report("finished")},
            "recommendation": said(&execution.recommendation),
            "incident": {
                "id": incident.id,
                "short_id": ShortId::of(incident.id).to_string(),
                "opened_at": incident.opened_at,
                "page": address(format!("/incidents/{}", incident.id)),
            },
            "anomaly": {
                "key": anomaly.key,
                "alert_name": anomaly.alert_name,
                "service": anomaly.service,
                "namespace": anomaly.namespace,
                "error_type": anomaly.error_type,
            },
            "labels": if is_shortened { json!({}) } else { incident.labels.clone() },
            "is_shortened": is_shortened,
        },
    })
    .to_string()
}

/// The recommendation as data and in words.
fn said(kept: &Value) -> Value {
    let Ok(found) = serde_json::from_value::<Recommendation>(kept.clone()) else {
        return kept.clone();
    };
    json!({
        "rule": found.rule,
        "playbook": found.playbook,
        "figures": found.figures,
        "why": found.why,
        "said": recommendation::because(&EN, &found),
        "why_said": recommendation::why(&EN, &found.why),
    })
}
