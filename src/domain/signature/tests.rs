use std::collections::BTreeSet;

use super::*;
use crate::domain::alert::{AlertStatus, Identity, Labels};

/// Alerts of kubernetes-mixin, node-mixin, postgres and blackbox exporter as kube-prometheus, its Helm chart
/// and Prometheus alone send them, and what each is called: the labels, then service, its label, namespace.
#[rustfmt::skip]
const CALLED: [(&str, &str, &str, &str); 40] = [
    // kube-state-metrics under kube-prometheus, which drops the exporter's own pod, service and namespace.
    ("alertname=KubePodCrashLooping container=api instance=10.1.0.5:8443 job=kube-state-metrics namespace=prod pod=api-6c9f7d8b5c-x2x7z prometheus=monitoring/k8s reason=CrashLoopBackOff severity=warning uid=7d1e95f1",
     "api", "container", "prod"),
    ("alertname=KubePodNotReady namespace=prod pod=api-6c9f7d8b5c-x2x7z prometheus=monitoring/k8s severity=warning",
     "api", "pod", "prod"),
    ("alertname=KubePodNotReady namespace=prod pod=db-0 prometheus=monitoring/k8s severity=warning",
     "db", "pod", "prod"),
    ("alertname=KubePodNotReady job=kube-state-metrics namespace=monitoring pod=node-exporter-x2x7z severity=warning",
     "node-exporter", "pod", "monitoring"),
    ("alertname=KubeContainerWaiting container=api job=kube-state-metrics namespace=prod pod=api-6c9f7d8b5c-x2x7z reason=ImagePullBackOff severity=warning",
     "api", "container", "prod"),
    ("alertname=KubeDeploymentReplicasMismatch container=kube-rbac-proxy-main deployment=api instance=10.1.0.5:8443 job=kube-state-metrics namespace=prod severity=warning",
     "api", "deployment", "prod"),
    ("alertname=KubeDeploymentRolloutStuck container=kube-rbac-proxy-main condition=Progressing deployment=api instance=10.1.0.5:8443 job=kube-state-metrics namespace=prod severity=warning status=false",
     "api", "deployment", "prod"),
    ("alertname=KubeStatefulSetReplicasMismatch container=kube-rbac-proxy-main instance=10.1.0.5:8443 job=kube-state-metrics namespace=prod severity=warning statefulset=db",
     "db", "statefulset", "prod"),
    ("alertname=KubeDaemonSetRolloutStuck container=kube-rbac-proxy-main daemonset=node-exporter instance=10.1.0.5:8443 job=kube-state-metrics namespace=monitoring severity=warning",
     "node-exporter", "daemonset", "monitoring"),
    ("alertname=KubeJobFailed condition=true container=kube-rbac-proxy-main instance=10.1.0.5:8443 job=kube-state-metrics job_name=backup-28712340 namespace=prod severity=warning",
     "backup", "job_name", "prod"),
    ("alertname=KubeJobNotCompleted job_name=backup-x7x2q namespace=prod severity=warning",
     "backup", "job_name", "prod"),
    ("alertname=KubeHpaMaxedOut container=kube-rbac-proxy-main horizontalpodautoscaler=api instance=10.1.0.5:8443 job=kube-state-metrics namespace=prod severity=warning",
     "api", "horizontalpodautoscaler", "prod"),
    ("alertname=KubePdbNotEnoughHealthyPods container=kube-rbac-proxy-main instance=10.1.0.5:8443 job=kube-state-metrics namespace=prod poddisruptionbudget=api severity=warning",
     "api", "poddisruptionbudget", "prod"),
    ("alertname=KubePersistentVolumeErrors container=kube-rbac-proxy-main instance=10.1.0.5:8443 job=kube-state-metrics persistentvolume=pvc-7d1e95f1 phase=Failed severity=critical",
     "pvc-7d1e95f1", "persistentvolume", ""),
    ("alertname=KubeNodeNotReady condition=Ready container=kube-rbac-proxy-main instance=10.1.0.5:8443 job=kube-state-metrics node=worker-1 severity=warning status=true",
     "worker-1", "node", ""),
    ("alertname=KubeNodeReadinessFlapping node=worker-1 severity=warning",
     "worker-1", "node", ""),
    ("alertname=KubeQuotaAlmostFull container=kube-rbac-proxy-main instance=10.1.0.5:8443 job=kube-state-metrics namespace=prod resource=pods resourcequota=small severity=info",
     "kube-state-metrics", "job", "prod"),
    // kube-state-metrics under the Helm chart, with the exporter's own labels where the metric has none.
    ("alertname=KubePodCrashLooping container=node-exporter endpoint=http instance=10.1.0.5:8080 job=kube-state-metrics namespace=monitoring pod=kps-prometheus-node-exporter-x2x7z reason=CrashLoopBackOff service=kps-kube-state-metrics severity=warning",
     "node-exporter", "container", "monitoring"),
    ("alertname=KubeNodeNotReady condition=Ready container=kube-state-metrics endpoint=http instance=10.1.0.5:8080 job=kube-state-metrics namespace=monitoring node=worker-1 pod=kps-kube-state-metrics-6c9f7d8b5c-x2x7z service=kps-kube-state-metrics severity=warning status=true",
     "worker-1", "node", "monitoring"),
    ("alertname=KubeDeploymentReplicasMismatch container=kube-state-metrics deployment=api endpoint=http instance=10.1.0.5:8080 job=kube-state-metrics namespace=prod pod=kps-kube-state-metrics-6c9f7d8b5c-x2x7z service=kps-kube-state-metrics severity=warning",
     "api", "deployment", "prod"),
    ("alertname=KubeQuotaAlmostFull container=kube-state-metrics endpoint=http instance=10.1.0.5:8080 job=kube-state-metrics namespace=prod pod=kps-kube-state-metrics-6c9f7d8b5c-x2x7z resource=pods resourcequota=small service=kps-kube-state-metrics severity=info",
     "kube-state-metrics", "job", "prod"),
    // kube-state-metrics under Prometheus' example for Kubernetes, which copies the labels of its service.
    ("alertname=KubePodCrashLooping app_kubernetes_io_name=kube-state-metrics container=api instance=10.1.0.5:8080 job=kubernetes-service-endpoints namespace=prod node=worker-2 pod=api-6c9f7d8b5c-x2x7z reason=CrashLoopBackOff service=prom-kube-state-metrics severity=warning",
     "api", "container", "prod"),
    ("alertname=HighErrorRate app_kubernetes_io_name=shop instance=10.1.0.9:8080 job=kubernetes-pods namespace=prod pod=shop-6c9f7d8b5c-x2x7z severity=warning",
     "shop", "app_kubernetes_io_name", "prod"),
    // The kubelet, and the cAdvisor in it.
    ("alertname=KubePersistentVolumeFillingUp endpoint=https-metrics instance=10.0.0.1:10250 job=kubelet metrics_path=/metrics namespace=prod node=worker-1 persistentvolumeclaim=data-db-0 service=kubelet severity=critical",
     "data-db-0", "persistentvolumeclaim", "prod"),
    ("alertname=CPUThrottlingHigh container=api namespace=prod pod=api-6c9f7d8b5c-x2x7z severity=info",
     "api", "container", "prod"),
    ("alertname=ContainerMemoryHigh container=node-exporter endpoint=https-metrics instance=10.0.0.1:10250 job=kubelet metrics_path=/metrics/cadvisor namespace=monitoring node=worker-1 pod=node-exporter-x2x7z service=kubelet severity=warning",
     "node-exporter", "container", "monitoring"),
    ("alertname=KubeletClientCertificateRenewalErrors endpoint=https-metrics instance=10.0.0.1:10250 job=kubelet metrics_path=/metrics namespace=kube-system node=worker-1 service=kubelet severity=warning",
     "worker-1", "node", "kube-system"),
    ("alertname=KubeletDown job=kubelet severity=critical",
     "kubelet", "job", ""),
    // node exporter: its namespace is the exporter's, as a node is in none.
    ("alertname=NodeFilesystemAlmostOutOfSpace container=kube-rbac-proxy device=/dev/sda1 endpoint=https fstype=ext4 instance=worker-1 job=node-exporter mountpoint=/ namespace=monitoring pod=node-exporter-x2x7z service=node-exporter severity=warning",
     "worker-1", "instance", "monitoring"),
    ("alertname=NodeFilesystemAlmostOutOfSpace container=node-exporter device=/dev/sda1 endpoint=http-metrics fstype=ext4 instance=10.0.0.1:9100 job=node-exporter mountpoint=/ namespace=monitoring pod=kps-prometheus-node-exporter-x2x7z service=kps-prometheus-node-exporter severity=warning",
     "10.0.0.1:9100", "instance", "monitoring"),
    ("alertname=NodeClockNotSynchronising instance=web1:9100 job=node severity=warning",
     "web1:9100", "instance", ""),
    // What is down is the exporter.
    ("alertname=TargetDown job=node-exporter namespace=monitoring service=node-exporter severity=warning",
     "node-exporter", "job", "monitoring"),
    ("alertname=TargetDown job=api namespace=prod service=api severity=warning",
     "api", "job", "prod"),
    // The target is what was probed.
    ("alertname=ProbeFailed instance=https://shop.example.com job=blackbox severity=critical",
     "https://shop.example.com", "instance", ""),
    ("alertname=ProbeFailed instance=https://shop.example.com job=prometheus-blackbox-exporter namespace=monitoring severity=critical",
     "https://shop.example.com", "instance", "monitoring"),
    ("alertname=RedisDown instance=redis://cache-1:6379 job=redis_exporter severity=critical",
     "redis://cache-1:6379", "instance", ""),
    // The address of an exporter's own pod is another after each restart.
    ("alertname=PostgresqlDown container=exporter endpoint=http instance=10.1.0.7:9187 job=postgres-exporter namespace=prod pod=postgres-exporter-6c9f7d8b5c-x2x7z service=postgres-exporter severity=critical",
     "postgres-exporter", "job", "prod"),
    // No exporter.
    ("alertname=HighErrorRate instance=10.1.0.9:8080 job=kube-state-metrics service=checkout severity=critical",
     "checkout", "service", ""),
    ("alertname=HostHighCpuLoad instance=web1:9100 severity=warning",
     "", "", ""),
    ("alertname=KubeMemoryOvercommit severity=warning",
     "", "", ""),
];

fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace();
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn alert(labels: Labels) -> Alert {
    Alert {
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        fingerprint: "f".to_owned(),
        starts_at: None,
        ends_at: None,
        lease_ms: None,
        generator_url: None,
        rule: None,
        identity: None,
    }
}

fn called(text: &str) -> Signature {
    Signature::of(&alert(labels(text)), &SignatureLabels::default())
}

#[test]
fn the_commonest_alerts_are_called_by_what_they_are_about() {
    for (text, service, label, namespace) in CALLED {
        let found = called(text);
        let (all, settings) = (labels(text), SignatureLabels::default());
        let written = SignatureLabelNames::written(&alert(all.clone()).names(&settings));
        let made_of: SignatureLabelNames = serde_json::from_str(&written).unwrap();
        assert_eq!(found.service, service, "{text}");
        assert_eq!(made_of.service, label, "{text}");
        assert_eq!(found.namespace, namespace, "{text}");
        assert_eq!(found.alert_name, all["alertname"], "{text}");
        assert_eq!(made_of.alert_name, "alertname");
        let reason = all.get("reason").unwrap_or_default();
        assert_eq!(found.error_type, reason, "{text}");
        assert_eq!(made_of.error_type.is_empty(), reason.is_empty(), "{text}");
    }
}

#[test]
fn ten_pods_of_one_deployment_are_one_anomaly_and_three_applications_are_three() {
    let pods = "bcdfghjklm".chars();
    let ten: BTreeSet<String> = pods
        .flat_map(|pod| {
            let pod = format!("namespace=prod pod=api-6c9f7d8b5c-x2x7{pod}");
            [
                called(&format!("alertname=KubePodNotReady {pod}")).key(),
                called(&format!(
                    "alertname=KubePodCrashLooping container=api job=kube-state-metrics {pod}"
                ))
                .key(),
            ]
        })
        .collect();
    assert_eq!(ten.len(), 2);
    let three: BTreeSet<String> = ["api", "cart", "search"]
        .map(|app| {
            let text = format!(
                "alertname=KubePodCrashLooping container={app} job=kube-state-metrics namespace=prod \
                 pod={app}-6c9f7d8b5c-x2x7z"
            );
            called(&text).key()
        })
        .into();
    assert_eq!(three.len(), 3);
}

