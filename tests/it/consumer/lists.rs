//! Lists: jobs that are run together and answered one by one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tocsin::jobs::JobError;
use tocsin::queue::list::{List, Unanswered};

use super::{Errand, Gate, Log, Scene, eventually};
use crate::on_all;

const DRAIN: Duration = Duration::from_secs(20);

/// Answers as each errand asks for: 0 fails for good, 1 is deferred for long, all others are done.
fn answer(n: u32, job: Unanswered) {
    job.answer(match n {
        0 => Err(JobError::GiveUp("no".to_owned())),
        1 => Err(JobError::RetryAfter {
            after: Duration::from_secs(600),
            why: "busy".to_owned(),
        }),
        _ => Ok(()),
    });
}

on_all! {
    async fn each_job_of_a_list_is_settled_as_soon_as_it_is_answered(on) {
        let mut stage = Scene::new(on).await;
        let (lists, gate) = (Log::new(), Gate::default());
        let (log, wait) = (lists.clone(), gate.clone());
        stage.start_lists(DRAIN, move |list: List<Errand>| {
            log.add(list.len());
            let wait = wait.clone();
            async move {
                for (job, unanswered) in list {
                    if job.n == 2 {
                        wait.pass().await;
                    }
                    answer(job.n, unanswered);
                }
            }
        });
        stage.push(0..4).await;
        // The third holds up the fourth, which comes after it in this handler, and no other.
        eventually("two are settled", async || {
            let depth = stage.depth().await;
            depth.in_flight == 2 && depth.delayed == 1
        })
        .await;
        assert_eq!(stage.dead().await.len(), 1);
        gate.open();
        eventually("all are settled", async || stage.depth().await.in_flight == 0).await;
        assert_eq!(lists.entries(), [4], "what is pushed together is fetched together");
        stage.stop().await;
    }

    async fn a_list_that_panics_is_split_until_the_one_to_blame_fails_alone(on) {
        let mut stage = Scene::new(on).await;
        let done = Log::new();
        let runs = done.clone();
        stage.start_lists(DRAIN, move |list: List<Errand<64>>| {
            let runs = runs.clone();
            async move {
                let jobs: Vec<_> = list.into_iter().collect();
                assert!(jobs.iter().all(|(job, _)| job.n != 13), "unlucky");
                for (job, unanswered) in jobs {
                    runs.add(job.n);
                    unanswered.answer(Ok(()));
                }
            }
        });
        stage.push(0..40).await;
        stage.done().await;
        let mut ran = done.entries();
        ran.sort_unstable();
        let others: Vec<u32> = (0..40).filter(|n| *n != 13).collect();
        assert_eq!(ran, others, "each of the others ran once");
        let dead = stage.dead().await;
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].payload.as_slice(), dead[0].attempts), (b"{\"n\":13}".as_slice(), 3));
        assert!(dead[0].reason.contains("panicked: unlucky"), "{}", dead[0].reason);
        stage.stop().await;
    }

    async fn what_a_handler_drops_comes_again_and_loses_no_attempt(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.start_lists(DRAIN, move |list: List<Errand>| {
            let runs = runs.clone();
            async move {
                for (_, unanswered) in list {
                    runs.add((unanswered.held().failed.len(), unanswered.held().is_redelivery()));
                    if runs.entries().len() == 2 {
                        unanswered.answer(Ok(()));
                    }
                }
            }
        });
        stage.push([7]).await;
        eventually("it was dropped once", async || stage.depth().await.delayed == 1).await;
        stage.advance(Duration::from_secs(60));
        stage.done().await;
        assert_eq!(log.entries(), [(0, false), (0, true)]);
        assert!(stage.dead().await.is_empty());
        stage.stop().await;
    }

    async fn a_list_that_takes_too_long_fails_where_it_has_no_answer_and_a_late_one_changes_nothing(on) {
        let mut stage = Scene::new(on).await;
        let kept: Arc<Mutex<Vec<Unanswered>>> = Arc::default();
        let keeps = Arc::clone(&kept);
        stage.start_lists(DRAIN, move |list: List<Errand<8, 100>>| {
            let keeps = Arc::clone(&keeps);
            async move {
                for (job, unanswered) in list {
                    match job.n {
                        0 => unanswered.answer(Ok(())),
                        _ if unanswered.held().failed.is_empty() => keeps.lock().unwrap().push(unanswered),
                        _ => unanswered.answer(Err(JobError::GiveUp("seen".to_owned()))),
                    }
                }
            }
        });
        stage.push([0, 1]).await;
        stage.done().await;
        let dead = stage.dead().await;
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].attempts, 2, "the time limit was one");
        let late = kept.lock().unwrap().pop().unwrap();
        assert!(!late.is_awaited());
        late.answer(Ok(()));
        stage.stop().await;
    }

    async fn a_drain_waits_for_every_job_of_a_list_and_gives_back_what_did_not_start(on) {
        let mut stage = Scene::new(on).await;
        let (log, gate, taken) = (Log::new(), Gate::default(), Arc::new(AtomicUsize::new(0)));
        let (runs, wait, count) = (log.clone(), gate.clone(), Arc::clone(&taken));
        stage.start_lists(DRAIN, move |list: List<Errand>| {
            count.fetch_add(list.len(), Ordering::SeqCst);
            let (runs, wait) = (runs.clone(), wait.clone());
            // As a batcher does: somebody else answers, after the handler has returned.
            tokio::spawn(async move {
                wait.pass().await;
                for (job, unanswered) in list {
                    runs.add(job.n);
                    answer(job.n, unanswered);
                }
            });
            async {}
        });
        stage.push(0..5).await;
        eventually("all have started", async || taken.load(Ordering::SeqCst) == 5).await;
        stage.stop.cancel();
        stage.nobody_fetches().await;
        stage.push([5]).await;
        gate.open();
        stage.drained().await;
        assert_eq!(log.entries(), [0, 1, 2, 3, 4]);
        let depth = stage.depth().await;
        assert_eq!((depth.ready, depth.delayed, depth.in_flight), (1, 1, 0));
        assert_eq!(stage.dead().await.len(), 1);
    }
}
