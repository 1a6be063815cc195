//! Test messages: sent on request, by the process that gets the request.

use std::sync::Arc;

use tocsin::context::Context;
use tocsin::operations::notify::{TestRequest, TestSender, Tested};

use crate::notifiers::{Message, Notifier, TestMessage};

/// Sends test messages through these notifiers.
#[must_use]
pub fn test_sender(context: &Context, notifiers: Vec<Box<dyn Notifier>>) -> TestSender {
    let base = context.config.public_url.as_deref();
    let page = base.map(|base| format!("{}/", base.trim_end_matches('/')));
    let channels = notifiers.iter().map(|one| one.channel().to_owned());
    let channels = channels.collect();
    let notifiers: Arc<[Box<dyn Notifier>]> = notifiers.into();
    TestSender::new(channels, move |request| {
        let (notifiers, page) = (Arc::clone(&notifiers), page.clone());
        Box::pin(async move {
            let mut all = notifiers.iter();
            let notifier = all.find(|one| one.channel() == request.channel)?;
            Some(send(notifier.as_ref(), request, page).await)
        })
    })
}

async fn send(notifier: &dyn Notifier, request: TestRequest, page: Option<String>) -> Tested {
    let body = notifier.render_test(&TestMessage {
        id: request.id,
        at: request.at,
        by: request.by,
        page,
    });
    let message = Message {
        id: request.id,
        at: request.at,
        body: &body,
        reply_to: None,
        is_silent: false,
        reply_markup: None,
        is_repeated: false,
    };
    let sent = notifier.send(message).await;
    Tested {
        channel: request.channel,
        sent: sent.is_ok(),
        answer: match sent {
            Ok(sent) => sent.answer,
            Err(error) => error.to_string(),
        },
    }
}
