//! Alerts, resolves, repairs and passes of the judge in any order, and with crashes: what is left when all is there is
//! what the oracle says.
//!
//! A seed that failed is printed; `TOCSIN_TEST_SEED` has it told again.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tocsin::domain::alert::{Alert, AlertStatus, Labels};
use tocsin::jobs::{Content, IngestAlert};
use tocsin::queue::Push;
use tocsin::time::Timestamp;
use tocsin_workers::{recount, workers};

use super::dying::{die_while_judging, dying_workers};
use super::oracle::{Counts, Fired, Repaired, Story};
use crate::harness::{Harness, On};
use crate::on_all;

const MINUTE: i64 = 60_000;
const QUIET: i64 = 30;
/// Minutes that a story goes over; all of it is long enough ago to be judged.
const LENGTH: i64 = 600;
const ACTIONS: [&str; 3] = ["restart_pod", "rollback", "scale_up"];
/// What arrives, or is done.
#[derive(Clone, Debug)]
enum Event {
    Firing(usize),
    Resolve(usize),
    Repair(usize),
    /// Its start, and its end as the event after.
    Start(usize),
    Judge,
}

on_all! {
    async fn verdicts_are_the_same_in_whatever_order_what_they_follow_from_arrives(on) {
        Box::pin(tell(on, 4, Crashes::None)).await;
    }

    async fn verdicts_are_the_same_whatever_dies_on_the_way(on) {
        Box::pin(tell(on, 4, Crashes::Anywhere)).await;
    }
}

/// Tells so many stories, or `TOCSIN_TEST_CASES`, one after the other.
async fn tell(on: On, usually: u64, crashes: Crashes) {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let seed = number("TOCSIN_TEST_SEED").unwrap_or_else(|| rand::rng().random());
    for n in 0..number("TOCSIN_TEST_CASES").unwrap_or(usually) {
        Box::pin(told(on, seed.wrapping_add(n), crashes)).await;
    }
}

/// Whether workers and judges die.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Crashes {
    None,
    /// In the midst of their work, or after it and before that is known: what they had to do is delivered again.
    Anywhere,
}

fn story(random: &mut StdRng) -> Story {
    let mut minutes: Vec<i64> = (2..LENGTH - 2 * QUIET).collect();
    minutes.shuffle(random);
    let mut next = move || minutes.pop().unwrap();
    let firings = (0..random.random_range(3..12)).map(|_| {
        let (one, other) = (next(), next());
        Fired {
            from: one.min(other),
            to: random.random_bool(0.9).then_some(one.max(other)),
        }
    });
    let mut story = Story {
        firings: firings.collect(),
        repairs: Vec::new(),
        ..Story::default()
    };
    for _ in 0..random.random_range(4..12) {
        let finished = next();
        story.repairs.push(Repaired {
            action: ACTIONS.choose(random).unwrap(),
            claimed: random.random_bool(0.7),
            began: (finished - random.random_range(0..15)).max(1),
            finished,
        });
    }
    let mut blind = |likely| {
        let began = random.random_range(0..LENGTH - 3 * QUIET);
        let ended = began + random.random_range(1..QUIET);
        random.random_bool(likely).then_some((began, ended))
    };
    story.down = blind(0.5);
    story.silent = blind(0.5);
    story.other_silent = blind(0.5);
    // What fires for hours hides what happens in it: most firings are short.
    for fired in &mut story.firings {
        if random.random_bool(0.7) {
            fired.to = fired.to.map(|to| to.min(fired.from + 7));
        }
    }
    story
}

