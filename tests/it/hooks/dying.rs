//! A worker that dies after its request was sent and before that is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tocsin::jobs::{Execute, Job as _, JobError};
use tocsin_workers::execute::{Executors, handle};
use tocsin_workers::fleet::Worker;
use tocsin_workers::workers;

use super::set;
use crate::harness::{Harness, alert, resolved};
use crate::on_all;
use crate::receiver::Receiver;

on_all! {
    async fn a_request_whose_worker_died_comes_again_with_the_same_key(on) {
        let receiver = Receiver::start().await;
        let mut h = Harness::without_workers(on, |config| set(config, &receiver, "run", &json!({}))).await;
        let (lives, taken) = (Arc::new(AtomicBool::new(false)), receiver.clone());
        let mut all = workers(&h.context);
        all.retain(|worker| worker.queue() != Execute::POLICY.queue);
        all.push(Worker::new(&h.context, Executors::new(&h.context), move |job: Execute, held, data| {
            let (lives, taken) = (Arc::clone(&lives), taken.clone());
            async move {
                if lives.swap(true, Ordering::Relaxed) {
                    return handle(job, held, data).await;
                }
                taken.hold(true);
                tokio::select! {
                    done = handle(job, held, data) => panic!("it was not answered: {done:?}"),
                    () = taken.has(1) => {}
                }
                taken.hold(false);
                Err(JobError::RetryAfter { after: Duration::ZERO, why: "it died".to_owned() })
            }
        }));
        h.work(all);
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        let sent = receiver.deliveries();
        assert_eq!(sent.len(), 2);
        assert_eq!((&sent[0].key, &sent[0].body), (&sent[1].key, &sent[1].body));
        assert_eq!(h.sql("SELECT count(*) FROM executions WHERE state = 'asked'").await, 1);
        h.send_and_drain(vec![resolved(firing, h.now())]).await;
        h.finish().await;
    }
}
