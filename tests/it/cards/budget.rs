//! The budget of a chat is that of all workers together.

use std::time::{Duration, Instant};

use tocsin::context::Context;
use tocsin_workers::workers;

use crate::harness::{Harness, alert};
use crate::on_servers;

const SECOND: Duration = Duration::from_secs(1);

on_servers! {
    async fn two_workers_share_what_a_chat_may_get(on) {
        let mut h = Harness::start_with(on, |config| config.telegram.chat_per_second = 20).await;
        let other = Context::open((*h.context.config).clone()).await.unwrap();
        h.work(workers(&other));
        // A little shorter than a second: what is sent in turn may arrive a little closer together.
        h.telegram.limit(20, SECOND.mul_f32(0.8));
        let began = Instant::now();
        let alerts = (0..60).map(|n| alert(&format!("A{n}"), "a", h.now())).collect();
        h.send_and_drain(alerts).await;
        assert_eq!(h.telegram.messages().len(), 60);
        assert_eq!(h.telegram.refused(), 0, "nobody was sent away");
        // Five at once, then fifteen a second.
        assert!(began.elapsed() > 3 * SECOND, "{:?}", began.elapsed());
        h.finish().await;
        other.db.close().await.unwrap();
    }
}
