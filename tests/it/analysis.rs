//! Analyses: an incident is sent at once, analyzed a moment later, and never waits for long.

mod model;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::jobs::Analyze;
use tocsin::queue::Push;
use uuid::Uuid;

use crate::harness::{Harness, On, alert, firing, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Harness {
    /// One that analyzes.
    async fn analyzing(on: On) -> Self {
        Self::start_with(on, |config| config.analysis.enabled = true).await
    }

    /// An incident that opens while nobody works on analyses: its path in the API.
    async fn waiting(&self) -> String {
        self.pause("analyze", true).await;
        self.send(vec![firing("a", self.now())]).await;
        self.until("SELECT count(*) FROM incidents WHERE tier IS NOT NULL", 1)
            .await;
        let incident = self.incident().await;
        assert_eq!(incident["status"], "ANALYZING");
        format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap())
    }

    /// Has analyses go on, and waits until they are made.
    async fn analyze_all(&self) {
        self.pause("analyze", false).await;
        self.drain().await;
    }

    async fn analyses(&self, outcome: &str) -> u64 {
        let metrics = self.metrics().await;
        let name = format!("tocsin_analyses_total{{outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse().unwrap()
    }

    /// An incident of this alert, which is over within the minute.
    async fn comes_and_goes(&self, name: &str) {
        let alert = alert(name, "a", self.now());
        self.send_and_drain(vec![alert.clone()]).await;
        self.advance(MINUTE);
        self.send_and_drain(vec![resolved(alert, self.now())]).await;
    }
}

fn kinds(incident: &Value) -> Vec<&str> {
    let findings = incident["analysis"]["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|f| f["kind"].as_str().unwrap())
        .collect()
}

on_all! {
    async fn an_incident_is_told_at_once_and_its_card_is_edited_when_it_is_analyzed(on) {
        let h = Harness::analyzing(on).await;
        h.comes_and_goes("CrashLooping").await;
        let first = h.incident().await;
        assert_eq!(kinds(&first), ["first"]);
        assert_eq!((&first["analyze_due_since"], first["status"].as_str()), (&Value::Null, Some("RESOLVED")));

        h.advance(HOUR);
        h.pause("analyze", true).await;
        h.send(vec![firing("b", h.now())]).await;
        h.until("SELECT count(*) FROM notifications WHERE state = 'sent'", 2).await;
        let card = h.telegram.messages()[1].clone();
        assert!(!card.shown.contains("first seen"), "{}", card.shown);
        let open = h.get("/api/v1/incidents?status=OPEN").await;
        assert_eq!(open["items"][0]["status"], "ANALYZING", "{open}");
        let analyzing = h.get("/api/v1/incidents?status=ANALYZING").await;
        assert_eq!(analyzing["items"][0]["id"], open["items"][0]["id"]);

        h.analyze_all().await;
        let card = h.telegram.messages()[1].clone();
        assert!(card.shown.contains("First seen on"), "{}", card.shown);
        assert_eq!((card.edits, h.telegram.messages().len()), (1, 2));
        let incident = h.get("/api/v1/incidents?status=OPEN").await["items"][0].clone();
        assert_eq!((incident["status"].as_str(), kinds(&incident)), (Some("OPEN"), vec!["frequency", "thin"]));
        let sentences = incident["analysis_sentences"].as_array().unwrap();
        assert!(sentences[0].as_str().unwrap().starts_with("First seen on"), "{sentences:?}");
        h.finish().await;
    }

    async fn an_analysis_whose_job_is_lost_is_made_all_the_same(on) {
        let h = Harness::analyzing(on).await;
        let path = h.waiting().await;
        h.lose("analyze").await;
        h.pause("analyze", false).await;
        h.advance(Duration::from_secs(61));
        h.recount().await;
        let incident = h.get(&path).await;
        assert_eq!((incident["status"].as_str(), kinds(&incident)), (Some("OPEN"), vec!["first"]));
        h.finish().await;
    }

    async fn an_incident_that_nobody_analyzes_is_open_after_a_while(on) {
        let h = Harness::analyzing(on).await;
        let path = h.waiting().await;
        h.lose("analyze").await;
        let recount = async || {
            tocsin_workers::recount::push_overdue(&h.context, false).await.unwrap();
            h.get(&path).await
        };
        h.advance(MINUTE);
        assert_eq!(recount().await["status"], "ANALYZING");
        h.advance(2 * MINUTE);
        let incident = recount().await;
        assert_eq!((&incident["status"], &incident["analysis"]), (&json!("OPEN"), &Value::Null));
        assert_ne!(incident["analyze_due_since"], Value::Null, "it may be analyzed still");
        // A job that waits in vain is given up.
        h.advance(HOUR);
        let incident = recount().await;
        assert_eq!((&incident["analysis"], &incident["analyze_due_since"]), (&Value::Null, &Value::Null));
        h.analyze_all().await;
        assert_eq!(h.get(&path).await["analysis"], Value::Null);
        h.finish().await;
    }

    async fn an_analysis_that_is_made_again_and_again_at_once_is_written_once(on) {
        let h = Harness::analyzing(on).await;
        let path = h.waiting().await;
        let incident: Uuid = h.get(&path).await["id"].as_str().unwrap().parse().unwrap();
        for _ in 0..6 {
            h.context.queues.push(Push::new(&Analyze { incident })).await.unwrap();
        }
        h.analyze_all().await;
        assert_eq!(h.analyses("built_in").await, 1);
        assert_eq!(h.get(&path).await["status"], "OPEN");
        // Of one that there is not, there is nothing to do.
        h.context.queues.push(Push::new(&Analyze { incident: Uuid::nil() })).await.unwrap();
        h.finish().await;
    }

    async fn an_incident_that_waits_is_acknowledged_and_resolved_as_an_open_one(on) {
        let h = Harness::analyzing(on).await;
        let path = h.waiting().await;
        let (status, incident) = h.post(&format!("{path}/acknowledge"), json!({"operator": "ann"})).await;
        assert_eq!((status, &incident["status"]), (200, &json!("ACKNOWLEDGED")));
        h.send(vec![alert("Other", "a", h.now())]).await;
        h.until("SELECT count(*) FROM incidents WHERE status = 'ANALYZING'", 1).await;
        // What joins it changes nothing about that.
        h.send(vec![alert("Other", "b", h.now())]).await;
        h.until("SELECT count(*) FROM incidents WHERE aggregated_count = 2", 1).await;
        let many = json!({"status": "OPEN"});
        let (status, resolved) = h.post("/api/v1/incidents/resolve", many).await;
        assert_eq!((status, &resolved["changed"]), (200, &json!(1)), "{resolved}");
        h.analyze_all().await;
        let incidents = h.incidents().await;
        let found = incidents.iter().map(|i| (i["status"].as_str().unwrap(), !kinds(i).is_empty()));
        assert_eq!(found.collect::<Vec<_>>(), [("RESOLVED", true), ("ACKNOWLEDGED", true)]);
        h.finish().await;
    }

    async fn an_incident_is_analyzed_again_when_somebody_asks_for_it(on) {
        // It is open at once where none is analyzed by itself.
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["analysis"]), (&json!("OPEN"), &Value::Null));
        let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
        h.pause("analyze", true).await;
        let ask = async || h.post(&format!("{path}/analyze"), json!({"operator": "ann"})).await;
        let (status, first) = ask().await;
        assert_eq!((status, &first["status"]), (200, &json!("OPEN")), "{first}");
        h.advance(MINUTE);
        let (status, second) = ask().await;
        assert_eq!((status, &second["analyze_due_since"]), (200, &first["analyze_due_since"]));
        h.analyze_all().await;
        assert_eq!(h.analyses("built_in").await, 1);
        h.post(&format!("{path}/repairs"), json!({"action": "rollback", "success": true})).await;
        h.drain().await;
        ask().await;
        h.drain().await;
        assert_eq!(kinds(&h.get(&path).await), ["first", "repairs"]);
        let audited = "SELECT count(*) FROM audit WHERE action = 'incident.analyze' AND operator = 'ann'";
        assert_eq!(h.sql(audited).await, 3);
        let id = path.rsplit('/').next().unwrap();
        let (ok, said) = h.tocsin(&["incidents", "analyze", id]);
        assert!(ok && said.contains("analysis requested"), "{said}");
        h.drain().await;
        let (ok, said) = h.tocsin(&["incidents", "show", id]);
        assert!(ok && said.contains("Tried so far: rollback was reported to have helped 1 of 1 times (not judged yet)."), "{said}");
        let gone = format!("/api/v1/incidents/{}/analyze", Uuid::nil());
        assert_eq!(h.post(&gone, json!({})).await.0, 404);
        h.finish().await;
    }

    async fn a_storm_is_analyzed_whole_and_few_of_its_cards_name_the_others(on) {
        let h = Harness::analyzing(on).await;
        h.pause("analyze", true).await;
        h.send((0..300).map(|n| alert(&format!("Storm{n:03}"), "a", h.now())).collect()).await;
        let waiting = "SELECT count(*) FROM incidents WHERE status = 'ANALYZING' AND tier IS NOT NULL";
        h.until(waiting, 300).await;
        h.analyze_all().await;
        let unanalyzed = "SELECT count(*) FROM incidents \
            WHERE status <> 'OPEN' OR analysis IS NULL OR analyze_due_since IS NOT NULL";
        assert_eq!((h.sql(unanalyzed).await, h.analyses("built_in").await), (0, 300));
        // Where 200 opened before, none of them is named; the first has none before it.
        let naming = "SELECT count(*) FROM incidents WHERE CAST(analysis AS TEXT) LIKE '%\"before\"%'";
        assert_eq!(h.sql(naming).await, 199);
        h.finish().await;
    }

    async fn what_is_stored_is_what_is_shown(on) {
        let h = Harness::analyzing(on).await;
        for _ in 0..6 {
            h.comes_and_goes("PaymentDown").await;
            h.comes_and_goes("CrashLooping").await;
            h.advance(24 * HOUR - 2 * MINUTE);
        }
        h.comes_and_goes("DiskFull").await;
        h.comes_and_goes("PaymentDown").await;
        let mut crash = firing("a", h.now());
        crash["annotations"]["runbook_url"] = json!("https://me:secret@runbooks.example/crash");
        h.send_and_drain(vec![crash]).await;
        let newest = h.incidents().await[0].clone();
        let findings = newest["analysis"]["findings"].as_array().unwrap();
        assert_eq!(kinds(&newest), ["frequency", "hours", "together", "before", "runbook"], "{findings:#?}");
        let frequency = &findings[0];
        assert_eq!((&frequency["pace"], &frequency["incidents"]), (&json!("new"), &json!(7)));
        assert_eq!(frequency["service"], json!({"service": "checkout", "namespace": "prod", "incidents": 15}));
        assert_eq!((&findings[1]["days"], &findings[1]["of_days"]), (&json!(7), &json!(7)));
        let together = &findings[2];
        let figures = ["alert_name", "times", "of", "first"].map(|name| &together[name]);
        assert_eq!(figures, [&json!("PaymentDown"), &json!(6), &json!(6), &json!(6)]);
        let seconds = together["seconds_before"].as_i64().unwrap();
        assert!((60..=120).contains(&seconds), "{seconds}");
        let before = &findings[3];
        let seconds = before["seconds"].as_i64().unwrap();
        assert_eq!(before["alert_name"], "DiskFull", "what opens together is not said twice");
        assert!((120..=240).contains(&seconds), "{seconds}");
        assert_eq!(findings[4]["url"], "https://runbooks.example/crash");

        // The page leads to the evidence.
        let page = h.http.get(format!("{}/incidents/{}", h.url, newest["id"].as_str().unwrap()));
        let page = page.header("accept-language", "zh-TW").send().await.unwrap().text().await.unwrap();
        let link = format!("href=\"/anomalies/{}\"", together["anomaly_key"].as_str().unwrap());
        assert!(page.contains(&link) && page.contains("6 起的前後 5 分鐘內 PaymentDown (checkout) 也發生"), "{page}");
        h.finish().await;
    }
}
