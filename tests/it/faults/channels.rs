//! One channel in trouble, and another beside it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tocsin::store::{anomalies, channels, incidents, maintenance, notifications};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::health::{Health, Took};
use super::oracle::{Expected, Scenario};
use super::storm::Storm;
use crate::fleet::processes::Fleet;
use crate::harness::{Harness, On, alert, body, firing};
use crate::process::PATIENCE;
use crate::proxy::{Fate, Proxy, port_of};
use crate::receiver::{Receiver, SECRET};
use crate::telegram::Hold;

/// From a webhook that comes in to the one that goes out, in a program without optimisation.
const SOON: Duration = Duration::from_secs(2);
/// Longer than a message to Telegram is waited for.
const HANGS: Duration = Duration::from_secs(11);
/// A message is given 10 s, and is tried again after some seconds more each time.
const TOLD: Duration = Duration::from_secs(60);

/// Alerts beside those of a storm, and how far apart they come.
const BESIDE: (usize, Duration) = (100, Duration::from_millis(110));

/// So many messages are pending.
const OWED: Storm = Storm {
    anomalies: 30_000,
    pods: 1,
    together: 100,
    pace: Duration::from_millis(100),
};
/// So few of them wait for nothing but their turn.
const FEW: usize = 50;
/// How long that may take, and how long all of them may take to go out, without optimisation.
const ALL: Duration = Duration::from_secs(900);

/// Claims that are measured, and what one may take in the database.
const CLAIMS: (usize, Duration) = (200, Duration::from_millis(5));

