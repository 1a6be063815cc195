//! The context of the present work: its request or job, and its trace. Everything that runs within that work
//! knows it, and every line that is logged there has it.
//!
//! It is a value of the task and no span of `tracing`: one of those costs several allocations, for
//! each alert, and is not there when `RUST_LOG` asks for warnings alone.

use std::future::Future;

use axum::http::HeaderValue;
use tokio::task::futures::TaskLocalFuture;
use uuid::Uuid;

use crate::telemetry::trace_context::Trace;

tokio::task_local! {
    static TASK_CONTEXT: TaskContext;
}

/// What work belongs to.
#[derive(Clone, Debug, Default)]
pub struct TaskContext {
    /// The request.
    pub request: Option<RequestId>,
    /// The job, and its queue.
    pub job: Option<(Uuid, &'static str)>,
    /// The trace.
    pub trace: Option<Trace>,
}

impl TaskContext {
    /// Does `work` that does not wait as belonging to this.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        TASK_CONTEXT.sync_scope(self, work)
    }

    /// Runs `work` as belonging to this.
    pub fn follow<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        TASK_CONTEXT.scope(self, work)
    }
}

/// Looks at what the present work belongs to; `None` if it belongs to nothing.
pub fn look<T>(at: impl FnOnce(&TaskContext) -> T) -> Option<T> {
    TASK_CONTEXT.try_with(at).ok()
}

/// The trace of the present work.
#[must_use]
pub fn trace() -> Option<Trace> {
    look(|task_context| task_context.trace).flatten()
}

/// The id of a request: the caller's, or one that was made for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The longest that is taken from a caller, in characters.
    const LONGEST: usize = 128;

    /// The caller's, if it is visible ASCII and not too long; else a new one.
    #[must_use]
    pub fn of(given: Option<&HeaderValue>) -> Self {
        let is_sane = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=Self::LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        given.filter(is_sane).cloned().map_or_else(Self::new, Self)
    }

    fn new() -> Self {
        let mut text = Uuid::encode_buffer();
        let text = Uuid::now_v7().hyphenated().encode_lower(&mut text);
        // Always a header's value: it is hex and hyphens.
        let id = HeaderValue::from_str(text);
        Self(id.unwrap_or_else(|_| HeaderValue::from_static("unknown")))
    }

    /// As a header's value.
    #[must_use]
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_id_is_taken_if_it_is_sane() {
        let of = |given: &[u8]| {
            let given = HeaderValue::from_bytes(given).unwrap();
            RequestId::of(Some(&given)).as_str().to_owned()
        };
        assert_eq!(of(b"a/1-\"2\""), "a/1-\"2\"");
        assert_eq!(of(&[b'x'; 128]), "x".repeat(128));
        for insane in [
            b"".as_slice(),
            b"a b",
            b"a\tb",
            &[b'x'; 129],
            "é".as_bytes(),
        ] {
            assert_eq!(of(insane).len(), 36, "{insane:?}");
        }
        assert_ne!(RequestId::of(None), RequestId::of(None));
    }

    #[tokio::test]
    async fn task_context_is_visible_only_within_its_task() {
        let trace = Some(Trace::begin());
        let task_context = TaskContext {
            trace,
            ..TaskContext::default()
        };
        assert_eq!(task_context.follow(async { super::trace() }).await, trace);
        assert_eq!(super::trace(), None);
    }
}
