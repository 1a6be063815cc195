//! The jobs that a consumer holds, and the bytes of their payloads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::JobHandle;
use crate::queue::store::{SUSPECT_AFTER, SUSPECT_BATCH_DIVISOR};

/// A job that is held.
pub(super) struct InFlight {
    pub(super) held: Arc<JobHandle>,
    /// Until when the lease certainly holds, by this process's clock.
    pub(super) until: Instant,
}

/// The held jobs by ID. The sums are kept up to date, because every fetch needs them.
#[derive(Default)]
pub(super) struct Slots {
    jobs: HashMap<Uuid, InFlight>,
    bytes: usize,
    suspect_weights: usize,
}

/// How many slots for redelivered jobs a job takes: [`SUSPECT_BATCH_DIVISOR`] if another crash would make it a
/// suspect, none at its first delivery.
fn suspect_weight(held: &JobHandle) -> usize {
    match held.lease.delivery {
        0 | 1 => 0,
        SUSPECT_AFTER.. => SUSPECT_BATCH_DIVISOR,
        _ => 1,
    }
}

impl Slots {
    /// How many jobs are held.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The bytes of their payloads.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The slots for redelivered jobs that are taken.
    pub(super) const fn suspect_weights(&self) -> usize {
        self.suspect_weights
    }

    /// Holds a job until then; a new delivery takes the slot of its earlier one.
    pub(super) fn hold(&mut self, held: Arc<JobHandle>, until: Instant) {
        self.bytes += held.payload.len();
        self.suspect_weights += suspect_weight(&held);
        if let Some(before) = self.jobs.insert(held.id(), InFlight { held, until }) {
            self.forget(&before.held);
        }
    }

    /// Frees the slot of this delivery, if it still has one.
    pub(super) fn release(&mut self, held: &Arc<JobHandle>) {
        let is_held = |entry: &InFlight| Arc::ptr_eq(&entry.held, held);
        if self.jobs.get(&held.id()).is_some_and(is_held) {
            self.jobs.remove(&held.id());
            self.forget(held);
        }
    }

    fn forget(&mut self, held: &JobHandle) {
        self.bytes -= held.payload.len();
        self.suspect_weights -= suspect_weight(held);
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&InFlight> {
        self.jobs.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: Uuid) -> Option<&mut InFlight> {
        self.jobs.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InFlight> {
        self.jobs.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::store::{Lease, StorePosition};
    use crate::time::Timestamp;

    fn held(id: u128, delivery: u32, bytes: usize) -> Arc<JobHandle> {
        Arc::new(JobHandle {
            lease: Lease {
                id: Uuid::from_u128(id),
                delivery,
                replay: 0,
                place: StorePosition::default(),
            },
            payload: vec![0; bytes],
            failed: Vec::new(),
            trace_id: None,
            enqueued_at: Timestamp(0),
            put_off: false,
            waits: Default::default(),
        })
    }

    #[test]
    fn the_sums_are_those_of_what_is_held() {
        let (mut slots, until) = (Slots::default(), Instant::now());
        let sums = |slots: &Slots| (slots.len(), slots.bytes(), slots.suspect_weights());
        let (first, again, last) = (held(1, 1, 5), held(1, 2, 5), held(2, SUSPECT_AFTER, 7));
        slots.hold(Arc::clone(&first), until);
        assert_eq!(sums(&slots), (1, 5, 0));
        slots.hold(Arc::clone(&again), until);
        assert_eq!(sums(&slots), (1, 5, 1));
        slots.hold(Arc::clone(&last), until);
        assert_eq!(sums(&slots), (2, 12, 1 + SUSPECT_BATCH_DIVISOR));
        // Its slot is that of the new delivery.
        slots.release(&first);
        assert_eq!(sums(&slots), (2, 12, 1 + SUSPECT_BATCH_DIVISOR));
        for held in [&again, &last, &last] {
            slots.release(held);
        }
        assert_eq!(sums(&slots), (0, 0, 0));
    }
}
