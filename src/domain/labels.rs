//! Which labels an anomaly is called by: its service, its namespace, its reason.

mod set;

use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};

use super::routing::Pattern;
use super::workload;
pub use set::Labels;

/// Which labels the four fields of a signature are read from; the first that is present wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureLabels {
    /// Labels that name the alert.
    pub alert_name: Vec<String>,
    /// Labels that name the service.
    pub service: Vec<String>,
    /// Labels that name the namespace.
    pub namespace: Vec<String>,
    /// Labels that name the kind of error.
    pub error_type: Vec<String>,
    /// What measures others, by its name: an alert with such a service is about another one.
    pub exporters: Vec<Pattern>,
}

impl Default for SignatureLabels {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self {
            alert_name: list(&["alertname"]),
            service: list(&["job", "service", "service.name"]),
            namespace: list(&["namespace", "k8s.namespace.name"]),
            error_type: list(&["reason", "error_type"]),
            exporters: EXPORTERS
                .map(|exporter| Pattern(exporter.to_owned()))
                .into(),
        }
    }
}

/// What measures others, and what holds many services in one job: exporters, the kubelet and what is in
/// it, the jobs of Prometheus' example for Kubernetes, the proxy before kube-prometheus' exporters.
const EXPORTERS: [&str; 12] = [
    "*kube-state-metrics",
    "*-exporter",
    "*_exporter",
    "node",
    "kubelet",
    "*cadvisor",
    "blackbox*",
    "snmp*",
    "kube-rbac-proxy*",
    "kubernetes-pods*",
    "kubernetes-nodes*",
    "kubernetes-service-endpoints*",
];

/// Labels that name the service where no label of the settings does, the most telling first.
pub const OTHERWISE: [&str; 18] = [
    "app.kubernetes.io/name",
    "app_kubernetes_io_name",
    "label_app_kubernetes_io_name",
    "app",
    "label_app",
    "deployment",
    "statefulset",
    "daemonset",
    "cronjob",
    "job_name",
    "horizontalpodautoscaler",
    "poddisruptionbudget",
    "container",
    "pod",
    "persistentvolumeclaim",
    "persistentvolume",
    "node",
    "instance",
];

/// The names of the labels that the four fields of a signature are read from. Empty: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Names<'a> {
    /// Which label names the alert.
    pub alert_name: &'a str,
    /// Which label names the service.
    pub service: &'a str,
    /// Which label names the namespace.
    pub namespace: &'a str,
    /// Which label names the kind of error.
    pub error_type: &'a str,
}

impl<'a> Names<'a> {
    /// What they are in a queued job that does not say more. This is the jobs' format: what is queued was
    /// written by it, so it is not to change, whatever the settings' defaults are.
    #[must_use]
    pub fn usual(labels: &Labels) -> Self {
        let first = |names: &[&'static str]| {
            let is_there = |name: &&&str| labels.get(name).is_some_and(|value| !value.is_empty());
            names.iter().find(is_there).copied().unwrap_or_default()
        };
        Self {
            alert_name: first(&["alertname"]),
            service: first(&["job", "service", "service.name"]),
            namespace: first(&["namespace", "k8s.namespace.name"]),
            error_type: first(&["reason", "error_type"]),
        }
    }

    /// As if no other field were read.
    #[must_use]
    pub const fn alert_name_alone(self) -> Self {
        Self {
            alert_name: self.alert_name,
            service: "",
            namespace: "",
            error_type: "",
        }
    }

    /// Those that `is_it` says yes to.
    #[must_use]
    pub fn that(self, is_it: impl Fn(&str) -> bool) -> Self {
        let one = |name: &'a str| if is_it(name) { name } else { "" };
        Self {
            alert_name: one(self.alert_name),
            service: one(self.service),
            namespace: one(self.namespace),
            error_type: one(self.error_type),
        }
    }

    /// These, and those of `others` where there is none.
    #[must_use]
    pub const fn or(self, others: Self) -> Self {
        const fn first<'n>(one: &'n str, other: &'n str) -> &'n str {
            if one.is_empty() { other } else { one }
        }
        Self {
            alert_name: first(self.alert_name, others.alert_name),
            service: first(self.service, others.service),
            namespace: first(self.namespace, others.namespace),
            error_type: first(self.error_type, others.error_type),
        }
    }

    /// All of them, in the order of the fields.
    #[must_use]
    pub const fn each(&self) -> [&'a str; 4] {
        [
            self.alert_name,
            self.service,
            self.namespace,
            self.error_type,
        ]
    }
}

