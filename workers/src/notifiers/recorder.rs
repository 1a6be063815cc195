//! A notifier that writes down what another would have sent, and sends nothing: for simulations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tocsin::config::Config;
use tocsin::domain::budget::Budget;
use tocsin::domain::notification::Kind;
use tocsin::text::Text;
use uuid::Uuid;

use super::markup::Line;
use super::{
    Card, Digest, Edited, Message, Notifier, SendError, Sent, TestMessage, configured, digest,
    message,
};

/// How long sending takes.
const TAKES: Duration = Duration::from_millis(2);

/// A message that would have been sent, or edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its id, the same for its edits.
    pub id: Uuid,
    /// Where it would have gone.
    pub channel: String,
    /// The incident it is about; none of a digest.
    pub incident: Option<Uuid>,
    /// What it tells; none if that is not known.
    pub kind: Option<Kind>,
    /// Whether it says that a storm is over.
    pub ends_storm: bool,
    /// Its first line, as plain text.
    pub headline: String,
    /// Whether a message that was sent before would show another text.
    pub is_edit: bool,
    /// Whether it would make no sound.
    pub is_silent: bool,
}

/// What all recorders of a simulation wrote down, in order.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Vec<Recorded>>>);

impl Recording {
    /// Takes what was written down since it was taken last.
    #[must_use]
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// The notifiers that the settings call for, none of which sends anything.
#[must_use]
pub fn recorders(config: &Config, recording: &Recording) -> Vec<Box<dyn Notifier>> {
    let of = |inner| -> Box<dyn Notifier> {
        Box::new(Recorder {
            inner,
            text: config.language.text(),
            recording: recording.clone(),
            rendered: Mutex::default(),
        })
    };
    configured(config).into_iter().map(of).collect()
}

/// Says of a text what it is about.
#[derive(Clone, Default)]
struct About {
    incident: Option<Uuid>,
    kind: Option<Kind>,
    ends_storm: bool,
    headline: String,
}

struct Recorder {
    inner: Box<dyn Notifier>,
    text: &'static Text,
    recording: Recording,
    /// What was rendered: a message is sent by its text alone.
    rendered: Mutex<HashMap<String, About>>,
}

impl Recorder {
    fn rendered(&self, body: String, mut about: About, lines: &[Line]) -> String {
        let headline = lines.first().map(Line::plain).unwrap_or_default();
        headline.trim().clone_into(&mut about.headline);
        lock(&self.rendered).insert(body.clone(), about);
        body
    }

    fn card(&self, body: String, card: &Card) -> String {
        let about = About {
            incident: Some(card.incident.id),
            kind: Some(card.kind),
            ..About::default()
        };
        self.rendered(body, about, &message::lines(card, self.text))
    }

    fn record(&self, message: Message<'_>, is_edit: bool) {
        let rendered = lock(&self.rendered);
        let about = rendered.get(message.body);
        let recorded = Recorded {
            id: message.id,
            channel: self.channel().to_owned(),
            incident: about.and_then(|about| about.incident),
            kind: about.and_then(|about| about.kind),
            ends_storm: about.is_some_and(|about| about.ends_storm),
            headline: about.map_or_else(|| message.body.to_owned(), |a| a.headline.clone()),
            is_edit,
            is_silent: message.is_silent,
        };
        lock(&self.recording.0).push(recorded);
    }
}

#[async_trait]
impl Notifier for Recorder {
    fn channel(&self) -> &str {
        self.inner.channel()
    }

    fn render(&self, card: &Card) -> String {
        self.card(self.inner.render(card), card)
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        self.record(message, false);
        // Nobody is told in no time: what a message tells was before it, on a clock that stands still, too.
        tokio::time::sleep(TAKES).await;
        Ok(Sent {
            message_id: Some(message.id.to_string()),
            answer: "recorded by a simulation".to_owned(),
        })
    }

    fn render_test(&self, test: &TestMessage) -> String {
        self.inner.render_test(test)
    }

    fn sets_state(&self) -> bool {
        self.inner.sets_state()
    }

    fn render_digest(&self, digest: &Digest) -> Option<String> {
        let body = self.inner.render_digest(digest)?;
        let about = About {
            kind: Some(Kind::Digest),
            ends_storm: digest.is_over,
            ..About::default()
        };
        Some(self.rendered(body, about, &digest::lines(digest, self.text)))
    }

    fn budget(&self) -> Option<Budget> {
        self.inner.budget()
    }

    fn render_edit(&self, card: &Card, shown: Option<&str>) -> Option<String> {
        let body = self.inner.render_edit(card, shown)?;
        Some(self.card(body, card))
    }

    async fn edit(&self, _message_id: &str, message: Message<'_>) -> Result<Edited, SendError> {
        self.record(message, true);
        Ok(Edited::Done)
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
