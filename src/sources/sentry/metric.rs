//! An alert for a metric.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Parsed, Times};
use crate::domain::alert::AlertStatus;
use crate::domain::signature::Names;
use crate::sources::text::{Object, text};
use crate::sources::{ReportedAlert, texts};

/// The numbers of an alert's state.
const STATES: [(&str, &str); 2] = [("20", "critical"), ("10", "warning")];

/// An alert for a metric that is critical, a warning, or over.
pub(super) fn of_metric<'a>(action: &str, data: &Object<'a>, times: &mut Times) -> Parsed<'a> {
    let metric = data.get("metric_alert").and_then(Object::read);
    let metric = metric.ok_or("the body has no metric_alert")?;
    let state = metric.text("status");
    let of_state = STATES.iter().find(|(number, _)| *number == state);
    let (status, severity) = match action {
        "critical" => (AlertStatus::Firing, "critical"),
        "warning" => (AlertStatus::Firing, "warning"),
        "open" => {
            let severity = of_state.map_or("", |(_, severity)| severity);
            (AlertStatus::Firing, severity)
        }
        "resolved" => (AlertStatus::Resolved, ""),
        _ => return Ok(None),
    };
    let rule = metric.get("alert_rule").and_then(Object::read);
    let rule = rule.ok_or("the alert has no alert_rule")?;
    let id = rule.text("id");
    if id.is_empty() {
        return Err("the alert_rule has no id");
    }
    let name = match rule.text("name") {
        name if name.is_empty() => metric.text("title"),
        name => name,
    };
    let fingerprint = format!("metric-{id}").into();
    let labels: [(&str, Cow<'a, str>); 5] = [
        ("alertname", name),
        ("rule_id", id),
        ("project", project(&metric)),
        ("environment", rule.text("environment")),
        ("severity", severity.into()),
    ];
    Ok(Some(ReportedAlert {
        status,
        labels: texts(labels),
        annotations: texts([("description", data.text("description_text"))]),
        starts_at: times.read(&metric.text("date_started")),
        ends_at: times.read(&metric.text("date_closed")),
        url: data.text("web_url"),
        fingerprint,
        read_from: Names {
            alert_name: "alertname",
            service: "project",
            ..Names::default()
        },
        ..ReportedAlert::default()
    }))
}

/// The project, if there is one.
fn project<'a>(metric: &Object<'a>) -> Cow<'a, str> {
    let projects: Vec<&'a RawValue> =
        serde_json::from_str(metric.get("projects").unwrap_or_default()).unwrap_or_default();
    match projects[..] {
        [only] => text(only.get()),
        _ => Cow::Borrowed(""),
    }
}
