//! Maintenance windows: planned ahead, they suppress what a mute would, and nothing begins or ends them but the time.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::store::{digests, windows};
use tocsin::time::Timestamp;

use super::{HOUR, MINUTE};
use crate::harness::{Harness, On, answer, firing, levels_by_counts};
use crate::on_all;

const PATH: &str = "/api/v1/maintenance";
/// The messages that windows suppressed.
const KEPT_BACK: &str =
    "SELECT count(*) FROM notifications WHERE state = 'muted' AND suppressed_by = 'maintenance'";

impl Harness {
    async fn plan(&self, body: Value) -> Value {
        let (status, window) = self.post(PATH, body).await;
        assert_eq!(status, 201, "{window}");
        window
    }

    async fn end_window(&self, window: &Value) -> Value {
        let path = format!("{}{PATH}/{}", self.url, window["id"].as_str().unwrap());
        let (status, window) = answer(self.http.delete(path).send().await.unwrap()).await;
        assert_eq!(status, 200, "{window}");
        window
    }

    async fn counted_in_maintenance(&self) -> u64 {
        let metrics = self.metrics().await;
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with("tocsin_messages_total{"));
        let lines = lines.filter(|line| line.contains("outcome=\"maintenance\"}"));
        let counts = lines.map(|line| line.rsplit(' ').next().unwrap());
        counts.map(|n| n.parse::<u64>().unwrap()).sum()
    }

    /// The time of day at a moment, in UTC.
    fn clock(at: Timestamp) -> String {
        at.to_rfc3339()[11..16].to_owned()
    }

    async fn look_at(&self, path: &str) -> String {
        let page = self.http.get(format!("{}{path}", self.url));
        page.send().await.unwrap().text().await.unwrap()
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

on_all! {
    async fn maintenance_suppresses_all_but_the_first_rise_to_permanent_fix(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        h.fire(1).await;
        assert_eq!(h.telegram.taken().len(), 1);
        let window = h.plan(json!({"reason": "a deploy", "service": "check*", "for": "24h"})).await;
        assert_eq!(window["state"], "now");
        h.advance(10 * MINUTE);
        h.fire(1).await;
        assert_eq!((h.telegram.taken().len(), h.sql(KEPT_BACK).await), (1, 1));
        assert_eq!(h.counted_in_maintenance().await, 1);
        // Another service's window holds nothing back, and says nothing of this one.
        h.end_window(&window).await;
        h.plan(json!({"reason": "another", "service": "cart", "for": "24h"})).await;
        h.advance(10 * MINUTE);
        h.fire(1).await;
        // The incident that opened in the window is not told afterwards; the new one is.
        assert_eq!((h.telegram.taken().len(), h.sql(KEPT_BACK).await), (2, 1));
        h.plan(json!({"reason": "a deploy", "namespace": "prod", "for": "24h"})).await;
        let before = h.telegram.taken().len();
        h.advance(10 * MINUTE);
        h.fire(12).await;
        assert_eq!(h.incidents().await[0]["escalation_level"], "PERMANENT_FIX");
        let told = h.telegram.taken();
        assert_eq!(told.len(), before + 1, "{told:#?}");
        assert!(told.last().unwrap().contains("PERMANENT"), "{told:#?}");
        // It is sent once, and incidents that open at that level are not.
        h.advance(11 * MINUTE);
        h.fire(1).await;
        h.recount().await;
        assert_eq!(h.telegram.taken().len(), before + 1);
        h.finish().await;
    }

    async fn a_message_pending_when_maintenance_begins_is_suppressed_also_in_a_digest(on) {
        let h = Harness::start(on).await;
        let store = h.context.queues.store();
        store.set_paused("notify", true).await.unwrap();
        h.send(vec![firing("a", h.now())]).await;
        h.until("SELECT count(*) FROM notifications WHERE state = 'owed'", 1).await;
        let channel = h.sql_text("SELECT channel FROM notifications").await;
        h.plan(json!({"reason": "a deploy", "alert_name": ["CrashLooping", "Other"], "for": "1h"})).await;
        // A digest leaves out what a window keeps back, and gives back what it gathered before that.
        let tx = h.context.db.begin().await.unwrap();
        let (now, later) = (h.now(), h.now().after(HOUR));
        let held = windows::ahead(&tx, now).await.unwrap();
        let digest = digests::insert(&tx, &channel, 1, now, later).await.unwrap();
        let gathered = async |windows| digests::gather(&tx, &channel, digest, windows, now).await.unwrap();
        assert_eq!((gathered(&held[..]).await, gathered(&[]).await), (0, 1));
        assert_eq!(digests::mute(&tx, digest, &held, now).await.unwrap(), (0, 1));
        tx.rollback().await.unwrap();
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        assert_eq!((h.sql(KEPT_BACK).await, h.telegram.taken().len()), (1, 0));
        assert_eq!(h.counted_in_maintenance().await, 1);
        h.advance(2 * HOUR);
        h.recount().await;
        assert_eq!(h.telegram.taken().len(), 0);
        h.finish().await;
    }

    async fn a_window_of_every_week_holds_at_its_times_alone(on) {
        let h = Harness::start(on).await;
        let (from, to) = (h.now().after(HOUR), h.now().after(3 * HOUR));
        let weekly = json!({"days": DAYS, "from": Harness::clock(from), "to": Harness::clock(to), "zone": "UTC"});
        let window = h.plan(json!({"reason": "backups", "service": "checkout", "weekly": weekly})).await;
        assert_eq!((&window["state"], &window["ends_at"]), (&json!("planned"), &Value::Null));
        h.fire(1).await;
        assert_eq!(h.telegram.taken().len(), 1);
        for (after, told, kept_back) in [(2 * HOUR, 1, 1), (2 * HOUR, 2, 1), (22 * HOUR, 2, 2)] {
            h.advance(after);
            h.fire(1).await;
            assert_eq!((h.telegram.taken().len(), h.sql(KEPT_BACK).await), (told, kept_back));
        }
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_planned_once_and_called_off() {
    let h = Harness::start(On::Sqlite).await;
    let starts = h.now().after(HOUR);
    let body = json!({"reason": "a deploy", "service": "checkout", "starts_at": starts.to_rfc3339(),
        "for": "1h", "operator": "ann"});
    let ask = async || {
        let request = h.http.post(format!("{}{PATH}", h.url)).json(&body);
        answer(
            request
                .header("idempotency-key", "k1")
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!((first.0, &first.1["id"]), (201, &second.1["id"]));
    assert_eq!(first.1["since"], json!(starts.to_rfc3339()));
    // The process died before it could remember the answer: the row is there, and stays the only one.
    h.execute("DELETE FROM requests").await;
    assert_eq!(ask().await.1["id"], first.1["id"]);
    let list = h.get(PATH).await;
    let listed: Vec<&Value> = list["items"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 1, "{list:#}");
    assert_eq!(
        (&listed[0]["state"], &listed[0]["created_by"]),
        (&json!("planned"), &json!("ann"))
    );
    for _ in 0..2 {
        assert_eq!(h.end_window(listed[0]).await["state"], "over");
    }
    h.advance(HOUR + MINUTE);
    h.fire(1).await;
    assert_eq!(h.telegram.taken().len(), 1);
    let target = first.1["id"].as_str().unwrap();
    let audit = h.get(&format!("/api/v1/audit?target={target}")).await;
    let actions = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["action"]);
    let actions: Vec<&Value> = actions.collect();
    assert_eq!(
        actions,
        [&json!("maintenance.end"), &json!("maintenance.plan")]
    );
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_cannot_be_is_refused_with_the_reason() {
    let h = Harness::start(On::Sqlite).await;
    let at = |after: Duration| h.now().after(after).to_rfc3339();
    let weekly = |zone| json!({"days": ["sat"], "from": "22:00", "to": "02:00", "zone": zone});
    for (body, reason) in [
        (
            json!({"reason": " ", "service": "a", "for": "1h"}),
            "reason",
        ),
        (json!({"reason": "r", "for": "1h"}), "name a service"),
        (json!({"reason": "r", "service": "a"}), "give ends_at"),
        (
            json!({"reason": "r", "service": "a", "for": "1h", "ends_at": at(HOUR)}),
            "not both",
        ),
        (
            json!({"reason": "r", "service": "a", "starts_at": at(2 * HOUR), "ends_at": at(HOUR)}),
            "end after it starts",
        ),
        (
            json!({"reason": "r", "service": "a", "for": "31d"}),
            "30 days",
        ),
        (
            json!({"reason": "r", "service": "a", "weekly": weekly("Europe/Berln")}),
            "Europe/Berlin",
        ),
        (
            json!({"reason": "r", "service": "a\u{0}b", "for": "1h"}),
            "service",
        ),
    ] {
        let (status, refused) = h.post(PATH, body.clone()).await;
        assert!((400..500).contains(&status), "{body}: {status}");
        assert!(refused.to_string().contains(reason), "{reason}: {refused}");
    }
    assert_eq!(h.sql("SELECT count(*) FROM maintenance_windows").await, 0);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_planned_on_its_page_and_shown_wherever_it_holds() {
    let h = Harness::start(On::Sqlite).await;
    h.fire(1).await;
    let incident = h.incident().await;
    let tomorrow = h.now().after(24 * HOUR).to_rfc3339();
    let mut fields = vec![
        ("reason", "new <disks>"),
        ("service", "cart, check*"),
        ("ends", &tomorrow[..16]),
        ("zone", "Asia/Taipei"),
        ("once", "once"),
    ];
    for _ in 0..2 {
        let (status, to) = h.form("/maintenance", &fields).await;
        assert_eq!((status, &*to), (303, "/maintenance?done=maintenance"));
    }
    assert_eq!(h.sql("SELECT count(*) FROM maintenance_windows").await, 1);
    // Pages may show what they knew a second ago.
    let detail = format!("/incidents/{}", incident["id"].as_str().unwrap());
    let anomaly = format!("/anomalies/{}", h.key().await);
    let shows = async |path: &str| {
        let page = h.look_at(path).await;
        page.contains("in maintenance") && page.contains("(new &lt;disks&gt;)")
    };
    while !shows(&detail).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for path in [
        &*anomaly,
        "/incidents?status=all",
        "/services/checkout",
        "/anomalies",
    ] {
        assert!(shows(path).await, "{path}");
    }
    let list = h.look_at("/maintenance").await;
    assert!(
        list.contains("new &lt;disks&gt;") && list.contains("in maintenance until"),
        "{list}"
    );
    let page = h.get(PATH).await;
    let end = format!(
        "/maintenance/{}/end",
        page["items"][0]["id"].as_str().unwrap()
    );
    assert_eq!(
        h.form(&end, &[]).await,
        (303, "/maintenance?done=maintenance-end".to_owned())
    );
    assert!(
        !h.look_at("/maintenance")
            .await
            .contains("in maintenance until")
    );
    // What is wrong is said, and nothing is planned.
    fields[3] = ("zone", "Asia/Taipe");
    assert_eq!(h.form("/maintenance", &fields).await.0, 400);
    assert_eq!(h.sql("SELECT count(*) FROM maintenance_windows").await, 1);
    h.finish().await;
}
