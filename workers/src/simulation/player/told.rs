//! The messages that would have been sent, each with why it is sent.

use tocsin::domain::again::{FormerIncident, Opening, Sound, sound};
use tocsin::domain::notification::Kind as Tells;
use tocsin::store::cards;
use tocsin::store::views::lists;

use super::super::changes::Change;
use super::super::report::in_words;
use super::super::{Entry, Kind};
use super::Player;
use crate::notifiers::recorder::Recorded;

impl<T: FnMut(&Entry) + Send> Player<'_, T> {
    /// What was sent and edited since it was looked last.
    pub(super) async fn messages(&mut self) -> anyhow::Result<Vec<Change>> {
        let mut told: Vec<Change> = Vec::new();
        for message in self.instance.recording.take() {
            let shows = (message.headline.clone(), message.incident);
            let shown = self.shown.insert(message.id, shows.clone());
            if message.is_edit && shown.as_ref() == Some(&shows) {
                continue;
            }
            let goes_on = shown.is_some_and(|(_, incident)| incident != message.incident);
            let kind = match message.is_edit {
                true => Kind::Edit,
                false => Kind::Message,
            };
            if kind == Kind::Message {
                self.sent.messages += 1;
                self.sent.last.clone_from(&message.headline);
            }
            let what = match (message.is_edit, message.is_silent) {
                (true, _) => "card shows",
                (false, false) => "message",
                (false, true) => "silent message",
            };
            let channel = match message.channel.as_str() {
                "telegram:-1" => String::new(),
                channel => format!(" to {channel}"),
            };
            let incident = message.incident.map(|id| self.state.name(id));
            let why = match kind {
                Kind::Edit if goes_on => Some(self.why_on_card()),
                Kind::Edit => None,
                _ => self.why_sent(&message).await?,
            };
            told.push(Change {
                kind,
                incidents: incident.into_iter().collect(),
                what: format!("{what}{channel}: {}", message.headline),
                why,
            });
        }
        Ok(told)
    }

    fn why_on_card(&self) -> String {
        let again = in_words(self.instance.context.config.telegram.again.0);
        format!("told within {again}, and nothing is worse: no new message (telegram.again)")
    }

    async fn why_sent(&self, message: &Recorded) -> anyhow::Result<Option<String>> {
        let config = &self.instance.context.config;
        let why = match message.kind {
            Some(Tells::Opened) => return self.why_opened(message).await,
            Some(Tells::Escalated) => "its anomaly rose to this level".to_owned(),
            Some(Tells::Reopened) => "it was resolved, and its alert fires".to_owned(),
            Some(Tells::Worsened) => "an alert of it is more severe".to_owned(),
            Some(Tells::Flapping) => {
                let (start, window) = (config.flapping.start, in_words(config.flapping.window.0));
                format!(
                    "its anomaly began and ended at least {start} times within {window} (flapping.start)"
                )
            }
            Some(Tells::Steady) => {
                let (end, window) = (config.flapping.end, in_words(config.flapping.window.0));
                format!("it began and ended at most {end} times within {window} (flapping.end)")
            }
            Some(Tells::Digest) if message.ends_storm => {
                let least = config.telegram.storm_above.div_ceil(2);
                format!(
                    "fewer than {least} messages within a minute (half of telegram.storm_above)"
                )
            }
            Some(Tells::Digest) => {
                let above = config.telegram.storm_above;
                format!("more than {above} messages within a minute (telegram.storm_above)")
            }
            Some(Tells::Resolved | Tells::Repeated | Tells::Report | Tells::Playbook) | None => {
                return Ok(None);
            }
        };
        Ok(Some(why))
    }

    /// Why an incident that opened has a message of its own.
    async fn why_opened(&self, message: &Recorded) -> anyhow::Result<Option<String>> {
        let Some(id) = message.incident else {
            return Ok(None);
        };
        let context = &self.instance.context;
        let Some((incident, anomaly)) = lists::incident(context.db.read(), id).await? else {
            return Ok(None);
        };
        if incident.number == 1 {
            return Ok(Some("the first incident of its anomaly".to_owned()));
        }
        let former = cards::former(context.db.read(), &[id]).await?.remove(&id);
        let former: FormerIncident = former.unwrap_or_default();
        let again = context.config.telegram.again.0;
        let opening = Opening {
            severity: &incident.severity,
            level: anomaly.level,
            risen_at: anomaly.risen_at,
            permanent_fix_at: anomaly.permanent_fix_at,
        };
        let told = former.told.get(&message.channel);
        let sounds = told.map(|told| {
            let again = (!again.is_zero()).then_some(again);
            sound(&opening, &former, told, again, incident.opened_at)
        });
        Ok(Some(match sounds {
            Some(Some(Sound::LongAgo)) => {
                format!(
                    "nothing was told of it for more than {} (telegram.again)",
                    in_words(again)
                )
            }
            Some(Some(Sound::Rose)) => {
                format!(
                    "its anomaly rose to {} since it was told last",
                    anomaly.level.name()
                )
            }
            Some(Some(Sound::Fixed)) => {
                "its anomaly was marked as fixed for good since it was told last".to_owned()
            }
            Some(Some(Sound::ResolvedByPerson)) => {
                "a person had resolved the incident before".to_owned()
            }
            Some(Some(Sound::Severity)) => {
                "it is more severe than the incident before, or may be".to_owned()
            }
            Some(None) | None => return Ok(None),
        }))
    }
}
