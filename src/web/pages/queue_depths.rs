//! Depth of the queues in the last hour, as this process sampled it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Shared;
use crate::context::Context;
use crate::jobs::QUEUES;
use crate::time::Timestamp;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(15);
/// Looks that are kept: an hour.
const KEPT: usize = 240;

/// One look: how many jobs each queue had, in the order of [`QUEUES`]; `None` if it did not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct DepthSample {
    pub(super) at: Timestamp,
    pub(super) depths: [Option<u64>; QUEUES.len()],
}

/// The looks of the last hour.
#[derive(Debug, Default)]
pub(in crate::web) struct Depths(Mutex<VecDeque<DepthSample>>);

impl Depths {
    /// Oldest first.
    pub(super) fn looks(&self) -> Vec<DepthSample> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.iter().copied().collect()
    }

    fn add(&self, look: DepthSample) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() == KEPT {
            looks.pop_front();
        }
        looks.push_back(look);
    }
}

/// Looks for as long as there are pages.
pub(super) fn start(context: &Context, shared: &Arc<Shared>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let (queues, clock) = (context.queues.clone(), context.clock.clone());
    let shared = Arc::downgrade(shared);
    runtime.spawn(async move {
        while let Some(shared) = shared.upgrade() {
            let mut depths = [None; QUEUES.len()];
            for (slot, queue) in depths.iter_mut().zip(QUEUES) {
                let depth = queues.store().depth(queue).await.ok();
                *slot = depth.map(|depth| depth.ready + depth.delayed + depth.in_flight);
            }
            let at = clock.now();
            shared.depths.add(DepthSample { at, depths });
            drop(shared);
            tokio::time::sleep(EVERY).await;
        }
    });
}
