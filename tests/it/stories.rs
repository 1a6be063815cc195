//! What a person on call lives through, as one page each: what happened, what was sent, how it stood.
//! Settings are those of a fresh installation.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::NotifySettings;
use tocsin::time::Timestamp;

use crate::harness::{Harness, On, alert, resolved};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Story {
    h: Harness,
    began: Timestamp,
    told: usize,
    lines: Vec<String>,
}

impl Story {
    async fn begin() -> Self {
        let fresh = |config: &mut tocsin::config::Config| config.notify = NotifySettings::default();
        let h = Harness::start_with(On::Sqlite, fresh).await;
        Self {
            began: h.now(),
            h,
            told: 0,
            lines: Vec::new(),
        }
    }

    fn now(&self) -> Timestamp {
        self.h.now()
    }

    fn stamp(&self) -> String {
        let seconds = self.h.now().since(self.began).as_secs();
        let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
        format!("day {:>2} {hours:02}:{:02}", days + 1, seconds / 60 % 60)
    }

    fn line(&mut self, text: &str) {
        let line = format!("{}  {text}", self.stamp());
        self.lines.push(line);
    }

    /// Something happens, and what follows from it.
    async fn happens(&mut self, what: &str, alerts: Vec<Value>) {
        self.line(&format!("  {what}"));
        self.h.send_and_drain(alerts).await;
        self.hear();
    }

    /// Time passes, and what the schedule does then is done.
    async fn pass(&mut self, time: Duration) {
        self.h.advance(time);
        self.h.recount().await;
        self.hear();
    }

    /// Writes down what was sent since.
    fn hear(&mut self) {
        let told = self.h.telegram.headlines();
        for headline in &told[self.told..] {
            let headline = headline.replace("<b>", "").replace("</b>", "");
            self.line(&headline);
        }
        self.told = told.len();
    }

    async fn stands(&mut self) {
        let incidents = self.h.incidents().await;
        let Some(newest) = incidents.first() else {
            return self.line("  no incident");
        };
        let (count, text) = (
            |field: &str| newest["frequency_stats"][field].clone(),
            |field: &str| newest[field].as_str().unwrap_or("-").to_owned(),
        );
        // When that was differs from run to run.
        let reason = text("escalation_reason");
        let reason = match reason.split_once(" (≥ ") {
            Some((lasts, rule)) if lasts.starts_with("fires since ") => {
                format!("fires since then (≥ {rule}")
            }
            _ => reason,
        };
        let line = format!(
            "  = {} incidents; the newest is {} ({}), {} firings in it; {} / {} / {} / {} in 1 h / 24 h / 7 d / 30 d; \
             level {} ({}); tier {} ({})",
            incidents.len(),
            text("status"),
            text("severity"),
            newest["aggregated_count"],
            count("count_1h"),
            count("count_24h"),
            count("count_7d"),
            count("count_30d"),
            text("escalation_level"),
            reason,
            newest["tier"],
            text("tier_reason"),
        );
        self.line(&line);
    }

