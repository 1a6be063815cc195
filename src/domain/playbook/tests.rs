use super::*;

fn read(json: serde_json::Value) -> Playbook {
    serde_json::from_value(json).unwrap()
}

#[test]
fn the_closest_playbook_is_taken() {
    use serde_json::json;
    let all = [
        read(json!({"name": "all", "tier_1": "restart_pod"})),
        read(json!({"name": "web", "service": "web", "tier_1": "restart_pod"})),
        read(json!({"name": "pods", "alert_name": "KubePod*", "tier_1": "restart_pod"})),
        read(json!({"name": "loop", "alert_name": ["X", "KubePodLoop"], "tier_1": "rollback"})),
        read(json!({"name": "again", "alert_name": "KubePodLoop", "tier_1": "rollback"})),
        read(
            json!({"name": "in-prod", "alert_name": "KubePodLoop", "namespace": "prod",
                    "tier_1": "rollback"}),
        ),
    ];
    for (alert_name, service, namespace, expected) in [
        ("Disk", "db", "prod", "all"),
        ("Disk", "web", "prod", "web"),
        ("KubePodSlow", "web", "prod", "pods"),
        ("KubePodLoop", "web", "dev", "loop"),
        ("KubePodLoop", "web", "prod", "in-prod"),
    ] {
        let of = PlaybookKey {
            alert_name,
            service,
            namespace,
            error_type: "",
        };
        let found = closest(&all, of, |playbook| playbook).unwrap();
        assert_eq!(found.name, expected, "{alert_name} {service} {namespace}");
    }
}

#[test]
fn a_playbook_has_a_name_and_each_action_once() {
    use serde_json::json;
    for (given, wrong) in [
        (json!({"name": "a", "tier_1": "restart_pod"}), None),
        (json!({"name": "", "tier_1": "x"}), Some("name")),
        (json!({"name": "a b", "tier_1": "x"}), Some("name")),
        (json!({"name": "a"}), Some("tier_1: there is no action")),
        (
            json!({"name": "a", "tier_2": [" "]}),
            Some("must have a name"),
        ),
        (
            json!({"name": "a", "tier_1": "Restart Pod", "tier_3": "restart_pod"}),
            Some("twice"),
        ),
        (
            json!({"name": "a", "alert_name": "", "tier_1": "x"}),
            Some("pattern"),
        ),
    ] {
        let found = read(given.clone()).check();
        let is_as_expected = match (&found, wrong) {
            (Ok(()), None) => true,
            (Err(why), Some(wrong)) => why.to_string().contains(wrong),
            _ => false,
        };
        assert!(is_as_expected, "{given}: {found:?}");
    }
}
