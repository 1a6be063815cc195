//! What became of deliveries that were refused: they are counted, said in the log, and kept for a day.
//! Only the sender knows of them otherwise, and its log is seldom read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use super::client::client;
use super::problem::RefusalReason;
use super::tallies::Tallies;
use crate::context::Context;
use crate::sources::Source;
use crate::store::refusals::{self, Refusal};
use crate::telemetry::metrics::BySourceAndReason;
use crate::telemetry::seldom::LogThrottle;
use crate::telemetry::task_context;

/// One kind is logged at most once in this time.
const SAID: Duration = Duration::from_secs(10);
/// How long refusals gather before they are written, and how long it is waited after a write that failed.
const GATHER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How long the store may take for what is written last.
const LAST: Duration = Duration::from_secs(2);
/// Bytes of a body that could not be read.
const BODY: usize = 4 << 10;
/// Maximum bytes of the stored refusal.
pub(super) const DETAIL: usize = 500;

fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "malformed",
        401 => "unauthorized",
        403 => "forbidden",
        405 => "method",
        413 => "too_large",
        415 => "encoding",
        503 => "unavailable",
        _ => "other",
    }
}

/// Refusals on their way to the store.
#[derive(Clone)]
pub struct Refusals(Arc<Inner>);

struct Inner {
    context: Context,
    tallies: Tallies,
    said: LogThrottle<(&'static str, &'static str)>,
    failed: LogThrottle<()>,
    state: Mutex<Noted>,
    /// Held by who writes, so that who waits for it knows that it is written.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Noted {
    unwritten: HashMap<(String, &'static str), Refusal>,
    /// What is being written: it may come back.
    under_way: Vec<Refusal>,
    /// Whether a task writes them.
    is_written: bool,
}

impl Refusals {
    pub(super) fn new(context: &Context) -> Self {
        Self(Arc::new(Inner {
            context: context.clone(),
            tallies: Tallies::new(context),
            said: LogThrottle::new(SAID),
            failed: LogThrottle::new(6 * SAID),
            state: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }))
    }

    /// What each source delivers, refused or not.
    pub(crate) fn tallies(&self) -> &Tallies {
        &self.0.tallies
    }

    /// Writes what gathered, before the process ends. Nothing more may be refused meanwhile; where the store
    /// takes nothing, it is waited for no longer than a moment.
    pub async fn finish(&self) {
        let write = tokio::time::timeout(LAST, self.write_once());
        let (written, ()) = tokio::join!(write, self.0.tallies.finish());
        if written != Ok(true) {
            tracing::warn!("cannot store the last rejected requests");
        }
    }

    /// What the store does not know yet.
    pub(crate) fn unwritten(&self) -> Vec<Refusal> {
        let state = self.state();
        let gathered = state.unwritten.values().cloned();
        gathered.chain(state.under_way.iter().cloned()).collect()
    }

    fn state(&self) -> MutexGuard<'_, Noted> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a request comes from.
    pub(super) fn client(&self, request: &Request) -> IpAddr {
        client(request, &self.0.context.config.trusted_proxies)
    }

    /// What a delivery of a kind of sender comes from, by the name in its address.
    pub(super) fn called(&self, source: &Source, name: &str) -> Cow<'static, str> {
        source.called(&self.0.context.config, name)
    }

