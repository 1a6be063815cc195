//! The bodies that are posted: alerts of a fixed set of anomalies, each one a new firing.

/// Distinct anomalies.
pub(crate) const ANOMALIES: u64 = 200;

/// Whose API a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Alertmanager's webhook, version 4: what Tocsin takes.
    Webhook,
    /// A list for Alertmanager's own `POST /api/v2/alerts`.
    Alertmanager,
}

/// Makes bodies. All that stays the same of an alert is written once, before the run.
pub(crate) struct Bodies {
    shape: Shape,
    /// By anomaly: what stands before the start, and behind it.
    alerts: Vec<(String, String)>,
}

const HEAD: &str = r#"{"version":"4","groupKey":"{}:{alertname=\"HighErrorRate\"}","truncatedAlerts":0,"status":"firing","receiver":"tocsin","groupLabels":{"alertname":"HighErrorRate"},"commonLabels":{"severity":"critical"},"commonAnnotations":{},"externalURL":"http://am:9093","alerts":["#;

impl Bodies {
    pub(crate) fn new(shape: Shape) -> Self {
        let alerts = (0..ANOMALIES)
            .map(|k| {
                let alert_name = format!("HighErrorRate{}", k % 20);
                alert(shape, &alert_name, &format!("svc-{k}"), &format!("i-{k}"))
            })
            .collect();
        Self { shape, alerts }
    }

    /// A body's size, roughly.
    pub(crate) const fn size(together: usize) -> usize {
        HEAD.len() + together * 520 + 2
    }

    /// Puts a body into `out`, in place of what is in it: `together` firings that begin `now`, the
    /// first of which is the run's `first`th.
    pub(crate) fn write(&self, out: &mut Vec<u8>, together: usize, first: u64, now: &str) {
        out.clear();
        out.extend_from_slice(match self.shape {
            Shape::Webhook => HEAD.as_bytes(),
            Shape::Alertmanager => b"[",
        });
        for number in (first..).take(together) {
            if number > first {
                out.push(b',');
            }
            let id = scatter(number);
            let (before, behind) = &self.alerts[(id % ANOMALIES) as usize];
            push_alert(out, self.shape, before, behind, id, now);
        }
        out.extend_from_slice(match self.shape {
            Shape::Webhook => b"]}",
            Shape::Alertmanager => b"]",
        });
    }
}

/// A webhook with one alert, of an anomaly that `name` alone is in.
pub(crate) fn single(name: &str, number: u64, now: &str) -> Vec<u8> {
    let (before, behind) = alert(Shape::Webhook, "Probe", name, "i-0");
    let mut out = HEAD.as_bytes().to_vec();
    push_alert(
        &mut out,
        Shape::Webhook,
        &before,
        &behind,
        scatter(number),
        now,
    );
    out.extend_from_slice(b"]}");
    out
}

fn alert(shape: Shape, alert_name: &str, service: &str, instance: &str) -> (String, String) {
    let (status, end) = match shape {
        Shape::Webhook => (
            r#""status":"firing","#,
            r#","endsAt":"0001-01-01T00:00:00Z""#,
        ),
        // It takes what has no end to be firing.
        Shape::Alertmanager => ("", ""),
    };
    let fingerprint = match shape {
        Shape::Webhook => r#","fingerprint":""#,
        Shape::Alertmanager => "}",
    };
    let before = format!(
        r#"{{{status}"labels":{{"alertname":"{alert_name}","job":"{service}","namespace":"prod","instance":"{instance}","severity":"critical","environment":"Production","reason":"OOMKilled"}},"annotations":{{"summary":"error rate above 5% for 10m","description":"{service} returns errors"}},"startsAt":""#
    );
    let behind =
        format!(r#""{end},"generatorURL":"http://prometheus/graph?g0.expr=1"{fingerprint}"#);
    (before, behind)
}

fn push_alert(out: &mut Vec<u8>, shape: Shape, before: &str, behind: &str, id: u64, now: &str) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(now.as_bytes());
    out.extend_from_slice(behind.as_bytes());
    if shape == Shape::Webhook {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        out.extend((0..16).map(|place| DIGITS[(id >> (60 - 4 * place)) as usize & 15]));
        out.extend_from_slice(b"\"}");
    }
}

/// Another number for each, spread as hashes are: no two alerts share a fingerprint.
const fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-22T21:28:29.102Z";

    fn body(shape: Shape, together: usize) -> Value {
        let mut out = Vec::new();
        Bodies::new(shape).write(&mut out, together, 7, NOW);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_webhook_is_what_alertmanager_sends() {
        let body = body(Shape::Webhook, 1);
        assert_eq!(body["version"], "4");
        let alert = &body["alerts"][0];
        let service = alert["labels"]["job"].as_str().unwrap();
        let instance = service.replace("svc", "i");
        let name = alert["labels"]["alertname"].as_str().unwrap();
        let expected = json!({
            "status": "firing",
            "labels": {
                "alertname": name, "job": service, "namespace": "prod", "instance": instance,
                "severity": "critical", "environment": "Production", "reason": "OOMKilled",
            },
            "annotations": {
                "summary": "error rate above 5% for 10m",
                "description": format!("{service} returns errors"),
            },
            "startsAt": NOW,
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph?g0.expr=1",
            "fingerprint": alert["fingerprint"],
        });
        assert_eq!(*alert, expected);
    }

    #[test]
    fn an_own_alert_of_alertmanager_is_the_same_alert() {
        let (own, webhook) = (body(Shape::Alertmanager, 3), body(Shape::Webhook, 3));
        for (i, own) in own.as_array().unwrap().iter().enumerate() {
            for field in ["labels", "annotations", "startsAt", "generatorURL"] {
                assert_eq!(own[field], webhook["alerts"][i][field]);
            }
        }
    }

    #[test]
    fn every_alert_is_a_firing_of_its_own_and_all_anomalies_occur() {
        let body = body(Shape::Webhook, 5000);
        let alerts = body["alerts"].as_array().unwrap();
        let distinct = |pointer: &str| -> usize {
            let values = alerts
                .iter()
                .map(|alert| alert.pointer(pointer).unwrap().as_str());
            values.collect::<HashSet<_>>().len()
        };
        assert_eq!(distinct("/fingerprint"), 5000);
        assert_eq!(distinct("/labels/job"), 200);
    }
}
