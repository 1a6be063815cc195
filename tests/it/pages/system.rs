//! The page of the system says what is known, and no more.

use serde_json::json;
use tocsin_workers::recount;

use crate::harness::{Harness, On, firing};
use crate::on_all;

impl Harness {
    async fn system(&self) -> String {
        let page = self.http.get(format!("{}/system", self.url));
        let page = page.send().await.unwrap();
        assert_eq!(page.status(), 200);
        page.text().await.unwrap()
    }
}

on_all! {
    async fn channels_are_as_their_messages_went_and_alerts_are_accounted_for(on) {
        let mut h = Harness::start(on).await;
        let page = h.system().await;
        assert!(page.contains("no recent attempts"), "{page}");
        h.send_and_drain(vec![firing("a", h.now()), firing("b", h.now())]).await;
        let page = h.system().await;
        assert!(page.contains("last sent <time"), "{page}");
        assert!(page.contains("Total outcomes</dt><dd><span class=\"n\">2<"), "{page}");
        assert!(page.contains("Every received alert has an outcome"), "{page}");
        assert!(["As of <time", "Just now."].iter().any(|age| page.contains(age)), "{page}");
        let blocked = json!({"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked"});
        h.telegram.answer_next(403, blocked);
        h.send_and_drain(vec![crate::harness::alert("Other", "c", h.now())]).await;
        let page = h.system().await;
        assert!(page.contains("failed <time") && page.contains("bot was blocked"), "{page}");
        h.context.metrics.alerts.add("alertmanager", tocsin::telemetry::metrics::Outcome::Counted);
        assert!(h.system().await.contains("1 more outcome than received alerts"));
        h.finish_with_dead_letters().await;
    }

    async fn refused_deliveries_are_shown_with_the_start_of_their_bodies(on) {
        let h = Harness::start(on).await;
        assert!(h.system().await.contains("No webhook requests were refused"));
        let webhook = format!("{}/api/v1/alertmanager", h.url);
        let post = async |body: Vec<u8>| {
            let answer = h.http.post(&webhook).body(body).send().await.unwrap();
            answer.status().as_u16()
        };
        let mut unreadable = b"<alerts>\0&".to_vec();
        unreadable.resize(10_000, b'x');
        assert_eq!(post(unreadable).await, 400);
        assert_eq!(h.http.get(&webhook).send().await.unwrap().status(), 405);
        assert_eq!(post(vec![b' '; h.context.config.limits.body + 1]).await, 413);
        h.until("SELECT count(*) FROM refusals", 3).await;
        for _ in 0..20 {
            assert_eq!(post(b"{\"alerts\":7}".to_vec()).await, 400);
        }
        h.until("SELECT deliveries FROM refusals WHERE reason = 'malformed'", 21).await;
        assert_eq!(h.sql("SELECT CAST(length(body) AS bigint) FROM refusals WHERE body LIKE '{%'").await, 12);
        let page = h.system().await;
        for said in ["<th scope=\"col\">Last answer</th>", "405 this is the webhook", "413 the request body is larger", "<pre tabindex=\"0\">{&quot;alerts", "127.0.0.1"] {
            assert!(page.contains(said), "{said}: {page}");
        }
        let metrics = h.metrics().await;
        for (reason, n) in [("malformed", 21), ("method", 1), ("too_large", 1), ("unavailable", 0)] {
            let line = format!("tocsin_webhooks_refused_total{{source=\"alertmanager\",reason=\"{reason}\"}} {n}\n");
            assert!(metrics.contains(&line), "{line}");
        }
        h.advance(std::time::Duration::from_secs(25 * 3600));
        assert!(h.system().await.contains("No webhook requests were refused"));
        recount::prune(&h.context).await.unwrap();
        assert_eq!(h.sql("SELECT count(*) FROM refusals").await, 0);
        h.finish().await;
    }

    async fn a_refusal_that_cannot_be_written_is_written_later(on) {
        let h = Harness::start(on).await;
        h.execute("ALTER TABLE refusals RENAME TO elsewhere").await;
        let webhook = format!("{}/api/v1/alertmanager", h.url);
        let refuse = async || {
            let answer = h.http.post(&webhook).body("[").send().await.unwrap();
            assert_eq!(answer.status(), 400);
        };
        refuse().await;
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        refuse().await;
        // The store does not know of them, and this process does.
        let page = h.system().await;
        assert!(page.contains("Incomplete: the store does not respond"), "{page}");
        assert!(page.contains("<td class=\"n\">2</td>") && !page.contains("No webhook requests were rejected"), "{page}");
        h.execute("ALTER TABLE elsewhere RENAME TO refusals").await;
        h.until("SELECT CAST(COALESCE(sum(deliveries), 0) AS bigint) FROM refusals", 2).await;
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_stored_by_another_process_are_not_counted_as_surplus() {
    let mut h = Harness::without_workers(On::Sqlite, |_| {}).await;
    assert!(
        h.system()
            .await
            .contains("Other processes process alerts as well")
    );
    h.work(tocsin_workers::workers(&h.context));
    h.send_and_drain(vec![firing("a", h.now())]).await;
    assert!(
        h.system()
            .await
            .contains("has an outcome or is still queued")
    );
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_the_page_shows_no_figures() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    h.execute("ALTER TABLE dead_letters RENAME TO elsewhere")
        .await;
    h.execute("ALTER TABLE occurrences RENAME TO nowhere").await;
    let page = h.system().await;
    for figure in [
        "Dead letters now",
        "Counted in total, including pruned rows",
        "Firings",
    ] {
        let dash = format!("{figure}</dt><dd><span class=\"n\">–<");
        assert!(page.contains(&dash), "{figure}: {page}");
    }
    h.execute("ALTER TABLE elsewhere RENAME TO dead_letters")
        .await;
    h.execute("ALTER TABLE nowhere RENAME TO occurrences").await;
    h.finish().await;
}
