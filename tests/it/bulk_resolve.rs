//! Many incidents at once: found by a text in whatever case, and resolved together.

use serde_json::{Value, json};

use crate::harness::{Harness, alert, firing};
use crate::on_all;

const MANY: &str = "/api/v1/incidents/resolve";

/// One incident each, of a build of its own.
fn builds(h: &Harness, n: usize) -> Vec<Value> {
    let build = |n: usize| {
        let mut alert = alert("BuildFailed", "x", h.now());
        alert["labels"]["job"] = json!(format!("build-{n}"));
        alert["fingerprint"] = json!(format!("build-{n}"));
        alert
    };
    (0..n).map(build).collect()
}

on_all! {
    async fn all_that_match_are_resolved_and_no_other(on) {
        let h = Harness::start(on).await;
        let mut alerts = builds(&h, 230);
        alerts.push(firing("a", h.now()));
        h.send_and_drain(alerts).await;

        for body in [json!({}), json!({"operator": "ann"}), json!({"q": " "}), json!({"status": "RESOLVED"}),
            json!({"all": true, "q": "buildfailed"}), json!({"all": true, "older_than": "1h"}),
        ] {
            let (status, answer) = h.post(MANY, body).await;
            assert_eq!(status, 400, "{answer}");
        }
        let (_, found) = h.post(MANY, json!({"q": "BUILDFAILED", "dry_run": true})).await;
        assert_eq!((&found["matching"], &found["changed"]), (&json!(230), &json!(0)));
        let (_, none) = h.post(MANY, json!({"q": "buildfailed", "older_than": "1h"})).await;
        assert_eq!(none["changed"], 0);

        let asked = json!({"q": "buildfailed", "operator": "ann", "as_of": found["as_of"]});
        let (status, done) = h.post(MANY, asked.clone()).await;
        assert_eq!((status, &done["changed"], &done["more"]), (200, &json!(230), &json!(false)));
        h.drain().await;
        let resolved = "SELECT count(*) FROM incidents WHERE status = 'RESOLVED' AND operator = 'ann' \
                        AND resolved_by = 'person'";
        assert_eq!(h.sql(resolved).await, 230);
        let audited = "SELECT count(DISTINCT target) FROM audit WHERE action = 'incident.resolve' \
                       AND operator = 'ann'";
        assert_eq!(h.sql(audited).await, 230);
        let (_, again) = h.post(MANY, asked).await;
        assert_eq!(again["changed"], 0);

        let (ok, said) = h.tocsin(&["incidents", "resolve", "--service", "checkout"]);
        assert!(!ok && said.contains("cannot ask for confirmation without a terminal: pass --yes to resolve 1 incident"), "{said}");
        let (ok, said) = h.tocsin(&["incidents", "resolve"]);
        assert!(!ok && said.contains("nothing selected"), "{said}");
        let (ok, said) = h.tocsin(&["incidents", "resolve", "--all", "--service", "checkout", "--older-than", "1m", "--yes"]);
        assert!(!ok && said.contains("--all selects every unresolved incident"), "{said}");
        assert!(said.contains("--older-than") && said.contains("--service"), "{said}");
        let (ok, said) = h.tocsin(&["incidents", "resolve", "--service", "checkout", "--yes"]);
        assert!(ok && said.contains("1 incident resolved."), "{said}");
        assert_eq!(h.sql("SELECT count(*) FROM incidents WHERE status <> 'RESOLVED'").await, 0);
        let (ok, said) = h.tocsin(&["incidents", "resolve", "--all", "--yes"]);
        assert!(ok && said.contains("No unresolved incidents match."), "{said}");
        h.finish().await;
    }

    async fn a_text_is_found_in_whatever_case_and_alphabet(on) {
        let mut h = Harness::start(on).await;
        let titled = |name: &str, title: &str| {
            let mut alert = alert(name, name, h.now());
            alert["annotations"]["summary"] = json!(title);
            alert
        };
        let titles = ["Диск заполнен на 95%", "Übertragung gestört", "ΟΔΟΣ [a] *?", "磁碟已滿"];
        let alerts = titles.iter().enumerate().map(|(n, title)| titled(&format!("T{n}"), title));
        h.send_and_drain(alerts.collect()).await;
        for (asked, expected) in [
            ("диск", Some(0)), ("ДИСК ЗАП", Some(0)), ("на 95%", Some(0)), ("на 9_%", None),
            ("übertragung", Some(1)), ("GESTÖRT", Some(1)), ("BERTRAGUNG", Some(1)),
            ("οδος [A]", Some(2)), ("οδοσ", Some(2)), ("ΟΔΟΣ [a] *?", Some(2)), ("ο*ς", None), ("ΟΔΟΣ (a)", None),
            ("碟已", Some(3)), ("крыса", None),
        ] {
            let asked_for = reqwest::Url::parse_with_params("http://x/", [("q", asked)]).unwrap();
            let path = format!("/api/v1/incidents?{}", asked_for.query().unwrap());
            let found = h.get(&path).await;
            let found: Vec<&str> = found["items"].as_array().unwrap().iter()
                .map(|item| item["title"].as_str().unwrap()).collect();
            let expected: Vec<&str> = expected.iter().map(|n: &usize| titles[*n]).collect();
            assert_eq!(found, expected, "{asked}");
        }

        let nameless = json!({"alerts": [{"labels": {"job": "Рабочая нагрузка"}}]});
        let (_, taken) = h.post("/api/v1/alertmanager", nameless).await;
        assert_eq!(taken["rejected"], 1);
        h.drain().await;
        for (asked, expected) in [("рабочая НАГРУЗКА", 1), ("нагрузка.", 0), ("ALERTMANAGER", 1)] {
            let asked_for = reqwest::Url::parse_with_params("http://x/", [("q", asked)]).unwrap();
            let found = h.get(&format!("/api/v1/dead-letters?{}", asked_for.query().unwrap())).await;
            assert_eq!(found["items"].as_array().unwrap().len(), expected, "{asked}");
        }
        h.finish_with_dead_letters().await;
    }
}