scenarios! {
    // What is bounded is time, which is another beside other scenarios.
    #[ignore = "soak"]
    async fn telegram_hanging_beside_a_webhook(on: sqlite postgres fleet) {
        let (mut scenario, receiver) = beside_a_webhook(on).await;
        let (urls, _) = scenario.start(on, 1).await;
        let health = Health::watch(&urls[0]);
        scenario.fleet.telegram.hold(Hold::Requests);
        let began = Instant::now();
        arrive_soon(&scenario, &urls[0], &receiver).await;
        tokio::time::sleep(HANGS.saturating_sub(began.elapsed())).await;
        assert_eq!(scenario.fleet.telegram.taken().len(), 0);
        scenario.fleet.telegram.hold(Hold::Nothing);
        scenario
            .verdict(Instant::now(), &expected(BESIDE.0).within(TOLD))
            .await;
        came_once(&receiver, BESIDE.0);
        health.was_always_ready();
    }

    #[ignore = "soak"]
    async fn thirty_thousand_owed_to_a_channel_that_is_down(on: sqlite postgres fleet) {
        let (mut scenario, receiver) = beside_a_webhook(on).await;
        let routes = r#"[{alert_name="Beside*",to="webhook:ops"},{to="telegram:-100"}]"#;
        scenario.fleet.settings.push(("TOCSIN_ROUTES", routes.to_owned()));
        let is_down = Arc::new(AtomicBool::new(true));
        let down = Arc::clone(&is_down);
        let telegram = scenario.fleet.telegram.url.clone();
        let proxy = Proxy::start(port_of(&telegram), move |_| {
            match down.load(Ordering::Relaxed) {
                true => Fate::Cut,
                false => Fate::Pass,
            }
        });
        let proxy = proxy.await;
        scenario.fleet.telegram.url = proxy.instead(&telegram);
        let (urls, _) = scenario.start(on, 2).await;
        let health = Health::watch(&urls[0]);
        let began = Instant::now();
        let refused = scenario.post(OWED, &urls).await.unwrap();
        let owed = "SELECT count(*) FROM notifications WHERE state IN ('owed', 'sending')";
        while scenario.fleet.sql(owed).await < 30_000 {
            assert!(began.elapsed() < ALL, "{} are owed", scenario.fleet.sql(owed).await);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        eprintln!("owed after {:?}, {} requests again", began.elapsed(), refused.len());
        // Each was tried, or put off, in turn.
        while ready(&scenario.fleet, &urls[0]).await > FEW {
            assert!(began.elapsed() < ALL, "they are not put off");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        eprintln!("put off after {:?}", began.elapsed());
        arrive_soon(&scenario, &urls[0], &receiver).await;
        assert_eq!(scenario.fleet.telegram.taken().len(), 0);
        is_down.store(false, Ordering::Relaxed);
        let all = expected(OWED.anomalies + BESIDE.0);
        scenario.verdict(Instant::now(), &all.within(ALL)).await;
        came_once(&receiver, BESIDE.0);
        health.was_always_ready();
    }

    #[ignore = "soak"]
    async fn a_claim_among_30_000_messages_that_are_owed(on: sqlite postgres) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let claimed = owe_30_000(&h).await;
        let mut each = Vec::new();
        for (n, id) in claimed.into_iter().enumerate() {
            let took = claim(&h, id).await;
            // The first ask PostgreSQL for plans.
            if n >= 10 {
                each.push(took);
            }
        }
        let took = Took::new(each);
        took.report("a claim among 30,000 that are owed");
        assert!(took.percent(50) < CLAIMS.1, "{:?}", took.percent(50));
        h.execute("DELETE FROM notifications WHERE kind = 'escalated'").await;
        h.finish().await;
    }
}

/// A fleet whose messages go to Telegram and to somebody who takes webhooks.
async fn beside_a_webhook(on: On) -> (Scenario, Receiver) {
    let mut scenario = Scenario::new(on).await;
    let receiver = Receiver::start().await;
    scenario.fleet.settings = vec![
        ("TOCSIN_WEBHOOKS__OPS__URL", receiver.url.clone()),
        ("TOCSIN_WEBHOOKS__OPS__SECRET", SECRET.to_owned()),
    ];
    (scenario, receiver)
}

/// How many messages could be tried now.
async fn ready(fleet: &Fleet, url: &str) -> usize {
    let queues = fleet.http.get(format!("{url}/api/v1/queues")).send().await;
    let queues: Value = queues.unwrap().json().await.unwrap();
    let mut queues = queues["items"].as_array().unwrap().iter();
    let notify = queues.find(|queue| queue["name"] == "notify").unwrap();
    usize::try_from(notify["ready"].as_u64().unwrap()).unwrap()
}

/// So many anomalies that fired once.
const fn expected(anomalies: usize) -> Expected {
    Storm { anomalies, ..OWED }.expected()
}

/// Alerts come in one by one, and each goes out without delay.
async fn arrive_soon(scenario: &Scenario, url: &str, receiver: &Receiver) {
    let mut posted = HashMap::new();
    let mut clock = tokio::time::interval(BESIDE.1);
    for n in 0..BESIDE.0 {
        clock.tick().await;
        let name = format!("Beside{n:03}");
        let alerts = body(&[alert(&name, "a", Timestamp::now())]);
        posted.insert(name, Instant::now());
        let post = scenario
            .fleet
            .http
            .post(format!("{url}/api/v1/alertmanager"));
        assert_eq!(post.json(&alerts).send().await.unwrap().status(), 200);
    }
    let began = Instant::now();
    while receiver.deliveries().len() < BESIDE.0 {
        let came = receiver.deliveries().len();
        assert!(began.elapsed() < PATIENCE, "{came} of {} came", BESIDE.0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let deliveries = receiver.deliveries();
    let each = deliveries.iter().map(|delivery| {
        let name = delivery.body["data"]["alert_name"].as_str().unwrap();
        delivery.arrived - posted[name]
    });
    let took = Took::new(each.collect());
    took.report("from the alert to its webhook, beside a Telegram in trouble");
    assert!(took.percent(99) < SOON, "p99 {:?}", took.percent(99));
}

fn came_once(receiver: &Receiver, how_many: usize) {
    let deliveries = receiver.deliveries();
    let ids: BTreeSet<&str> = deliveries.iter().map(|d| d.id.as_str()).collect();
    assert_eq!((ids.len(), deliveries.len()), (how_many, how_many));
}

/// Owes so many messages to one chat about the one incident that there is; returns some of them.
async fn owe_30_000(h: &Harness) -> Vec<Uuid> {
    let now = h.now();
    let ids: Vec<Uuid> = (0..30_000)
        .map(|n| Uuid::from_u128(u128::from(now.0.unsigned_abs()) << 80 | 7 << 76 | 2 << 62 | n))
        .collect();
    let sqlite = on_sqlite(h);
    for (first, some) in ids.chunks(1000).enumerate() {
        let rows = some.iter().enumerate().map(|(n, id)| {
            let id = match sqlite {
                true => format!("x'{}'", id.simple()),
                false => format!("'{id}'::uuid"),
            };
            let sequence = first * 1000 + n + 1;
            format!(
                "({id}, (SELECT id FROM incidents), 'escalated', {sequence}, 'telegram:-100', 'owed', {})",
                now.0 - 100_000 + i64::try_from(sequence).unwrap()
            )
        });
        let rows: Vec<String> = rows.collect();
        h.execute(&format!(
            "INSERT INTO notifications (id, incident_id, kind, sequence, channel, state, owed_since) \
             VALUES {}",
            rows.join(", ")
        ))
        .await;
    }
    h.analyze().await;
    ids.into_iter().step_by(30_000 / CLAIMS.0).collect()
}

fn on_sqlite(h: &Harness) -> bool {
    h.context.db.backend() == sea_orm::DbBackend::Sqlite
}

/// What a claim asks of the database, in its order; how long that takes. Nothing of it stays.
async fn claim(h: &Harness, id: Uuid) -> Duration {
    const CHANNEL: &str = "telegram:-100";
    let began = Instant::now();
    let tx = h.context.db.begin().await.unwrap();
    let row = notifications::find(&tx, id).await.unwrap().unwrap();
    let now = maintenance::now(&tx).await.unwrap();
    let names = [
        channels::provider_of(CHANNEL),
        channels::chat_of(CHANNEL),
        CHANNEL,
    ];
    let (rows, _) = channels::lock(&tx, &names).await.unwrap();
    let ahead = notifications::ahead(&tx, &[CHANNEL.to_owned()], &row, now).await;
    ahead.unwrap();
    for row in &rows {
        channels::save(&tx, row).await.unwrap();
    }
    let incident = incidents::find(&tx, row.incident_id).await.unwrap();
    let incident = incident.unwrap();
    anomalies::lock_shared(&tx, &incident.anomaly_key)
        .await
        .unwrap();
    incidents::find(&tx, row.incident_id).await.unwrap();
    let row = notifications::lock(&tx, row.id).await.unwrap().unwrap();
    let body = "a message".to_owned();
    notifications::claim(&tx, &row, Uuid::now_v7(), body, now)
        .await
        .unwrap();
    let took = began.elapsed();
    tx.rollback().await.unwrap();
    took
}