async fn told(on: On, seed: u64, crashes: Crashes) {
    eprintln!("TOCSIN_TEST_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed);
    let mut h = Harness::without_workers(on, |_| {}).await;
    h.work(match crashes {
        Crashes::None => workers(&h.context),
        Crashes::Anywhere => dying_workers(&h.context),
    });
    let story = story(random);
    let base = Timestamp(h.now().0 - LENGTH * MINUTE);
    let at = |minute: i64| Timestamp(base.0 + minute * MINUTE);
    // An incident to record repairs on; over before the story begins.
    for (status, received) in [(AlertStatus::Firing, 0), (AlertStatus::Resolved, 1)] {
        push(&h, alert("first", at(0), Some(at(1)), status), at(received)).await;
        h.drain().await;
    }
    let half = |minute: i64| at(minute).0 + MINUTE / 2;
    let silent = "silent_sources (id, watch, source, labels, ";
    let blind = [
        ("outages (", "", story.down),
        (silent, "'1', 'one', 'alertmanager', '{}', ", story.silent),
        (
            silent,
            "'2', 'other', 'grafana', '{}', ",
            story.other_silent,
        ),
    ];
    for (columns, values, span) in blind {
        if let Some((began, ended)) = span {
            let (began, ended) = (half(began), half(ended));
            let into = format!("{columns}began_at, ended_at) VALUES ({values}{began}, {ended})");
            h.execute(&format!("INSERT INTO {into}")).await;
        }
    }
    let mut events: Vec<Event> = Vec::new();
    events.extend((0..story.firings.len()).map(Event::Firing));
    let ended = (0..story.firings.len()).filter(|n| story.firings[*n].to.is_some());
    events.extend(ended.map(Event::Resolve));
    events.extend(
        (0..story.repairs.len()).map(|n| match random.random_bool(0.5) {
            true => Event::Repair(n),
            false => Event::Start(n),
        }),
    );
    events.extend((0..6).map(|_| Event::Judge));
    events.shuffle(random);
    let mut begun: Vec<(usize, String)> = Vec::new();
    for event in &events {
        match event {
            Event::Firing(n) => {
                let fired = story.firings[*n];
                let name = format!("series-{n}");
                push(
                    &h,
                    alert(&name, at(fired.from), None, AlertStatus::Firing),
                    at(fired.from),
                )
                .await;
            }
            Event::Resolve(n) => {
                let (from, to) = (story.firings[*n].from, story.firings[*n].to.unwrap());
                let name = format!("series-{n}");
                push(
                    &h,
                    alert(&name, at(from), Some(at(to)), AlertStatus::Resolved),
                    at(to),
                )
                .await;
            }
            Event::Repair(n) => {
                let repair = &story.repairs[*n];
                report(&h, repair, Some(repair.claimed), at).await;
            }
            Event::Start(n) => begun.push((*n, report(&h, &story.repairs[*n], None, at).await)),
            Event::Judge if crashes == Crashes::Anywhere => {
                let steps = random.random_range(0..40);
                tokio::join!(die_while_judging(&h, steps), async {
                    recount::judge(&h.context).await.unwrap();
                });
            }
            Event::Judge => {
                // Twice at the same time.
                let judged = tokio::join!(recount::judge(&h.context), recount::judge(&h.context));
                judged.0.unwrap();
                judged.1.unwrap();
            }
        }
        if random.random_bool(0.4) {
            h.drain().await;
        }
        if random.random_bool(0.3)
            && let Some((n, id)) = begun.pop()
        {
            finish(&h, &story.repairs[n], &id, at).await;
        }
    }
    for (n, id) in begun {
        finish(&h, &story.repairs[n], &id, at).await;
    }
    h.drain().await;
    recount::judge(&h.context).await.unwrap();
    // Baselines are renewed once an hour, and what followed from a commit is pushed again where who committed died.
    h.advance(Duration::from_secs(3700));
    h.recount().await;
    // Incidents that were resolved long ago are looked at once an hour.
    recount::push_overdue(&h.context, true).await.unwrap();
    h.drain().await;
    compare(&h, &story, at, seed).await;
    h.finish().await;
}

async fn compare(h: &Harness, story: &Story, at: impl Fn(i64) -> Timestamp, seed: u64) {
    let repairs = h.get("/api/v1/repairs?limit=200").await;
    for expected in &story.repairs {
        let items = repairs["items"].as_array().unwrap();
        let finished = json!(at(expected.finished));
        let found = items
            .iter()
            .find(|repair| repair["finished_at"] == finished);
        let found = found.unwrap_or_else(|| panic!("seed {seed}: {expected:?} is not there"));
        let verdict = story.verdict(expected, QUIET);
        assert_eq!(
            found["verdict"], verdict,
            "seed {seed}: {expected:?}\n{story:#?}\n{found:#}"
        );
    }
    let expected = story.counts(QUIET);
    let (episodes, held) = story.nothing(QUIET);
    for path in [
        format!("/api/v1/anomalies/{}/effectiveness", h.newest_key().await),
        "/api/v1/repairs/effectiveness?alert_name=Scrambled".to_owned(),
        "/api/v1/repairs/effectiveness?service=checkout".to_owned(),
        "/api/v1/repairs/effectiveness".to_owned(),
    ] {
        let worth = h.get(&path).await;
        let actions = worth["actions"].as_array().unwrap().iter();
        let counts = actions.map(|action| {
            let names = [
                "attempts",
                "claimed",
                "verified",
                "disproved",
                "superseded",
                "unknown",
            ];
            let counts: Counts = names.map(|name| action[name].as_i64().unwrap());
            (action["action"].as_str().unwrap().to_owned(), counts)
        });
        let counts: BTreeMap<String, Counts> = counts.collect();
        assert_eq!(counts, expected, "seed {seed}: {path}");
        let nothing = ["episodes", "held"].map(|name| worth["nothing"][name].as_i64().unwrap());
        assert_eq!(nothing, [episodes, held], "seed {seed}: {path}\n{story:#?}");
    }
    let (_, page) = h.post("/api/v1/recount/verify", json!({})).await;
    let drifted = &page["drifted"];
    assert_eq!(drifted.get("effectiveness"), None, "seed {seed}: {page:#}");
    assert_eq!(drifted.get("verdict"), None, "seed {seed}: {page:#}");
}

fn alert(series: &str, from: Timestamp, to: Option<Timestamp>, status: AlertStatus) -> Alert {
    let labels = [
        ("alertname", "Scrambled"),
        ("job", "checkout"),
        ("pod", series),
    ];
    Alert {
        status,
        labels: labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        annotations: Labels::new(),
        fingerprint: series.to_owned(),
        starts_at: Some(from),
        ends_at: to.filter(|_| status == AlertStatus::Resolved),
        lease_ms: None,
        generator_url: None,
        rule: None,
        identity: None,
    }
}

async fn push(h: &Harness, alert: Alert, received_at: Timestamp) {
    let job = IngestAlert {
        source: "alertmanager".to_owned(),
        received_at,
        content: Content::Alert(alert),
    };
    h.context.queues.push(Push::new(&job)).await.unwrap();
}

/// Reports a repair as finished, or as started; returns its id.
async fn report(
    h: &Harness,
    repair: &Repaired,
    success: Option<bool>,
    at: impl Fn(i64) -> Timestamp,
) -> String {
    let mut body = json!({"action": repair.action, "started_at": at(repair.began)});
    if let Some(success) = success {
        body["success"] = success.into();
        body["finished_at"] = json!(at(repair.finished));
    }
    let path = format!("/api/v1/anomalies/{}/repairs", h.newest_key().await);
    let (status, reported): (u16, Value) = h.post(&path, body).await;
    assert!((201..=202).contains(&status), "{reported}");
    reported["repair"].as_str().unwrap().to_owned()
}

async fn finish(h: &Harness, repair: &Repaired, id: &str, at: impl Fn(i64) -> Timestamp) {
    let body = json!({"success": repair.claimed, "finished_at": at(repair.finished)});
    let (status, finished) = h.patched(id, &body).await;
    assert_eq!(status, 200, "{finished}");
}
