use super::super::labels::Names;
use super::*;

type Matchers = Option<Vec<(String, String)>>;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Matchers {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Some(pairs.iter().map(own).collect())
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

fn found(fields: [&str; 4], pairs: &[(&str, &str)]) -> Matchers {
    let settings = SignatureLabels::default();
    matchers(&signature(fields), None, &labels(pairs), &settings)
}

/// What a silence says of this label.
fn said<'m>(matchers: &'m Matchers, name: &str) -> Option<&'m str> {
    let all = matchers.as_ref().unwrap().iter();
    let mut of = all.filter(|(is, _)| is == name);
    let said = of.next().map(|(_, value)| value.as_str());
    assert_eq!(of.next(), None, "{name} is said twice");
    said
}

#[test]
fn a_silence_holds_for_the_alerts_of_the_anomaly_alone() {
    let all = [
        ("alertname", "A"),
        ("job", "api"),
        ("namespace", "prod"),
        ("reason", "OOM"),
        ("pod", "api-1"),
    ];
    assert_eq!(found(["A", "api", "prod", "OOM"], &all), pairs(&all[..4]));
    // What it does not have, others have.
    let few = [("alertname", "A"), ("service", "api")];
    assert_eq!(
        found(["A", "api", "", ""], &few),
        pairs(&[
            ("alertname", "A"),
            ("job", ""),
            ("service", "api"),
            ("namespace", ""),
            ("reason", ""),
            ("error_type", ""),
        ])
    );
    // A service that is no label's value, and a name that older versions refuse.
    let pod = [
        ("alertname", "A"),
        ("namespace", "n"),
        ("pod", "api-6c9f7d8b5c-x2x7z"),
    ];
    assert_eq!(found(["A", "api", "n", ""], &pod), None);
    let dots = [("alertname", "A"), ("service.name", "api")];
    assert_eq!(found(["A", "api", "", ""], &dots), None);
    assert_eq!(found(["", "", "", ""], &[]), None);
    assert_eq!(
        found(["A", "", "", "too many names"], &[("alertname", "A")]),
        None
    );
}

#[test]
fn an_anomaly_without_a_service_says_that_no_label_names_one() {
    let silence = found(["ErrorRate", "", "", ""], &[("alertname", "ErrorRate")]);
    for name in OTHERWISE.into_iter().filter(|name| is_plain(name)) {
        assert_eq!(said(&silence, name), Some(""), "{name}");
    }
    for name in ["job", "service", "namespace", "reason", "error_type"] {
        assert_eq!(said(&silence, name), Some(""), "{name}");
    }
}

#[test]
fn an_exporters_name_for_want_of_another_silences_nothing_that_it_measures() {
    let all = [("alertname", "HighCpu"), ("job", "node-exporter")];
    let silence = found(["HighCpu", "node-exporter", "", ""], &all);
    assert_eq!(said(&silence, "job"), Some("node-exporter"));
    assert_eq!(said(&silence, "instance"), Some(""));
    assert_eq!(said(&silence, "app"), Some(""));
}

#[test]
fn labels_before_the_one_that_names_the_service_are_as_they_are() {
    let all = [
        ("alertname", "A"),
        ("job", "kube-state-metrics"),
        ("namespace", "prod"),
        ("deployment", "api"),
        ("node", "n1"),
    ];
    let silence = found(["A", "api", "prod", ""], &all);
    assert_eq!(said(&silence, "job"), Some("kube-state-metrics"));
    assert_eq!(said(&silence, "app"), Some(""));
    assert_eq!(said(&silence, "deployment"), Some("api"));
    // What comes after it names nothing.
    assert_eq!(said(&silence, "node"), None);
    // One that is there, comes before, and cannot be said.
    let dots = [&all[..], &[("app.kubernetes.io/name", "x-exporter")]].concat();
    assert_eq!(found(["A", "api", "prod", ""], &dots), None);
}

#[test]
fn the_label_that_named_the_anomaly_is_not_guessed_by_its_value() {
    let settings = SignatureLabels::default();
    let named = signature(["A", "api", "", ""]);
    // Of two with that value the second named it, by the settings of then.
    let all = labels(&[("alertname", "A"), ("job", "api"), ("service", "api")]);
    let made_of = |service: &str| SignatureLabelNames {
        alert_name: "alertname".to_owned(),
        service: service.to_owned(),
        ..SignatureLabelNames::default()
    };
    let of = |service| matchers(&named, Some(&made_of(service)), &all, &settings);
    assert_eq!(said(&of("job"), "service"), None);
    assert_eq!(said(&of("service"), "service"), Some("api"));
    // No label, and one that names services no more.
    assert_eq!(of(""), None);
    let other = labels(&[("alertname", "A"), ("team", "api")]);
    assert_eq!(
        matchers(&named, Some(&made_of("team")), &other, &settings),
        None
    );
    // What a row says that was written from names.
    let written = SignatureLabelNames::written(&Names::usual(&all));
    let made_of: SignatureLabelNames = serde_json::from_str(&written).unwrap();
    assert_eq!(matchers(&named, Some(&made_of), &all, &settings), of("job"));
}

#[test]
fn a_name_of_the_settings_that_cannot_be_said_makes_no_silence() {
    let settings = SignatureLabels {
        service: vec!["acme.service".to_owned(), "job".to_owned()],
        ..SignatureLabels::default()
    };
    let all = labels(&[("alertname", "A"), ("job", "api")]);
    let named = signature(["A", "api", "", ""]);
    assert_eq!(matchers(&named, None, &all, &settings), None);
    let after = SignatureLabels {
        service: vec!["job".to_owned(), "acme.service".to_owned()],
        ..SignatureLabels::default()
    };
    assert!(matchers(&named, None, &all, &after).is_some());
}
