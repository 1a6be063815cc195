//! The page of the system says what is known, and no more.

use serde_json::json;

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
        assert!(page.contains("not tried lately"), "{page}");
        h.send_and_drain(vec![firing("a", h.now()), firing("b", h.now())]).await;
        let page = h.system().await;
        assert!(page.contains("last sent <time"), "{page}");
        assert!(page.contains("All that they came to</dt><dd><span class=\"n\">2<"), "{page}");
        assert!(page.contains("Every alert that was received came to something"), "{page}");
        assert!(page.contains("Counted <time"), "{page}");
        let blocked = json!({"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked"});
        h.telegram.answer_next(403, blocked);
        h.send_and_drain(vec![crate::harness::alert("Other", "c", h.now())]).await;
        let page = h.system().await;
        assert!(page.contains("failed <time") && page.contains("bot was blocked"), "{page}");
        h.context.metrics.alerts.add("alertmanager", tocsin::metrics::Outcome::Counted);
        assert!(h.system().await.contains("1 more came to something than was received"));
        h.finish_with_dead_letters().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_enters_is_not_held_against_this_one() {
    let mut h = Harness::without_workers(On::Sqlite, |_| {}).await;
    assert!(h.system().await.contains("entered by other processes"));
    h.work(tocsin_workers::workers(&h.context));
    h.send_and_drain(vec![firing("a", h.now())]).await;
    assert!(
        h.system()
            .await
            .contains("came to something, or still waits")
    );
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_store_does_not_answer_there_are_no_figures() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    h.execute("ALTER TABLE dead_letters RENAME TO elsewhere")
        .await;
    h.execute("ALTER TABLE occurrences RENAME TO nowhere").await;
    let page = h.system().await;
    for figure in ["Dead letters now", "Counted in all", "Firings kept"] {
        let dash = format!("{figure}</dt><dd><span class=\"n\">–<");
        assert!(page.contains(&dash), "{figure}: {page}");
    }
    h.execute("ALTER TABLE elsewhere RENAME TO dead_letters")
        .await;
    h.execute("ALTER TABLE nowhere RENAME TO occurrences").await;
    h.finish().await;
}