    async fn act(&self, what: &str, body: Value) {
        let id = self.h.incidents().await[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let path = format!("/api/v1/incidents/{id}/{what}");
        let (status, answer) = self.h.post(&path, body).await;
        assert!(status < 300, "{answer}");
        self.h.drain().await;
    }

    async fn end(mut self) -> String {
        self.h.drain().await;
        self.hear();
        self.stands().await;
        self.h.finish().await;
        self.lines.join("\n")
    }
}

fn pod(name: &str, at: Timestamp) -> Value {
    alert("CrashLooping", name, at)
}

fn of_severity(mut alert: Value, severity: &str) -> Value {
    alert["labels"]["severity"] = json!(severity);
    alert
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_crashes_fifty_pods() {
    let mut story = Story::begin().await;
    let pods: Vec<Value> = (0..50)
        .map(|n| pod(&format!("p{n}"), story.now()))
        .collect();
    story
        .happens("fifty pods crash at once", pods.clone())
        .await;
    story.pass(2 * MINUTE).await;
    story.stands().await;
    let over = pods.into_iter().map(|pod| resolved(pod, story.now()));
    let over = over.collect();
    story.happens("it is rolled back: all are over", over).await;
    story.pass(3 * HOUR).await;
    insta::assert_snapshot!(story.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_crash_one_after_the_other_within_ten_seconds() {
    let mut story = Story::begin().await;
    let first = pod("p0", story.now());
    story.happens("a pod crashes", vec![first]).await;
    story.h.advance(SECOND);
    for n in 1..10 {
        let alert = pod(&format!("p{n}"), story.now());
        story.h.send(vec![alert]).await;
        story
            .h
            .until(
                "SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL",
                0,
            )
            .await;
        story.h.advance(SECOND);
    }
    story.line("  and nine more within ten seconds");
    story.hear();
    story.h.advance(20 * SECOND);
    story.h.drain().await;
    story.hear();
    insta::assert_snapshot!(story.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_firing_a_night_for_thirty_nights() {
    let mut story = Story::begin().await;
    for night in 1..=30 {
        let alert = pod("a", story.now());
        story
            .happens(&format!("night {night}: it fires"), vec![alert.clone()])
            .await;
        story.pass(20 * MINUTE).await;
        story
            .happens("  and ends", vec![resolved(alert, story.now())])
            .await;
        if night % 5 == 0 {
            story.stands().await;
        }
        story.pass(DAY - 20 * MINUTE).await;
    }
    insta::assert_snapshot!(story.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn six_flaps_a_night_for_three_nights() {
    let mut story = Story::begin().await;
    for night in 1..=3 {
        for flap in 1..=6 {
            let alert = pod("a", story.now());
            story
                .happens(&format!("night {night}, flap {flap}"), vec![alert.clone()])
                .await;
            story.pass(5 * MINUTE).await;
            story
                .h
                .send_and_drain(vec![resolved(alert, story.now())])
                .await;
            story.pass(25 * MINUTE).await;
        }
        story.stands().await;
        story.pass(DAY - 3 * HOUR).await;
    }
    insta::assert_snapshot!(story.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_days_without_an_end() {
    let mut story = Story::begin().await;
    let alert = pod("a", story.now());
    story.happens("it fires", vec![alert.clone()]).await;
    for _ in 0..18 {
        story.pass(4 * HOUR).await;
        story.h.send_and_drain(vec![alert.clone()]).await;
        story.pass(MINUTE).await;
    }
    story.stands().await;
    let over = resolved(alert, story.now());
    story.happens("it ends", vec![over]).await;
    story.pass(HOUR).await;
    insta::assert_snapshot!(story.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_resolves_too_early() {
    let mut story = Story::begin().await;
    let alert = pod("a", story.now());
    story.happens("it fires", vec![alert.clone()]).await;
    story.pass(5 * MINUTE).await;
    story.act("resolve", json!({"operator": "ann"})).await;
    story.line("  ann resolves it");
    story.pass(5 * MINUTE).await;
    story
        .happens("it is sent again, five minutes later", vec![alert.clone()])
        .await;
    story.pass(4 * HOUR).await;
    story
        .happens("and again after four hours", vec![alert.clone()])
        .await;
    story.stands().await;
    let over = resolved(alert, story.now());
    story.happens("it ends", vec![over]).await;
    insta::assert_snapshot!(story.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_that_becomes_critical() {
    let mut story = Story::begin().await;
    let warning = of_severity(alert("DiskFilling", "a", story.now()), "warning");
    story
        .happens("a disk is 80 % full", vec![warning.clone()])
        .await;
    story.pass(6 * MINUTE).await;
    let critical = of_severity(alert("DiskFilling", "b", story.now()), "critical");
    story
        .happens("it is 95 % full", vec![warning.clone(), critical.clone()])
        .await;
    story.stands().await;
    story.pass(30 * MINUTE).await;
    let over = [warning, critical].map(|alert| resolved(alert, story.now()));
    story.happens("somebody cleans up", over.to_vec()).await;
    insta::assert_snapshot!(story.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_at_the_edge_of_a_permanent_fix() {
    let mut story = Story::begin().await;
    for _ in 0..9 {
        let alert = pod("a", story.now());
        story.h.send_and_drain(vec![alert.clone()]).await;
        story.pass(5 * MINUTE).await;
        story
            .h
            .send_and_drain(vec![resolved(alert, story.now())])
            .await;
        story.pass(25 * MINUTE).await;
    }
    story.stands().await;
    let key = story.h.sql_text("SELECT key FROM anomalies").await;
    let mute = json!({"for": "30d", "why": "known", "operator": "ann"});
    let (status, answer) = story
        .h
        .post(&format!("/api/v1/anomalies/{key}/mute"), mute)
        .await;
    assert_eq!(status, 200, "{answer}");
    story.line("  ann mutes it for 30 days");
    for round in 1..=6 {
        let alert = pod("a", story.now());
        story
            .happens(&format!("muted, firing {round}"), vec![alert.clone()])
            .await;
        story.pass(5 * MINUTE).await;
        story
            .h
            .send_and_drain(vec![resolved(alert, story.now())])
            .await;
        // Some of the first day leave the window.
        story.pass(5 * HOUR).await;
    }
    insta::assert_snapshot!(story.end().await);
}
