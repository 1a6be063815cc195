//! Jobs that may be what killed their workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{ERRANDS, Errand, Gate, Log, Scene, until};
use crate::on_all;

const DRAIN: Duration = Duration::from_secs(10);
/// Errands from this number on are suspects.
const SUSPECT: u32 = 100;

/// Runs errands: those below [`SUSPECT`] wait for the gate; a suspect looks around for a while, and
/// writes down how many others ran beside it.
fn look_around(stage: &mut Scene, gate: &Gate, seen: &Log<usize>, runs: &Log<u32>) {
    let (gate, seen, runs) = (gate.clone(), seen.clone(), runs.clone());
    let store = Arc::clone(&stage.store.inner);
    let running = Arc::new(AtomicUsize::new(0));
    stage.start(DRAIN, move |job: Errand<4>, _| {
        let (gate, seen, runs) = (gate.clone(), seen.clone(), runs.clone());
        let (store, running) = (Arc::clone(&store), Arc::clone(&running));
        async move {
            let beside = running.fetch_add(1, Ordering::SeqCst);
            runs.add(job.n);
            if job.n < SUSPECT {
                gate.pass().await;
            } else {
                let begun = runs.entries().len();
                for _ in 0..20 {
                    store.depth(ERRANDS).await?;
                }
                seen.add(beside + runs.entries().len() - begun);
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
}

on_all! {
    async fn a_suspect_that_arrived_first_runs_first(on) {
        let mut stage = Scene::new(on).await;
        let (gate, seen, runs) = (Gate::default(), Log::new(), Log::new());
        gate.open();
        stage.push(0..30).await;
        stage.push_unanswered(SUSPECT, 3).await;
        look_around(&mut stage, &gate, &seen, &runs);
        stage.done().await;
        assert_eq!(seen.entries(), [0], "others ran beside it");
        assert_eq!(runs.entries()[0], SUSPECT);
        assert_eq!(runs.entries().len(), 31);
        stage.stop().await;
    }

    async fn a_busy_worker_makes_room_for_a_suspect(on) {
        let mut stage = Scene::new(on).await;
        let (gate, seen, runs) = (Gate::default(), Log::new(), Log::new());
        look_around(&mut stage, &gate, &seen, &runs);
        stage.push([0, 1]).await;
        runs.has(2).await;
        // Who looked between these pushes would make room, and never take the third over.
        stage.store.unreachable.store(u32::MAX, Ordering::SeqCst);
        let asked = stage.store.asked.load(Ordering::SeqCst);
        until("nobody looks", || stage.store.asked.load(Ordering::SeqCst) > asked).await;
        let suspects = [SUSPECT, SUSPECT + 1];
        for n in suspects {
            stage.push_unanswered(n, 3).await;
        }
        stage.push_unanswered(2, 1).await;
        stage.store.unreachable.store(0, Ordering::SeqCst);
        runs.has(3).await;
        // That one was taken over beside others: the worker has heard of the suspects too.
        stage.push(3..40).await;
        gate.open();
        stage.done().await;
        assert_eq!(seen.entries(), [0, 0], "others ran beside it");
        assert_eq!(runs.entries().len(), 42);
        assert_eq!(runs.entries()[3], SUSPECT, "room was made at once");
        stage.is_the_first_worker().await;
        stage.stop().await;
    }

    async fn poison_is_a_dead_letter_without_being_run(on) {
        let mut stage = Scene::new(on).await;
        let (gate, seen, runs) = (Gate::default(), Log::new(), Log::new());
        gate.open();
        let poison = stage.push_unanswered(SUSPECT, 5).await;
        stage.push_unanswered(SUSPECT + 1, 4).await;
        stage.push(0..3).await;
        look_around(&mut stage, &gate, &seen, &runs);
        stage.done().await;
        let mut ran = runs.entries();
        ran.sort_unstable();
        assert_eq!(ran, [0, 1, 2, SUSPECT + 1]);
        let dead = stage.dead().await;
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].id, dead[0].attempts), (poison, 0));
        assert!(dead[0].reason.contains("died 5 times"), "{}", dead[0].reason);
        stage.stop().await;
    }
}
