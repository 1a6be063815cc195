//! Jobs that are looked for by what is in them.

use std::time::Duration;

use tocsin::queue::store::{Answer, JobState, NewJob};

use super::{MAIL, again, job};

const SECOND: Duration = Duration::from_secs(1);

fn with(n: u32, payload: &str) -> NewJob {
    NewJob {
        payload: payload.to_owned(),
        ..job(n)
    }
}

conformance! {
    async fn a_job_is_found_by_what_is_in_it_wherever_it_stands(bench) {
        let jobs: Vec<NewJob> = (0..4).map(|n| with(n, &format!("{{\"to\":\"50%_of.*\",\"n\":{n}}}"))).collect();
        bench.push(&jobs).await;
        bench.push(&[NewJob { delay: 60 * SECOND, ..with(4, "{\"to\":\"50%_of.*\",\"n\":4}") }]).await;
        bench.push(&[with(5, "{\"to\":\"50%_OF.*\"}"), with(6, "{\"to\":\"50 of\"}")]).await;
        bench.push(&[NewJob { queue: "parcels", ..with(7, "{\"to\":\"50%_of.*\"}") }]).await;
        let held = bench.fetch("a", 3).await;
        bench.settle_all("a", &[
            (held[1].lease, again(30 * SECOND)),
            (held[2].lease, Answer::GiveBack),
        ]).await;
        let mut found = bench.store.search(MAIL, "50%_of.*", 10).await.unwrap();
        found.sort_by(|a, b| a.job.payload.cmp(&b.job.payload));
        let stands: Vec<JobState> = found.iter().map(|queued| queued.stand).collect();
        assert_eq!(stands, [JobState::InFlight, JobState::Delayed, JobState::Ready, JobState::Ready, JobState::Delayed]);
        assert_eq!(found[0].job.lease.id, held[0].lease.id);
        assert_eq!(found[0].job.payload, b"{\"to\":\"50%_of.*\",\"n\":0}");
        for queued in &found {
            assert_eq!(queued.due_at.is_some(), queued.stand == JobState::Delayed, "{queued:?}");
        }
        assert_eq!(bench.store.search(MAIL, "50%_of.*", 2).await.unwrap().len(), 2);
        assert!(bench.store.search(MAIL, "nobody", 10).await.unwrap().is_empty());
        assert!(bench.store.search("letters", "50", 10).await.unwrap().is_empty());
    }

    async fn the_newest_are_looked_at_first_and_not_all_of_a_long_queue(bench) {
        bench.push(&[with(0, "{\"first\":1}")]).await;
        let many: Vec<NewJob> = (1..=6000).map(job).collect();
        bench.push(&many).await;
        bench.push(&[with(6001, "{\"last\":1}")]).await;
        assert_eq!(bench.store.search(MAIL, "last", 10).await.unwrap().len(), 1);
        assert!(bench.store.search(MAIL, "first", 10).await.unwrap().is_empty());
    }
}