    /// Notes that a delivery of a kind of sender, of the source that is called so, was answered like this.
    pub(super) fn note(
        &self,
        source: &'static str,
        called: &str,
        from: IpAddr,
        response: &Response,
    ) {
        let status = response.status();
        let reason = reason(status);
        let context = &self.0.context;
        let by = BySourceAndReason { source, reason };
        context.metrics.refused.get_or_create(&by).inc();

        let said = response.extensions().get::<RefusalReason>();
        // What a layer of a library refuses says no more than its status.
        let unsaid = status.canonical_reason().unwrap_or_default();
        let detail = said.map_or(unsaid, |said| said.refusal.detail());
        let body = said.and_then(|said| said.body.as_deref());
        let request = task_context::look(|task_context| {
            Some(task_context.request.as_ref()?.as_str().to_owned())
        });
        let request = request.flatten().unwrap_or_default();
        let now = context.clock.now();
        if let Some(more) = self.0.said.says((source, reason)) {
            tracing::warn!(
                source = called,
                status = status.as_u16(),
                client.address = %from,
                request.id = request,
                more,
                "rejected a webhook request: {detail}"
            );
        }
        let detail = beginning(detail.as_bytes(), DETAIL);
        self.0.tallies.refused(called, detail.clone());
        let mut state = self.state();
        let refusal = state
            .unwritten
            .entry((called.to_owned(), reason))
            .or_insert_with(|| Refusal {
                source: called.to_owned(),
                reason: reason.to_owned(),
                deliveries: 0,
                first_at: now,
                last_at: now,
                status: 0,
                client: String::new(),
                request_id: String::new(),
                detail: String::new(),
                body: None,
                body_at: None,
            });
        refusal.deliveries += 1;
        refusal.last_at = now;
        refusal.status = i64::from(status.as_u16());
        refusal.client = from.to_string();
        refusal.request_id = request;
        refusal.detail = detail;
        if let Some(body) = body {
            refusal.body = Some(beginning(body, BODY));
            refusal.body_at = Some(now);
        }
        if !state.is_written {
            state.is_written = true;
            tokio::spawn(self.clone().write());
        }
    }

    /// Writes what gathers until nothing more does. One row of each kind, so it costs the store little
    /// however many are refused.
    async fn write(self) {
        let mut pause = GATHER.0;
        loop {
            tokio::time::sleep(pause).await;
            {
                let mut state = self.state();
                state.is_written = !state.unwritten.is_empty();
                if !state.is_written {
                    return;
                }
            }
            pause = match self.write_once().await {
                true => GATHER.0,
                false => GATHER.1,
            };
        }
    }

    /// Writes what has gathered; says whether all of it is written.
    async fn write_once(&self) -> bool {
        let _turn = self.0.writing.lock().await;
        let unwritten = self.state().begin();
        let mut is_written = true;
        for (kind, refusal) in unwritten {
            let added = refusals::add(self.0.context.db.write(), &refusal).await;
            self.state().is_over(&refusal);
            if let Err(error) = added {
                if self.0.failed.says(()).is_some() {
                    tracing::warn!("cannot store rejected requests yet, will retry: {error}");
                }
                self.state().give_back(kind, refusal);
                is_written = false;
            }
        }
        is_written
    }
}

impl Noted {
    /// Takes what is to be written.
    fn begin(&mut self) -> HashMap<(String, &'static str), Refusal> {
        let unwritten = std::mem::take(&mut self.unwritten);
        self.under_way = unwritten.values().cloned().collect();
        unwritten
    }

    /// This is written, or it was tried in vain.
    fn is_over(&mut self, refusal: &Refusal) {
        self.under_way.retain(|one| !one.is_like(refusal));
    }

    /// Keeps what could not be written, beneath what came since.
    fn give_back(&mut self, kind: (String, &'static str), older: Refusal) {
        match self.unwritten.get_mut(&kind) {
            Some(newer) => newer.add_older(older),
            None => {
                self.unwritten.insert(kind, older);
            }
        }
    }
}

/// How a text begins, as every store takes it.
pub(super) fn beginning(text: &[u8], most: usize) -> String {
    let text = &text[..text.len().min(most)];
    String::from_utf8_lossy(text).replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::REFUSALS;

    #[test]
    fn every_status_has_a_reason_that_is_listed() {
        for status in 400..600 {
            let reason = reason(StatusCode::from_u16(status).unwrap());
            assert!(REFUSALS.contains(&reason), "{status} {reason}");
        }
    }

    #[test]
    fn a_body_is_kept_as_text_that_every_store_takes() {
        assert_eq!(beginning(b"a\0b\xff", 10), "a\u{fffd}b\u{fffd}");
        assert_eq!(beginning("aé".as_bytes(), 2), "a\u{fffd}");
    }
}
