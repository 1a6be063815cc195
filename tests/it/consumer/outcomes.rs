//! A handler's outcomes, and what becomes of its job.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tocsin::jobs::JobError;
use tocsin::queue::consumer::JobHandle;
use tocsin::queue::store::{FailedAttempt, Lease, StorePosition};
use tocsin::store::dead_letters::{Decision, Edit, bury, decide};
use tocsin::time::Timestamp;

use super::{BACKOFF, Errand, Log, Scene, until};
use crate::on_all;

const DRAIN: Duration = Duration::from_secs(10);

fn errors(dead: &tocsin::entity::dead_letters::Model) -> Vec<FailedAttempt> {
    serde_json::from_value(dead.errors.clone()).unwrap()
}

on_all! {
    async fn a_failed_job_is_tried_again_with_backoff_and_ends_as_a_dead_letter(on) {
        let mut stage = Scene::new(on).await;
        let (tries, writes) = (Log::new(), Log::new());
        let (log, saw) = (tries.clone(), writes.clone());
        stage.start(DRAIN, move |_: Errand, held| {
            log.add(Instant::now());
            saw.add(held.failed.len());
            let error = format!("failure {}\0", held.failed.len() + 1);
            async { Err(JobError::Retry(error)) }
        });
        let began = stage.context.clock.now();
        let id = stage.push_raw("{\"n\":7}").await;
        stage.done().await;
        let dead = stage.dead().await;
        assert_eq!(dead.len(), 1);
        let dead = &dead[0];
        assert_eq!((dead.id, dead.queue.as_str(), dead.attempts), (id, "errands", 3));
        assert_eq!(dead.payload, b"{\"n\":7}");
        assert_eq!((dead.state.as_str(), dead.replay), ("dead", 0));
        assert_eq!(dead.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert!(dead.reason.starts_with("failed 3 times, the last time: failure 3"), "{}", dead.reason);
        let failed = errors(dead);
        let said: Vec<&str> = failed.iter().map(|attempt| attempt.error.as_str()).collect();
        assert_eq!(said, ["failure 1\u{fffd}", "failure 2\u{fffd}", "failure 3\u{fffd}"]);
        assert!(failed.is_sorted_by_key(|attempt| attempt.at));
        assert!(failed[0].at >= began && dead.died_at >= failed[2].at);
        assert_eq!(writes.entries(), [0, 1, 2], "each try sees the failures before it");
        let tries = tries.entries();
        let least = BACKOFF.mul_f64(0.75) - Duration::from_millis(2);
        assert!(tries[1] - tries[0] >= least, "{:?}", tries[1] - tries[0]);
        assert!(tries[2] - tries[1] >= 2 * least, "{:?}", tries[2] - tries[1]);
        stage.stop().await;
    }

    async fn a_job_that_succeeds_in_the_end_leaves_nothing(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.start(DRAIN, move |_: Errand, held| {
            runs.add(held.failed.len());
            let fails = held.failed.len() < 2;
            async move {
                match fails {
                    true => Err(JobError::Retry("not yet".to_owned())),
                    false => Ok(()),
                }
            }
        });
        stage.push([1]).await;
        stage.done().await;
        assert_eq!(log.entries(), [0, 1, 2]);
        assert!(stage.dead().await.is_empty());
        stage.stop().await;
    }

    async fn a_job_that_is_given_up_is_a_dead_letter_at_once_with_the_reason(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.start(DRAIN, move |job: Errand, held| {
            runs.add(job.n);
            let error = match (job.n, held.failed.len()) {
                (2, 0) => JobError::Retry("a hiccup".to_owned()),
                _ => JobError::GiveUp("no such thing".to_owned()),
            };
            async { Err(error) }
        });
        stage.push([1, 2]).await;
        stage.done().await;
        let dead = stage.dead().await;
        assert_eq!(dead.len(), 2);
        assert_eq!((dead[0].reason.as_str(), dead[0].attempts), ("no such thing", 1));
        let said: Vec<String> = errors(&dead[1]).into_iter().map(|attempt| attempt.error).collect();
        assert_eq!(said, ["a hiccup", "no such thing"]);
        assert_eq!(log.entries().iter().filter(|n| **n == 1).count(), 1);
        stage.stop().await;
    }

    async fn a_job_that_is_put_off_loses_no_attempt(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.start(DRAIN, move |_: Errand, held| {
            let run = runs.entries().len();
            runs.add((held.failed.len(), held.lease.delivery));
            async move {
                match run {
                    1 => Err(JobError::Retry("once".to_owned())),
                    0..6 => Err(JobError::RetryAfter {
                        after: Duration::from_millis(10),
                        why: "busy".to_owned(),
                    }),
                    _ => Ok(()),
                }
            }
        });
        stage.push([1]).await;
        stage.done().await;
        assert_eq!(log.entries(), [(0, 1), (0, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 1)]);
        assert!(stage.dead().await.is_empty());
        stage.stop().await;
    }

    async fn a_panic_and_a_timeout_are_failed_attempts_and_the_worker_lives_on(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.start(DRAIN, move |job: Errand<8, 100>, _| {
            let runs = runs.clone();
            async move {
                match job.n {
                    0 => panic!("slipped on {}", job.n),
                    1 => std::future::pending().await,
                    n => runs.add(n),
                }
                Ok(())
            }
        });
        stage.push([0, 1, 2]).await;
        stage.done().await;
        let dead = stage.dead().await;
        let said: Vec<Vec<String>> = dead
            .iter()
            .map(|dead| errors(dead).into_iter().map(|attempt| attempt.error).collect())
            .collect();
        assert_eq!(said, [vec!["panicked: slipped on 0"; 3], vec!["timed out after 100ms"; 3]]);
        stage.push([3]).await;
        stage.done().await;
        assert_eq!(log.entries(), [2, 3]);
        stage.is_the_first_worker().await;
        stage.stop().await;
    }

    async fn an_unreadable_payload_becomes_a_dead_letter_and_affects_no_other_job(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.push([0]).await;
        let bad = ["{\"n\":\"\u{1F525}\"}", "{\"n\":1", "null"];
        for payload in bad {
            stage.push_raw(payload).await;
            stage.push([1]).await;
        }
        stage.start(DRAIN, move |job: Errand<2>, _| {
            runs.add(job.n);
            async { Ok(()) }
        });
        stage.done().await;
        assert_eq!(log.entries(), [0, 1, 1, 1]);
        let mut expected = bad.map(|payload| payload.as_bytes().to_vec());
        expected.sort();
        let dead = stage.dead().await;
        let payloads: Vec<Vec<u8>> = dead.iter().map(|dead| dead.payload.clone()).collect();
        assert_eq!(payloads, expected);
        for dead in &dead {
            assert!(dead.reason.starts_with("cannot parse the payload: "), "{}", dead.reason);
            assert_eq!(dead.attempts, 0);
        }
        stage.is_the_first_worker().await;
        stage.stop().await;
    }

    async fn no_more_jobs_are_in_flight_than_the_concurrency(on) {
        let mut stage = Scene::new(on).await;
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let store = Arc::clone(&stage.store.inner);
        let peak = Arc::clone(&most);
        stage.start(DRAIN, move |_: Errand<3>, _| {
            let (running, peak, store) = (Arc::clone(&running), Arc::clone(&peak), Arc::clone(&store));
            async move {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                until("all slots are used", || peak.load(Ordering::SeqCst) >= 3).await;
                let held = store.depth("errands").await?.in_flight;
                assert!(held <= 3, "{held} are held");
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        });
        stage.push(0..60).await;
        stage.done().await;
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert!(stage.dead().await.is_empty());
        stage.stop().await;
    }

    async fn a_job_that_is_dead_or_older_than_what_was_decided_about_it_is_removed_and_not_run(on) {
        let mut stage = Scene::new(on).await;
        let buried = stage.push_unanswered(1, 1).await;
        let replayed = stage.push_replayed(2, 1, 1).await;
        let left_over = stage.push_unanswered(4, 1).await;
        let discarded = stage.push_unanswered(5, 1).await;
        let dead_again = stage.push_replayed(6, 0, 1).await;
        let dead = [(buried, 0), (replayed, 0), (left_over, 0), (discarded, 0), (dead_again, 1)];
        for (id, replay) in dead {
            let held = JobHandle {
                lease: Lease { id, delivery: 1, replay, place: StorePosition::default() },
                payload: b"{}".to_vec(),
                failed: Vec::new(),
                trace_id: None,
                enqueued_at: stage.context.clock.now(),
                put_off: false,
                waits: Default::default(),
            };
            let burial = held.burial("errands", "dead", &[], Timestamp(0));
            bury(stage.context.db.write(), &[burial]).await.unwrap();
        }
        let (db, now) = (stage.context.db.write(), stage.context.clock.now());
        for (id, decision) in [(left_over, Decision::Replay), (discarded, Decision::Discard)] {
            decide(db, id, decision, Edit::default(), "ann", now).await.unwrap().unwrap();
        }
        stage.push_unanswered(3, 1).await;
        let log = Log::new();
        let runs = log.clone();
        stage.start(DRAIN, move |job: Errand<1>, _| {
            runs.add(job.n);
            async { Ok(()) }
        });
        stage.done().await;
        let mut ran = log.entries();
        ran.sort_unstable();
        assert_eq!(ran, [2, 3], "what was replayed since, and what was never dead");
        assert_eq!(stage.dead().await.len(), 5);
        stage.stop().await;
    }

    async fn a_leftover_entry_overwrites_no_decision_and_a_new_push_does(on) {
        let stage = Scene::new(on).await;
        let (db, now) = (stage.context.db.write(), stage.context.clock.now());
        let row = async || stage.dead().await.remove(0);
        let die = async |replay: u32, enqueued_at: Timestamp, error: &str| {
            let failed = [FailedAttempt { at: now, error: error.to_owned() }];
            let held = JobHandle {
                lease: Lease { id: uuid::Uuid::from_u128(7), delivery: 1, replay, place: StorePosition::default() },
                payload: b"{}".to_vec(),
                failed: Vec::new(),
                trace_id: None,
                enqueued_at,
                put_off: false,
                waits: Default::default(),
            };
            let burial = held.burial("errands", error, &failed, now);
            bury(db, &[burial.clone(), burial]).await.unwrap();
        };
        let decide = async |decision| {
            let id = uuid::Uuid::from_u128(7);
            decide(db, id, decision, Edit::default(), "ann", now).await.unwrap()
        };
        let pushed = now.before(Duration::from_secs(60));
        die(0, pushed, "one").await;
        die(0, pushed, "one").await;
        let replayed = decide(Decision::Replay).await.unwrap();
        assert_eq!((replayed.state.as_str(), replayed.replay, replayed.push_owed_since), ("replayed", 1, Some(now)));
        assert!(decide(Decision::Replay).await.is_none(), "it is decided once");
        die(0, pushed, "one").await;
        assert_eq!(row().await, replayed, "who buried it lived on and buried it again");
        die(1, now, "two").await;
        let again = row().await;
        assert_eq!((again.state.as_str(), again.replay, again.push_owed_since), ("dead", 1, None));
        assert_eq!((again.attempts, again.reason.as_str()), (2, "two"));
        let said: Vec<String> = errors(&again).into_iter().map(|attempt| attempt.error).collect();
        assert_eq!(said, ["one", "two"], "it tells of what was before it was replayed");
        assert_eq!(again.errors[1]["replay"], 1);
        decide(Decision::Discard).await.unwrap();
        die(1, now, "two").await;
        assert_eq!(row().await.state, "discarded");
        die(0, now.after(Duration::from_secs(60)), "three").await;
        let anew = row().await;
        assert_eq!((anew.state.as_str(), anew.replay, anew.reason.as_str()), ("dead", 1, "three"));
    }
}
