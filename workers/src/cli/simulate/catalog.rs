//! The catalog of a storm: alerts as Kubernetes clusters know them, on made-up services.

use rand::Rng;
use rand::seq::SliceRandom;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// One pod of the service.
    Pod,
    /// One node that the service runs on.
    Node,
}

/// A kind of alert. `{service}` and `{subject}` in its texts are replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) alert_name: &'static str,
    pub(super) severity: &'static str,
    pub(super) reason: &'static str,
    pub(super) subject: Subject,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
}

const fn kind(
    alert_name: &'static str,
    severity: &'static str,
    reason: &'static str,
    subject: Subject,
    summary: &'static str,
    description: &'static str,
) -> Kind {
    Kind {
        alert_name,
        severity,
        reason,
        subject,
        summary,
        description,
    }
}

const CRITICAL: &str = "critical";
const WARNING: &str = "warning";

static KINDS: [Kind; 16] = [
    kind(
        "KubePodCrashLooping",
        WARNING,
        "CrashLoopBackOff",
        Subject::Pod,
        "Pod of {service} is crash looping",
        "Pod {subject} is in waiting state (reason: \"CrashLoopBackOff\").",
    ),
    kind(
        "HighErrorRate",
        CRITICAL,
        "Http5xx",
        Subject::Pod,
        "{service} answers more than 5% of requests with an error",
        "5xx of {subject} were above 5% for 10 minutes.",
    ),
    kind(
        "NodeDiskPressure",
        CRITICAL,
        "DiskPressure",
        Subject::Node,
        "Node under {service} runs out of disk",
        "Node {subject} reports DiskPressure; pods of {service} may be evicted.",
    ),
    kind(
        "ContainerOOMKilled",
        CRITICAL,
        "OOMKilled",
        Subject::Pod,
        "{service} ran out of memory",
        "A container of {subject} was killed at its memory limit.",
    ),
    kind(
        "HighLatency",
        WARNING,
        "SlowResponses",
        Subject::Pod,
        "{service} is slow",
        "p99 of {subject} was above 1 s for 10 minutes.",
    ),
    kind(
        "KubePodNotReady",
        WARNING,
        "ContainersNotReady",
        Subject::Pod,
        "Pod of {service} is not ready",
        "Pod {subject} has been in a non-ready state for longer than 15 minutes.",
    ),
    kind(
        "KubeContainerWaiting",
        WARNING,
        "ImagePullBackOff",
        Subject::Pod,
        "{service} cannot pull its image",
        "A container of {subject} has been waiting for longer than an hour.",
    ),
    kind(
        "NodeMemoryPressure",
        CRITICAL,
        "MemoryPressure",
        Subject::Node,
        "Node under {service} runs out of memory",
        "Node {subject} reports MemoryPressure.",
    ),
    kind(
        "TargetDown",
        CRITICAL,
        "ScrapeFailed",
        Subject::Pod,
        "{service} does not answer Prometheus",
        "{subject} has not been scraped for 5 minutes.",
    ),
    kind(
        "CPUThrottlingHigh",
        "info",
        "CPUThrottled",
        Subject::Pod,
        "{service} is throttled",
        "41% throttling of CPU in {subject}.",
    ),
    kind(
        "PersistentVolumeFillingUp",
        CRITICAL,
        "VolumeFull",
        Subject::Pod,
        "Volume of {service} is filling up",
        "The volume claimed by {subject} is expected to fill up within four days.",
    ),
    kind(
        "PostgresConnectionsExhausted",
        CRITICAL,
        "TooManyConnections",
        Subject::Pod,
        "{service} cannot connect to its database",
        "{subject} was refused: sorry, too many clients already.",
    ),
    kind(
        "KafkaConsumerLag",
        WARNING,
        "ConsumerLag",
        Subject::Pod,
        "{service} lags behind its topic",
        "{subject} is more than 100000 messages behind.",
    ),
    kind(
        "KubeJobFailed",
        WARNING,
        "BackoffLimitExceeded",
        Subject::Pod,
        "Job of {service} failed",
        "Job {subject} failed to complete.",
    ),
    kind(
        "CertificateExpiringSoon",
        WARNING,
        "CertExpiry",
        Subject::Pod,
        "Certificate of {service} expires soon",
        "The certificate that {subject} presents expires in less than 7 days.",
    ),
    kind(
        "NodeNotReady",
        CRITICAL,
        "KubeletNotReady",
        Subject::Node,
        "Node under {service} is not ready",
        "Node {subject} has been unready for more than 15 minutes.",
    ),
];

const SERVICES: [&str; 16] = [
    "checkout-api",
    "payments",
    "cart",
    "catalog",
    "search",
    "auth",
    "gateway",
    "billing",
    "inventory",
    "shipping",
    "notifications",
    "recommendations",
    "orders",
    "users",
    "media",
    "reports",
];

/// One thing that fails again and again: what the instance should recognise as one anomaly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anomaly {
    pub(super) kind: &'static Kind,
    pub(super) service: String,
}

/// `count` different anomalies, in an order that `rng` decides.
pub(super) fn anomalies(count: usize, rng: &mut impl Rng) -> Vec<Anomaly> {
    let mut pairs: Vec<(&'static Kind, &'static str)> = KINDS
        .iter()
        .flat_map(|kind| SERVICES.map(|service| (kind, service)))
        .collect();
    pairs.shuffle(rng);
    let name = |service: &str, round: usize| match round {
        0 => service.to_owned(),
        round => format!("{service}-{}", round + 1),
    };
    let all = (0..).flat_map(|round| pairs.iter().map(move |pair| (round, pair)));
    all.take(count)
        .map(|(round, &(kind, service))| Anomaly {
            kind,
            service: name(service, round),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn there_are_as_many_different_anomalies_as_asked_for() {
        let anomalies = anomalies(600, &mut StdRng::seed_from_u64(1));
        let different: HashSet<_> = anomalies
            .iter()
            .map(|anomaly| {
                (
                    anomaly.kind.alert_name,
                    &anomaly.service,
                    anomaly.kind.reason,
                )
            })
            .collect();
        assert_eq!(different.len(), 600);
    }
}
