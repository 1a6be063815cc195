//! Alertmanager's form as Grafana and SigNoz send it, with more in it: by what their bodies are known, also where
//! they were sent to the wrong address.

use super::plain::Entry;
use super::reported::value;
use super::text::{Object, Texts};

/// What the name of the test of a channel of SigNoz begins with.
const CHANNEL_TEST: &str = "Test Alert (";

/// Whether an envelope has what Grafana's has beside Alertmanager's.
pub(super) fn is_of_grafana(envelope: &Object<'_>) -> bool {
    let is_list = |list: &str| list.starts_with('[');
    envelope.get("alerts").is_some_and(is_list)
        && envelope.get("orgId").is_some()
        && envelope.get("state").is_some()
}

/// Whether nobody but SigNoz sends this alert: rules of Prometheus may have a `ruleId`, but not with the rule's
/// address beside it.
pub(super) fn is_of_signoz(entry: &Entry<'_>) -> bool {
    let label = |name| value(&entry.labels, name);
    let is_critical = label("severity") == Some("critical");
    let has_rule = label("ruleId").is_some() && label("ruleSource").is_some();
    has_rule || (is_critical && tries_channel(&entry.labels, &entry.generator_url))
}

/// Whether an alert with these labels and this address tries a channel of SigNoz.
pub(super) fn tries_channel(labels: &Texts<'_>, url: &str) -> bool {
    let name = value(labels, "alertname").unwrap_or_default();
    let has_rule = value(labels, "ruleId").is_some();
    name.starts_with(CHANNEL_TEST) && name.ends_with(')') && !has_rule && url.is_empty()
}