#[test]
fn the_settings_say_what_an_exporter_is() {
    let none = SignatureLabels {
        exporters: Vec::new(),
        ..SignatureLabels::default()
    };
    let text = "alertname=A container=api job=kube-state-metrics namespace=prod";
    let found = Signature::of(&alert(labels(text)), &none);
    assert_eq!(found.service, "kube-state-metrics");
}

#[test]
fn an_empty_label_is_as_if_it_were_missing() {
    let mut with = labels("alertname=A service=api");
    with.insert("job", "");
    with.insert("namespace", "");
    let with = Signature::of(&alert(with), &SignatureLabels::default());
    assert_eq!(with, called("alertname=A service=api"));
}

#[test]
fn the_signature_of_the_ingress_wins_over_the_settings_of_the_worker() {
    let ingress = SignatureLabels::default();
    let worker = SignatureLabels {
        service: vec!["uid".to_owned(), "job".to_owned()],
        exporters: Vec::new(),
        ..SignatureLabels::default()
    };
    for (text, service, ..) in CALLED {
        let mut alert = alert(labels(text));
        let names = ingress.names(|name| alert.labels.get(name));
        let identity = Identity::beside(&alert.labels, &names, true);
        alert.identity = Some(identity);
        let job = serde_json::to_string(&alert).unwrap();
        let read: Alert = serde_json::from_str(&job).unwrap();
        let found = Signature::of(&read, &worker);
        assert_eq!(found, called(text), "{text}");
        assert_eq!(found.service, service, "{text}");
        assert!(read.is_ignored(&[]), "{text}");
    }
}

