//! Alertmanager's webhook, version 4, as the storm sends it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use tocsin::time::Timestamp;

use super::catalog::{Anomaly, Subject};

/// What Alertmanager writes for "not over yet".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The cluster that all of it pretends to be in.
const CLUSTER: &str = "simulated";

/// Labels or annotations.
pub(super) type Labels = BTreeMap<&'static str, String>;

/// One alert of a webhook.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    pub(super) status: &'static str,
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    pub(super) starts_at: Timestamp,
    #[serde(serialize_with = "end_or_never")]
    pub(super) ends_at: Option<Timestamp>,
    #[serde(rename = "generatorURL")]
    pub(super) generator_url: String,
    pub(super) fingerprint: String,
}

impl Alert {
    /// A firing of the anomaly's pod or node number `number`.
    pub(super) fn firing(
        anomaly: &Anomaly,
        namespace: &str,
        number: u64,
        starts_at: Timestamp,
    ) -> Self {
        let (kind, service) = (anomaly.kind, &anomaly.service);
        let (place, subject) = match kind.subject {
            Subject::Pod => ("pod", format!("{service}-{}", suffix(number))),
            Subject::Node => ("node", format!("worker-{}", suffix(number))),
        };
        let written = |text: &str| {
            text.replace("{service}", service)
                .replace("{subject}", &subject)
        };
        let annotations = Labels::from([
            ("summary", written(kind.summary)),
            ("description", written(kind.description)),
            (
                "runbook_url",
                format!("https://runbooks.example/{}", kind.alert_name),
            ),
        ]);
        let labels = Labels::from([
            ("alertname", kind.alert_name.to_owned()),
            ("cluster", CLUSTER.to_owned()),
            ("job", service.clone()),
            ("namespace", namespace.to_owned()),
            ("reason", kind.reason.to_owned()),
            ("severity", kind.severity.to_owned()),
            (place, subject),
        ]);
        Self {
            status: "firing",
            fingerprint: fingerprint(&labels),
            generator_url: format!(
                "http://prometheus.example/graph?g0.expr={}",
                kind.alert_name
            ),
            labels,
            annotations,
            starts_at,
            ends_at: None,
        }
    }
}

/// One delivery: a group of alerts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Webhook<'a> {
    version: &'static str,
    receiver: &'static str,
    status: &'static str,
    group_key: String,
    group_labels: Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: &'static str,
    truncated_alerts: u32,
    alerts: &'a [&'a Alert],
}

/// The webhook that delivers `alerts`, all of one namespace, as one group.
pub(super) fn webhook(namespace: &str, alerts: &[&Alert]) -> serde_json::Result<Vec<u8>> {
    let is_firing = alerts.iter().any(|alert| alert.status == "firing");
    let group_labels = Labels::from([("namespace", namespace.to_owned())]);
    let mut common_labels = group_labels.clone();
    common_labels.insert("cluster", CLUSTER.to_owned());
    serde_json::to_vec(&Webhook {
        version: "4",
        receiver: "tocsin",
        status: if is_firing { "firing" } else { "resolved" },
        group_key: format!("{{}}:{{namespace={namespace:?}}}"),
        group_labels,
        common_labels,
        common_annotations: Labels::new(),
        external_url: "http://alertmanager.example",
        truncated_alerts: 0,
        alerts,
    })
}

fn end_or_never<S: Serializer>(end: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match end {
        Some(end) => end.serialize(to),
        None => to.serialize_str(NEVER),
    }
}

/// How Kubernetes ends a pod's name, different for each number.
fn suffix(number: u64) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    const BASE: u64 = LETTERS.len() as u64;
    const MANY: u64 = BASE.pow(5);
    // Coprime to the base: mixes the numbers below `MANY` without two becoming the same.
    let mixed = number % MANY * 7_368_787 % MANY;
    let mut digits = mixed + number / MANY * MANY;
    let mut text = String::new();
    while digits > 0 || text.len() < 5 {
        text.push(char::from(
            LETTERS[usize::try_from(digits % BASE).unwrap_or(0)],
        ));
        digits /= BASE;
    }
    text
}

/// FNV-1a over the sorted labels, as Prometheus does it.
fn fingerprint(labels: &Labels) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let separator = std::iter::once(0xff);
    let bytes = labels.iter().flat_map(|(name, value)| {
        let name = name.bytes().chain(separator.clone());
        name.chain(value.bytes()).chain(separator.clone())
    });
    let hash = bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use serde_json::Value;

    use super::super::catalog::anomalies;
    use super::*;

    #[test]
    fn a_webhook_is_what_alertmanager_sends() {
        let anomaly = &anomalies(1, &mut StdRng::seed_from_u64(1))[0];
        let start = Timestamp(1_795_382_909_102);
        let firing = Alert::firing(anomaly, "sim-3f2a", 1, start);
        let mut resolved = Alert::firing(anomaly, "sim-3f2a", 2, start);
        resolved.status = "resolved";
        resolved.ends_at = Some(Timestamp(start.0 + 1));
        let body = webhook("sim-3f2a", &[&firing, &resolved]).unwrap();
        let sent: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(sent["version"], "4");
        assert_eq!(sent["status"], "firing");
        assert_eq!(sent["groupKey"], "{}:{namespace=\"sim-3f2a\"}");
        assert_eq!(sent["alerts"][0]["labels"]["namespace"], "sim-3f2a");
        assert_eq!(sent["alerts"][0]["startsAt"], "2026-11-22T21:28:29.102Z");
        assert_eq!(sent["alerts"][0]["endsAt"], NEVER);
        assert_eq!(sent["alerts"][1]["endsAt"], "2026-11-22T21:28:29.103Z");
        assert_eq!(sent["alerts"][1]["status"], "resolved");
        assert!(sent["alerts"][0]["generatorURL"].is_string());
        assert_ne!(
            sent["alerts"][0]["fingerprint"],
            sent["alerts"][1]["fingerprint"]
        );
        assert!(
            !body
                .windows(9)
                .any(|window| window == b"{subject}" || window == b"{service}")
        );
    }

    #[test]
    fn no_two_pods_have_one_name() {
        let numbers = (0..20_000)
            .chain(14_348_900..14_348_920)
            .chain(28_697_810..28_697_820);
        let names: Vec<String> = numbers.map(suffix).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
