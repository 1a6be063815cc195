//! A channel, tried: one marked message, about no incident.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Invalid, OperationError};
use crate::context::Context;
use crate::ids::new_id;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::time::Timestamp;

/// A message that is asked for.
#[derive(Clone, Debug)]
pub struct TestRequest {
    /// Its id.
    pub id: Uuid,
    /// The channel that it goes to.
    pub channel: String,
    /// When it is asked for.
    pub at: Timestamp,
    /// By whom.
    pub by: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChannelTest)]
pub struct Tested {
    /// The channel.
    pub channel: String,
    /// Whether the provider took the message.
    pub sent: bool,
    /// What the provider answered, or why it could not be asked.
    pub answer: String,
}

type Sends = dyn Fn(TestRequest) -> BoxFuture<'static, Option<Tested>> + Send + Sync;

/// Sends such messages from this process, through the notifiers that its settings call for. Nothing comes of a
/// channel that it does not have.
#[derive(Clone)]
pub struct TestSender {
    channels: Arc<[String]>,
    send: Arc<Sends>,
}

impl TestSender {
    /// One that sends to these channels so.
    pub fn new<F>(channels: Vec<String>, send: F) -> Self
    where
        F: Fn(TestRequest) -> BoxFuture<'static, Option<Tested>> + Send + Sync + 'static,
    {
        Self {
            channels: channels.into(),
            send: Arc::new(send),
        }
    }

    /// The channels that it sends to.
    #[must_use]
    pub fn channels(&self) -> &[String] {
        &self.channels
    }
}

impl fmt::Debug for TestSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSender")
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

/// Sends one message to a channel now, from this process. Quiet hours, routes and budgets do not count for it.
pub async fn test(
    context: &Context,
    sender: Option<&TestSender>,
    actor: &Actor,
    channel: &str,
) -> Result<Tested, OperationError> {
    let known = sender.map_or(&[][..], |sender| &sender.channels);
    let unknown = || Invalid::UnknownChannel {
        name: channel.to_owned(),
        known: known.to_vec(),
    };
    let sender = sender.ok_or_else(unknown)?;
    if !known.iter().any(|known| known == channel) {
        return Err(unknown().into());
    }
    let at = context.clock.now();
    let entry = AuditEntry {
        action: Action::TestChannel,
        target: channel,
        detail: json!({}),
    };
    audit::record(context.db.write(), actor, entry, at).await?;
    let request = TestRequest {
        id: new_id(at),
        channel: channel.to_owned(),
        at,
        by: actor.operator.clone(),
    };
    let tested = (sender.send)(request).await;
    Ok(tested.ok_or_else(unknown)?)
}