#[test]
fn a_job_carries_only_alert_facts_that_labels_lack() {
    for (text, expected) in [
        (
            "alertname=A job=api namespace=prod reason=OOMKilled",
            r#","by":{}}"#,
        ),
        ("alertname=A", r#","by":{}}"#),
        (
            "alertname=A container=api job=kube-state-metrics namespace=prod",
            r#","by":{"service":"container"}}"#,
        ),
    ] {
        let mut alert = alert(labels(text));
        let settings = SignatureLabels::default();
        let names = settings.names(|name| alert.labels.get(name));
        alert.identity = Some(Identity::beside(&alert.labels, &names, false));
        let job = serde_json::to_string(&alert).unwrap();
        assert!(job.ends_with(expected), "{job}");
    }
}

#[test]
fn a_job_without_the_field_follows_the_settings() {
    let job =
        r#"{"status":"firing","labels":{"alertname":"Watchdog","job":"api"},"fingerprint":"f"}"#;
    let read: Alert = serde_json::from_str(job).unwrap();
    let settings = SignatureLabels {
        service: vec!["alertname".to_owned()],
        ..SignatureLabels::default()
    };
    assert_eq!(Signature::of(&read, &settings).service, "Watchdog");
    assert!(read.is_ignored(&["Watchdog".to_owned()]));
    assert!(!read.is_ignored(&[]));
}

fn signature(fields: [&str; 4]) -> Signature {
    let [alert_name, service, namespace, error_type] = fields.map(str::to_owned);
    Signature {
        alert_name,
        service,
        namespace,
        error_type,
    }
}

#[test]
fn fields_do_not_run_into_each_other() {
    assert_ne!(
        signature(["ab", "c", "", ""]).key(),
        signature(["a", "bc", "", ""]).key()
    );
    assert_ne!(
        signature(["a", "", "b", ""]).key(),
        signature(["a", "b", "", ""]).key()
    );
}

#[test]
fn the_key_does_not_change_between_versions() {
    assert_eq!(
        signature(["HighErrorRate", "api", "prod", "OOMKilled"]).key(),
        "7d1e95f153bdcdf322541083f21c77a4"
    );
}
