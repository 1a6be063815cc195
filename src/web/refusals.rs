//! Refused deliveries: they are counted, logged, and kept for a day. Otherwise only the sender would know of them, and
//! its log is seldom read.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use sea_orm::DbErr;

use super::client::client;
use super::problem::RefusalReason;
use super::tallies::Tallies;
use super::write_behind::{Gathered, WriteBehind};
use crate::context::Context;
use crate::sources::Source;
use crate::store::refusals::{self, Refusal};
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::metrics::BySourceAndReason;
use crate::telemetry::task_context;

/// One kind is logged at most once in this time.
const SAID: Duration = Duration::from_secs(10);
/// The most bytes that are kept of a body that could not be read.
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
    gathered: WriteBehind<Refusal>,
}

/// One row of each source and reason, so it costs the store little however many deliveries are refused.
impl Gathered for Refusal {
    /// The source and the reason.
    type Key = (String, String);

    const WHAT: &'static str = "rejected requests";
    const GATHER: Duration = Duration::from_secs(1);
    const TOGETHER: usize = 1;

    fn key(&self) -> Self::Key {
        (self.source.clone(), self.reason.clone())
    }

    fn add_older(&mut self, older: Self) {
        Self::add_older(self, older);
    }

    async fn write(context: &Context, some: &[Self]) -> Result<(), DbErr> {
        for refusal in some {
            refusals::add(context.db.write(), refusal).await?;
        }
        Ok(())
    }
}

impl Refusals {
    pub(super) fn new(context: &Context) -> Self {
        Self(Arc::new(Inner {
            context: context.clone(),
            tallies: Tallies::new(context),
            said: LogThrottle::new(SAID),
            gathered: WriteBehind::new(context),
        }))
    }

    /// What each source delivers, refused or not.
    pub(crate) fn tallies(&self) -> &Tallies {
        &self.0.tallies
    }

    /// Writes what is gathered, before the process ends. Nothing may be refused meanwhile. It waits for the store for
    /// no more than a moment.
    pub async fn finish(&self) {
        tokio::join!(self.0.gathered.finish(), self.0.tallies.finish());
    }

    /// The refusals that are not in the store yet.
    pub(crate) fn unwritten(&self) -> Vec<Refusal> {
        self.0.gathered.unwritten()
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
        self.0.gathered.add(Refusal {
            source: called.to_owned(),
            reason: reason.to_owned(),
            deliveries: 1,
            first_at: now,
            last_at: now,
            status: i64::from(status.as_u16()),
            client: from.to_string(),
            request_id: request,
            detail,
            body: body.map(|body| beginning(body, BODY)),
            body_at: body.map(|_| now),
        });
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
