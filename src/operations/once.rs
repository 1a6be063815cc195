//! Operations that are asked for with an idempotency key: asked for again with the same key and arguments,
//! they are done once and answered the same.
//!
//! A request is claimed before its operation is done, and its answer stored after it, unless the operation
//! was refused. A process that dies between the two leaves a claim that ends after a minute; then the
//! operation is done again, which harms nothing: what is done already stays as it is, and jobs have ids made
//! of the key.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Conflict, OperationError};
use crate::context::Context;
use crate::ids::{derived_id, new_id};
use crate::store::maintenance;
use crate::store::requests::{self, Answer, Claim, Lookup};
use crate::time::Timestamp;

/// How often it is looked whether a request that is waited for is done.
const PAUSE: Duration = Duration::from_millis(100);

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    id: Uuid,
    /// Of the arguments.
    digest: String,
}

impl RequestKey {
    /// The request of `token` at `address` with this `key`. With the same key, it must have the same `body`.
    #[must_use]
    pub fn new(token: &str, (method, path): (&str, &str), key: &str, body: &[u8]) -> Self {
        let digest = &Sha256::digest(body)[..16];
        Self {
            id: derived_id(&["request", token, method, path, key]),
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// The id of the job that an operation enqueues: made of the idempotency key, if there is one, so that it is
/// the same job again; else a new one.
pub(super) fn job(words: &[&str], key: Option<&str>, now: Timestamp) -> Uuid {
    match key {
        Some(key) => derived_id(&[words, &[key]].concat()),
        None => new_id(now),
    }
}

/// What came of an operation that is done once.
#[derive(Debug)]
pub enum Once<T> {
    /// It was done now.
    Done(T),
    /// It was done before, and answered so.
    Before(Answer),
}

/// Does an operation once. It is polled only if the request is not done before, and its result is stored as
/// `answer` makes it. While another does the same request, it is waited for as long as `patience`.
pub async fn once<T, E: From<OperationError>>(
    context: &Context,
    request: &RequestKey,
    patience: Duration,
    operation: impl Future<Output = Result<T, E>>,
    answer: impl FnOnce(&T) -> Answer,
) -> Result<Once<T>, E> {
    let claim = match claim(context, request, patience).await? {
        Claimed::New(claim) => claim,
        Claimed::Before(answer) => return Ok(Once::Before(answer)),
    };
    match operation.await {
        Ok(done) => {
            remember(context, claim, &answer(&done)).await;
            Ok(Once::Done(done))
        }
        Err(error) => {
            release(context, claim).await;
            Err(error)
        }
    }
}

enum Claimed {
    New(Claim),
    Before(Answer),
}

async fn claim(
    context: &Context,
    request: &RequestKey,
    mut patience: Duration,
) -> Result<Claimed, OperationError> {
    let db = context.db.write();
    loop {
        let now = context.clock.of_store(maintenance::now(db).await?);
        match requests::claim(db, request.id, &request.digest, now).await? {
            Lookup::New(claim) => return Ok(Claimed::New(claim)),
            Lookup::Done(answer) => return Ok(Claimed::Before(answer)),
            Lookup::Other => return Err(Conflict::KeyReused.into()),
            Lookup::InProgress if patience.is_zero() => return Err(Conflict::InProgress.into()),
            Lookup::InProgress => {
                tokio::time::sleep(PAUSE).await;
                patience = patience.saturating_sub(PAUSE);
            }
        }
    }
}

/// The operation is done, so that its answer cannot be stored does not fail it.
async fn remember(context: &Context, claim: Claim, answer: &Answer) {
    if let Err(error) = requests::remember(context.db.write(), claim, answer).await {
        tracing::warn!(
            "cannot store the response for an idempotency key, so a retry may repeat the operation: {error}"
        );
    }
}

/// Nothing was done: the same request is to be tried again.
async fn release(context: &Context, claim: Claim) {
    if let Err(error) = requests::release(context.db.write(), claim).await {
        tracing::debug!("cannot release the claim on an idempotency key; it expires: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_who_asks_for_what_with_which_key() {
        let key =
            |token, address, key, body: &str| RequestKey::new(token, address, key, body.as_bytes());
        let pause = ("POST", "/queues/notify/pause");
        let known = key("operate:a", pause, "k", "{}");
        assert_eq!(key("operate:a", pause, "k", "{}"), known);
        let other_body = key("operate:a", pause, "k", "{ }");
        assert_eq!(other_body.id, known.id);
        assert_ne!(other_body.digest, known.digest);
        let resume = ("POST", "/queues/notify/resume");
        for other in [
            key("operate:b", pause, "k", "{}"),
            key("operate:a", resume, "k", "{}"),
            key("operate:a", ("DELETE", pause.1), "k", "{}"),
            key("operate:a", pause, "l", "{}"),
        ] {
            assert_ne!(other.id, known.id);
        }
    }

    #[test]
    fn a_job_is_the_same_with_the_same_key() {
        let now = Timestamp(1_795_382_909_000);
        let with = |key| job(&["repair", "i"], Some(key), now);
        assert_eq!(with("k"), with("k"));
        assert_ne!(with("k"), with("l"));
        assert_ne!(job(&["recount"], None, now), job(&["recount"], None, now));
    }
}
