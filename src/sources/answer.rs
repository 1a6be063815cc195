//! The answer to an accepted delivery.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Taken)]
pub struct WebhookAnswer {
    /// Always `ok`.
    pub status: &'static str,
    /// Alerts in the body.
    #[schema(minimum = 0)]
    pub processed: u64,
    /// Jobs enqueued for usable alerts.
    #[schema(minimum = 0)]
    pub enqueued: u64,
    /// Unusable alerts, which are kept as one dead letter.
    #[schema(minimum = 0)]
    pub rejected: u64,
    /// Alerts that are tests of the connection; left out if there are none.
    #[serde(skip_serializing_if = "is_none")]
    #[schema(minimum = 0, required = false)]
    pub tests: u64,
    /// Events of a kind that is not used; left out if there are none.
    #[serde(skip_serializing_if = "is_none")]
    #[schema(minimum = 0, required = false)]
    pub unused: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(n: &u64) -> bool {
    *n == 0
}

/// What a source answers, and how soon.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The answer to a delivery that was taken: rejected alerts may be in it, and are kept all the same.
    pub give: fn(&WebhookAnswer) -> Response,
    /// Whether that has [`WebhookAnswer`] as its body, for the API's description.
    pub has_counts: bool,
    /// How long its sender is let wait. Unset: until every alert is stored, or for eight seconds and then 503, which
    /// makes the sender try again.
    ///
    /// Set, for a sender that does not try again and gives up on those that answer late: 503 would lose what it
    /// sent as surely as a crash does. What is not stored by then is answered as taken, and is held in memory and
    /// pushed again until the store takes it, for 15 minutes at most; a process that ends waits for it for a moment.
    /// What comes to nothing all the same is said in the log and counted in `tocsin_jobs_lost_total`. When so much is
    /// held that there is no room for more, the answer is 503. A queue that is full (`queue.max_depth`) still takes it.
    pub within: Option<Duration>,
}

impl Answer {
    /// 200 and the counts, when everything is stored.
    pub const COUNTS: Self = Self {
        give: |taken| Json(*taken).into_response(),
        has_counts: true,
        within: None,
    };
}
