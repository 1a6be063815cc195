//! The bodies that the published schema of SigNoz allows, and nothing else.

#![allow(
    dead_code,
    reason = "a field says what is taken, whether it is read or not"
)]

use serde::Deserialize;
use serde_json::{Map, Value};

/// The body of a new channel.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PostedChannel {
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    pub(super) config: ChannelConfig,
}

/// The body of a change: a channel keeps its names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutChannel {
    pub(super) config: ChannelConfig,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    tag = "kind",
    content = "spec",
    rename_all = "lowercase"
)]
pub(super) enum ChannelConfig {
    Webhook(Webhook),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) send_resolved: Option<bool>,
    pub(super) bearer_token: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PostedRule {
    pub(super) alert: String,
    pub(super) alert_type: AlertType,
    pub(super) rule_type: RuleType,
    pub(super) schema_version: String,
    pub(super) condition: Condition,
    pub(super) evaluation: Evaluation,
    pub(super) notification_settings: Option<NotificationSettings>,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) disabled: Option<bool>,
    pub(super) source: Option<String>,
    pub(super) labels: Option<Map<String, Value>>,
    pub(super) annotations: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
pub(super) enum AlertType {
    #[serde(rename = "METRIC_BASED_ALERT")]
    Metric,
    #[serde(rename = "TRACES_BASED_ALERT")]
    Traces,
    #[serde(rename = "LOGS_BASED_ALERT")]
    Logs,
    #[serde(rename = "EXCEPTIONS_BASED_ALERT")]
    Exceptions,
}

#[derive(Deserialize)]
pub(super) enum RuleType {
    #[serde(rename = "threshold_rule")]
    Threshold,
    #[serde(rename = "promql_rule")]
    Promql,
    #[serde(rename = "anomaly_rule")]
    Anomaly,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Condition {
    pub(super) composite_query: CompositeQuery,
    pub(super) selected_query_name: Option<String>,
    pub(super) thresholds: Thresholds,
    pub(super) require_min_points: Option<bool>,
    pub(super) required_num_points: Option<i64>,
    pub(super) alert_on_absent: Option<bool>,
    pub(super) absent_for: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CompositeQuery {
    pub(super) query_type: String,
    pub(super) panel_type: String,
    pub(super) queries: Vec<QueryOf>,
    pub(super) unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryOf {
    pub(super) r#type: String,
    pub(super) spec: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Thresholds {
    pub(super) kind: String,
    pub(super) spec: Vec<Threshold>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Threshold {
    pub(super) name: String,
    pub(super) target: f64,
    pub(super) target_unit: Option<String>,
    pub(super) recovery_target: Option<f64>,
    pub(super) op: String,
    pub(super) match_type: String,
    pub(super) channels: Vec<String>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    tag = "kind",
    content = "spec",
    rename_all = "lowercase"
)]
pub(super) enum Evaluation {
    Rolling(Rolling),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Rolling {
    pub(super) eval_window: String,
    pub(super) frequency: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NotificationSettings {
    pub(super) group_by: Option<Vec<String>>,
    pub(super) renotify: Option<Map<String, Value>>,
    pub(super) use_policy: Option<bool>,
    pub(super) new_group_eval_delay: Option<String>,
}