/// Which labels made the four fields of an anomaly, as its row has it. Empty: none did.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    FromJsonQueryResult,
    utoipa::ToSchema,
)]
#[serde(default)]
#[schema(as = MadeOf)]
pub struct SignatureLabelNames {
    /// The label that the alert's name was read from.
    pub alert_name: String,
    /// The label that the service was read from.
    pub service: String,
    /// The label that the namespace was read from.
    pub namespace: String,
    /// The label that the kind of error was read from.
    pub error_type: String,
}

impl SignatureLabelNames {
    /// As JSON, what a row holds of these.
    #[must_use]
    pub fn written(names: &Names<'_>) -> String {
        serde_json::to_string(names).unwrap_or_else(|_| "{}".to_owned())
    }
}

impl SignatureLabels {
    /// Which labels name the four fields of an alert. `value` gives a label's value; an empty one is as if
    /// it were missing.
    ///
    /// The service is read from the first of [`Self::service`] that is no exporter's, else from the first of
    /// [`OTHERWISE`] that is about something else than the exporter. Where there is none, the exporter's name
    /// is better than nothing: it may be what the alert is about.
    #[must_use]
    pub fn names<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Names<'_> {
        let value = |name: &str| value(name).filter(|value| !value.is_empty());
        let first = |names: &'_ [String]| names.iter().position(|name| value(name).is_some());
        let name_in = |names| first(names).map_or("", |at: usize| names[at].as_str());
        let namespace = name_in(&self.namespace);
        Names {
            alert_name: name_in(&self.alert_name),
            service: self.service_name(&value, !namespace.is_empty()),
            namespace,
            error_type: name_in(&self.error_type),
        }
    }

    fn service_name<'v>(
        &self,
        value: &impl Fn(&str) -> Option<&'v str>,
        has_namespace: bool,
    ) -> &str {
        let mut exporter: Option<(&str, &str)> = None;
        for name in &self.service {
            match value(name) {
                Some(found) if self.is_exporter(found) => {
                    exporter = exporter.or(Some((name, found)));
                }
                Some(_) => return name,
                None => {}
            }
        }
        let measured = Measured {
            by: exporter.map(|(_, found)| found),
            has_own_pod: value("pod").map(|pod| self.is_own(pod, exporter, value)),
            has_namespace,
        };
        let otherwise = OTHERWISE
            .into_iter()
            .find(|name| value(name).is_some_and(|found| self.is_measured(name, found, &measured)));
        otherwise.unwrap_or_else(|| exporter.map_or("", |(name, _)| name))
    }

    pub(super) fn is_exporter(&self, name: &str) -> bool {
        self.exporters.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a pod is the exporter's own, and not one that it reports on.
    fn is_own<'v>(
        &self,
        pod: &str,
        exporter: Option<(&str, &str)>,
        value: &impl Fn(&str) -> Option<&'v str>,
    ) -> bool {
        let Some((_, exporter)) = exporter else {
            return false;
        };
        let owner = workload::of_pod(pod);
        let is_named = self.service.iter().any(|name| value(name) == Some(owner));
        is_named || (self.is_exporter(owner) && !tells_of_pods(exporter))
    }

    /// Whether a label of [`OTHERWISE`] says what the alert is about, and not what measured it.
    fn is_measured(&self, name: &str, value: &str, measured: &Measured<'_>) -> bool {
        match name {
            // Names within a namespace: without one they identify nothing.
            "container" | "pod" => {
                measured.has_namespace
                    && match measured.has_own_pod {
                        Some(is_own) => !is_own,
                        None => !self.is_exporter(value),
                    }
            }
            // Where a place is all that is known, it stands for what an exporter measures there.
            "instance" => measured.by.is_some_and(|exporter| {
                let comes_and_goes = measured.has_own_pod == Some(true)
                    && !exporter.contains("node")
                    && is_address(value);
                !exporter.ends_with("kube-state-metrics") && !comes_and_goes
            }),
            // The exporter's own, where the scrape copies what its service is labelled with.
            _ if name.contains("app") => !self.is_exporter(value),
            _ => true,
        }
    }
}

/// What is known of who measured what an alert is about.
struct Measured<'a> {
    /// The exporter's name.
    pub(super) by: Option<&'a str>,
    /// Whether the alert's pod is the exporter's own; none if it has no pod.
    has_own_pod: Option<bool>,
    /// Whether the alert is in a namespace.
    has_namespace: bool,
}

/// Whether such an exporter reports on pods of others, among them other exporters'.
fn tells_of_pods(exporter: &str) -> bool {
    ["kube-state-metrics", "kubelet", "cadvisor"]
        .iter()
        .any(|name| exporter.ends_with(name))
}

/// Whether it is an IP address, with or without a port.
fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok() || text.parse::<std::net::SocketAddr>().is_ok()
}
