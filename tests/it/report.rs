//! The report of a period: its figures are those of what was done, and once a week it is sent once.

mod sent;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::store::source_tallies;
use tocsin::time::Timestamp;

use crate::harness::{Harness, On, alert, resolved};
use crate::on_both;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl Harness {
    /// Firings of an alert, each a series of its own that ends at once.
    async fn fire_often(&self, name: &str, times: usize) {
        for n in 0..times {
            let firing = alert(name, &format!("pod-{n}-{}", self.now().0), self.now());
            self.send_and_drain(vec![firing.clone()]).await;
            self.send_and_drain(vec![resolved(firing, self.now())])
                .await;
        }
    }

    async fn read_report(&self, query: &str) -> Value {
        self.get(&format!("/api/v1/report{query}")).await
    }
}

on_both! {
    async fn a_report_says_what_came_in_what_came_back_and_what_was_done(on) {
        let mut h = Harness::start(on).await;
        // The week before.
        h.fire_often("DiskFull", 1).await;
        h.fire_often("Quiet", 1).await;
        let fixed = h.get("/api/v1/anomalies?limit=10").await;
        let key = |name: &str| fixed["items"].as_array().unwrap().iter()
            .find(|one| one["alert_name"] == name).unwrap()["key"].as_str().unwrap().to_owned();
        let (disk, quiet) = (key("DiskFull"), key("Quiet"));
        let fix = json!({"reference": "PR-7", "operator": "ann"});
        let (status, _) = h.post(&format!("/api/v1/anomalies/{disk}/permanent-fix"), fix).await;
        assert_eq!(status, 200);
        h.advance(8 * DAY);
        // This week: the fix does not hold, and there is something new.
        h.fire_often("DiskFull", 3).await;
        let pod = alert("Fresh", "pod", h.now());
        h.send_and_drain(vec![pod.clone()]).await;
        let incidents = h.incidents().await;
        let opened = incidents.iter().find(|one| one["alert_name"] == "Fresh").unwrap();
        let id = opened["id"].as_str().unwrap().to_owned();
        h.advance(Duration::from_secs(240));
        let by = json!({"operator": "ann"});
        h.post(&format!("/api/v1/incidents/{id}/acknowledge"), by).await;
        let repair = json!({"action": "restart_pod", "success": true, "operator": "ann"});
        h.post(&format!("/api/v1/incidents/{id}/repairs"), repair).await;
        h.drain().await;
        h.advance(Duration::from_secs(60));
        h.send_and_drain(vec![resolved(pod, h.now())]).await;
        let muted = json!({"for": "4h", "operator": "ann"});
        h.post(&format!("/api/v1/anomalies/{quiet}/mute"), muted).await;
        h.fire_often("Quiet", 1).await;
        let dead = json!({"alerts": [{"status": "firing"}]});
        h.post("/api/v1/alertmanager", dead).await;
        h.drain().await;
        h.advance(2 * HOUR);
        h.recount().await;
        // Ingresses write their tallies every few seconds, at the hour of their clock.
        h.execute("DELETE FROM source_tallies").await;
        let tally = |ago: Duration, alerts: i64| source_tallies::Tally {
            source: "made-up".to_owned(),
            hour: source_tallies::hour(h.now().before(ago)),
            alerts,
            ..source_tallies::Tally::default()
        };
        let tallies = [tally(3 * HOUR, 40), tally(9 * DAY, 20)];
        source_tallies::add(h.context.db.write(), &tallies).await.unwrap();

        let report = h.read_report("").await;
        assert_eq!(report["alerts"], json!({"count": 40, "before": 20}), "{report:#}");
        assert_eq!(report["occurrences"], json!({"count": 5, "before": 2}), "{report:#}");
        let opened = report["incidents"]["count"].as_i64().unwrap();
        let rows = h.sql("SELECT count(*) FROM incidents WHERE number > 1 OR title LIKE '%Fresh%'").await;
        assert_eq!(opened, rows, "{report:#}");
        let sent = report["messages"]["count"].as_i64().unwrap() + report["messages"]["before"].as_i64().unwrap();
        assert_eq!(sent, h.sql("SELECT count(*) FROM notifications WHERE state = 'sent'").await);
        assert_eq!(report["kept_away"]["muted"], h.sql("SELECT count(*) FROM notifications \
            WHERE state = 'muted'").await);
        let most = &report["returning"][0];
        assert_eq!((&most["alert_name"], &most["count"], &most["before"]), (&json!("DiskFull"), &json!(3), &json!(1)));
        let days: i64 = most["days"].as_array().unwrap().iter().map(|day| day.as_i64().unwrap()).sum();
        assert_eq!((days, report["days"].as_array().unwrap().len()), (3, 7));
        assert_eq!(report["new_anomalies"], 1);
        assert_eq!(report["newest"][0]["alert_name"], "Fresh");
        assert_eq!(report["repairs"]["attempts"], 1);
        assert_eq!(report["repairs"]["verified"], 1, "{report:#}");
        assert_eq!(report["repairs"]["actions"][0]["action"], "restart_pod");
        assert_eq!(report["failed_fixes"][0]["reference"], "PR-7");
        assert_eq!(report["failed_fixes"].as_array().unwrap().len(), 1);
        assert_eq!(report["acknowledge"]["incidents"], 1);
        let took = report["acknowledge"]["median_ms"].as_i64().unwrap();
        assert!((240_000..300_000).contains(&took), "{took}");
        assert_eq!(report["resolve"]["incidents"], opened);
        assert_eq!(report["dead_letters"]["count"], 1);
        assert_eq!(report["incomplete"], json!([]));

        // Of a month, occurrences are not all kept.
        let month = h.now().before(31 * DAY + HOUR).to_rfc3339();
        let old = h.read_report(&format!("?from={month}&to={}", h.now().before(HOUR).to_rfc3339())).await;
        assert_eq!(old["incomplete"][0]["figures"], "occurrences", "{old:#}");
        assert_eq!((&old["occurrences"]["before"], &old["incidents"]["before"]), (&Value::Null, &json!(0)));
        h.finish_with_dead_letters().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_read_on_the_page_as_markdown_and_in_the_terminal() {
    let h = Harness::start(On::Sqlite).await;
    h.fire_often("Disk|Full", 2).await;
    h.advance(HOUR);
    let get = |path: String, accept: &'static str, language: &'static str| {
        let request = h.http.get(format!("{}{path}", h.url));
        let request = request
            .header("accept", accept)
            .header("accept-language", language);
        async move { request.send().await.unwrap() }
    };
    let page = |language| get("/report".to_owned(), "text/html", language);
    let english = page("en").await.text().await.unwrap();
    for part in [
        "Came back most",
        "Disk|Full",
        "role=\"img\"",
        "New anomalies",
        "Median time to resolve",
    ] {
        assert!(english.contains(part), "{part}: {english}");
    }
    let chinese = page("zh-TW").await.text().await.unwrap();
    assert!(chinese.contains("最常再發生的異常"), "{chinese}");
    // The period before, by the link; and one that cannot be.
    let link = english
        .split("rel=\"prev\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let before = get(link.replace("&amp;", "&"), "text/html", "en").await;
    let before = before.text().await.unwrap();
    assert!(
        before.contains("No anomaly was seen for the first time.")
            && before.contains("rel=\"next\"")
    );
    let wrong = get("/report?from=yesterday".to_owned(), "text/html", "en").await;
    assert_eq!(wrong.status(), 400);

    let markdown = get("/api/v1/report".to_owned(), "text/markdown", "en").await;
    let kind = markdown.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(kind, "text/markdown; charset=utf-8");
    let markdown = markdown.text().await.unwrap();
    assert!(markdown.contains("| Disk\\|Full"), "{markdown}");
    let asked = get("/api/v1/report?format=markdown".to_owned(), "*/*", "en").await;
    assert!(asked.text().await.unwrap().starts_with("# Report"));
    let to = h.now().to_rfc3339();
    for query in [
        format!("?from={to}&to={to}"),
        format!("?from={}&to={to}", h.now().before(40 * DAY).to_rfc3339()),
        "?from=yesterday".to_owned(),
        "?since=1".to_owned(),
    ] {
        let refused = get(format!("/api/v1/report{query}"), "*/*", "en").await;
        assert_eq!(refused.status(), 400, "{query}");
    }

    let until = ["--to", &*to];
    let told = |more: &[&str]| {
        let (ok, said) = h.tocsin(&[&["report"], &until[..], more].concat());
        assert!(ok, "{said}");
        said
    };
    let terminal = told(&[]);
    assert!(
        terminal.contains("Counted firings") && terminal.contains("Disk|Full"),
        "{terminal}"
    );
    assert!(told(&["--markdown"]).contains("## Came back most"));
    let read: Value = serde_json::from_str(&told(&["--json", "--days", "3"])).unwrap();
    let length =
        [&read["from"], &read["to"]].map(|at| Timestamp::parse(at.as_str().unwrap()).unwrap());
    assert_eq!(length[1].since(length[0]), 3 * DAY);
    h.finish().await;
}
