//! Plays a scenario: goes from moment to moment, has the workers and recount do what is due there, and tells what is
//! different after.
//!
//! Recount runs once a minute after something happened and less often when nothing does, so that weeks take seconds.
//! What is due at a known moment, a message that waits or a verdict, is not late by that. What time alone changes, such
//! as a level that falls, may be told up to [`seldom`] later.

mod actions;
mod told;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tocsin::config::Config;
use tocsin::time::{Timestamp, millis};
use tocsin::verdicts::GRACE;
use uuid::Uuid;

use super::changes::{self, Change};
use super::expect::{self, Sent};
use super::instance::{Folder, Instance};
use super::scenario::{Event, Scenario, Step};
use super::state::{Effectiveness, Recommendation, State};
use super::{Entry, Kind, Outcome};

const MINUTE: Duration = Duration::from_secs(60);
/// How often recount runs where nobody looks at what follows.
const UNWATCHED: Duration = Duration::from_secs(60 * 60);
/// What follows from a step within this time is awaited before expectations are checked.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Plays a scenario with these settings, and hands each entry to `tell` as soon as it is known.
///
/// # Errors
/// A step cannot be done; the message names its line. What is expected and not so is no error.
pub async fn play(
    scenario: &Scenario,
    config: Config,
    tell: impl FnMut(&Entry) + Send,
) -> anyhow::Result<Outcome> {
    let folder = Folder::new()?;
    let instance = Box::pin(Instance::start(config, scenario.begins, &folder)).await?;
    let (outcome, _) = Player::new(scenario, instance, Some(tell)).finish().await?;
    Ok(outcome)
}

/// Plays a scenario into a folder and looks at nothing that follows, which takes most of the time. Recount runs less
/// often, too. Returns what fires at the end, as its source sends it again.
///
/// # Errors
/// A step cannot be done; the message names its line.
pub async fn play_into(
    folder: &Folder,
    scenario: &Scenario,
    config: Config,
) -> anyhow::Result<Vec<Value>> {
    let instance = Box::pin(Instance::start(config, scenario.begins, folder)).await?;
    let player = Player::new(scenario, instance, None::<fn(&Entry)>);
    let (_, firing) = Box::pin(player.finish()).await?;
    let sent = firing.iter().filter(|(_, firing)| firing.is_sent);
    let sent = sent.flat_map(|(name, firing)| {
        let kind = &scenario.alerts[name];
        kind.sent(name, firing.since, None)
    });
    Ok(sent.collect())
}

/// An alert that fires.
struct Firing {
    since: Timestamp,
    sent_at: Timestamp,
    /// Whether its source still sends it.
    is_sent: bool,
}

struct Player<'a, T> {
    scenario: &'a Scenario,
    instance: Instance,
    /// Told of what follows; none if nobody wants to know.
    tell: Option<T>,
    state: State,
    /// What fires, by the alert's name.
    firing: BTreeMap<String, Firing>,
    sent: Sent,
    /// What each message shows, and of which incident.
    shown: BTreeMap<Uuid, (String, Option<Uuid>)>,
    /// What is recommended for each incident.
    recommended: BTreeMap<Uuid, Recommendation>,
    /// When something last happened.
    active_at: Timestamp,
    outcome: Outcome,
}

impl<'a, T: FnMut(&Entry) + Send> Player<'a, T> {
    fn new(scenario: &'a Scenario, instance: Instance, tell: Option<T>) -> Self {
        Self {
            scenario,
            instance,
            tell,
            state: State::default(),
            firing: BTreeMap::new(),
            sent: Sent::default(),
            shown: BTreeMap::new(),
            recommended: BTreeMap::new(),
            active_at: scenario.begins,
            outcome: Outcome::default(),
        }
    }

    /// Plays it to its end, and returns what fires then.
    async fn finish(mut self) -> anyhow::Result<(Outcome, BTreeMap<String, Firing>)> {
        let played = self.play().await;
        self.instance.stop().await?;
        played?;
        Ok((self.outcome, self.firing))
    }

    async fn play(&mut self) -> anyhow::Result<()> {
        let scenario = self.scenario;
        for step in &scenario.steps {
            self.pass_until(scenario.begins.after(step.at)).await?;
            let done = self.step(step).await;
            done.with_context(|| format!("line {}", step.line))?;
        }
        self.pass_until(scenario.begins.after(scenario.ends)).await
    }

    /// Time passes, and what is due meanwhile is done.
    async fn pass_until(&mut self, end: Timestamp) -> anyhow::Result<()> {
        while self.instance.now() < end {
            let (next, is_tick) = self.next_moment(end).await?;
            self.instance.advance_to(next);
            self.resend().await?;
            self.instance.settle().await?;
            if is_tick {
                self.instance.recount().await?;
            }
            if self.tell.is_some() && self.look().await? {
                self.active_at = self.instance.now();
            }
        }
        Ok(())
    }

    /// When something is due next, and whether recount runs then.
    async fn next_moment(&self, end: Timestamp) -> anyhow::Result<(Timestamp, bool)> {
        let now = self.instance.now();
        let begins = self.scenario.begins;
        let quiet = now.since(self.active_at);
        let every = millis(match self.tell {
            Some(_) => seldom(quiet),
            None => UNWATCHED,
        });
        let tick = begins.0 + ((now.0 - begins.0) / every + 1) * every;
        let tick = self.verdict_at(now).map_or(tick, |at| at.0.min(tick));
        let resend = self.firing.iter().filter(|(_, firing)| firing.is_sent);
        let resend =
            resend.map(|(name, firing)| firing.sent_at.after(self.scenario.alerts[name].resend));
        let due = self.instance.outlook().await?.next;
        let first = resend.chain(due).min().unwrap_or(end);
        let next = first.min(Timestamp(tick)).min(end);
        Ok((next, next.0 == tick))
    }

    /// The next minute after which a repair can be judged.
    fn verdict_at(&self, now: Timestamp) -> Option<Timestamp> {
        let settings = &self.instance.context.config.effectiveness;
        let quiets = settings.rules.iter().map(|rule| rule.quiet.0);
        let quiets: BTreeSet<Duration> = quiets.chain([settings.quiet.0]).collect();
        let unjudged = self.state.repairs.iter().filter(|r| r.verdict.is_none());
        let done = unjudged.filter_map(|repair| repair.finished_at);
        let due = done.flat_map(|done| quiets.iter().map(move |quiet| done.after(*quiet + GRACE)));
        due.map(|due| self.whole_minute(due))
            .filter(|due| *due > now)
            .min()
    }

    fn whole_minute(&self, at: Timestamp) -> Timestamp {
        let (begins, minute) = (self.scenario.begins.0, millis(MINUTE));
        Timestamp(begins + (at.0 - begins + minute - 1) / minute * minute)
    }

    /// What still fires is sent again.
    async fn resend(&mut self) -> anyhow::Result<()> {
        let now = self.instance.now();
        for (name, firing) in &mut self.firing {
            let kind = &self.scenario.alerts[name];
            if firing.is_sent && firing.sent_at.after(kind.resend) <= now {
                firing.sent_at = now;
                let alerts = kind.sent(name, firing.since, None);
                self.instance.send("firing", &alerts).await?;
            }
        }
        Ok(())
    }

    /// Tells what is different since it was looked last, and whether anything is.
    async fn look(&mut self) -> anyhow::Result<bool> {
        let state = State::read(&self.instance).await?;
        let mut found = changes::between(&self.state, &state, &self.instance.context.config);
        for key in changes::judged_on(&self.state, &state) {
            let worth = Effectiveness::of(&self.instance, &key).await?;
            let newest = state.newest(&key);
            let name = newest.map(|newest| state.name(newest.id));
            found.extend(name.map(|name| changes::worth(name, &worth)));
        }
        self.state = state;
        if !found.is_empty() {
            found.extend(self.recommendations().await?);
        }
        found.extend(self.messages().await?);
        let is_anything = !found.is_empty();
        for change in found {
            self.say(change, None);
        }
        Ok(is_anything)
    }

    /// What is recommended of unresolved incidents that was not before.
    async fn recommendations(&mut self) -> anyhow::Result<Vec<Change>> {
        let mut found = Vec::new();
        for incident in self.state.newest_of_each() {
            if !incident.is_open() {
                continue;
            }
            let now = Recommendation::of(&self.instance, incident.id).await?;
            let Some(now) = now else { continue };
            if now.differs(self.recommended.get(&incident.id)) {
                found.push(changes::recommended(self.state.name(incident.id), &now));
            }
            self.recommended.insert(incident.id, now);
        }
        Ok(found)
    }

    fn say(&mut self, change: Change, line: Option<usize>) {
        let entry = Entry {
            at: self.instance.now(),
            kind: change.kind,
            incidents: change.incidents,
            what: change.what,
            why: change.why,
            line,
        };
        if let Some(tell) = &mut self.tell {
            tell(&entry);
        }
    }

    fn say_step(&mut self, line: usize, what: String) {
        let step = Change {
            kind: Kind::Step,
            incidents: Vec::new(),
            what,
            why: None,
        };
        self.say(step, Some(line));
    }

    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        if self.tell.is_none() {
            self.state = State::read(&self.instance).await?;
        } else if let Event::Expect(expect) = &step.what {
            return self.expect(expect, step.line).await;
        }
        self.say_step(step.line, self.in_words(&step.what));
        self.active_at = self.instance.now();
        match &step.what {
            Event::Note(_) | Event::Expect(_) => {}
            Event::Fires(alert) => self.fires(alert).await?,
            Event::Ends(alert) => self.ends(alert).await?,
            Event::GoesSilent(alert) => match self.firing.get_mut(alert) {
                Some(firing) => firing.is_sent = false,
                None => bail!("{alert} does not fire"),
            },
            Event::Repaired(repair) => self.repaired(repair).await?,
            Event::Finished(repair) => self.finished(repair).await?,
            Event::Fixed(fix) => self.fixed(fix).await?,
            Event::Acknowledged(by) => self.incident("acknowledge", by).await?,
            Event::Resolved(by) => self.incident("resolve", by).await?,
            Event::Muted(by, time) => {
                let path = format!("/api/v1/anomalies/{}/mute", self.key(&by.alert));
                let time = format!("{}s", time.as_secs());
                let body = json!({"for": time, "operator": by.operator});
                self.instance.act("POST", &path, body).await?;
            }
        }
        if self.tell.is_some() {
            self.look().await?;
        }
        Ok(())
    }

    async fn expect(
        &mut self,
        expected: &super::scenario::Expect,
        line: usize,
    ) -> anyhow::Result<()> {
        let soon = self.instance.now().after(AT_ONCE);
        while let Some(due) = self
            .instance
            .outlook()
            .await?
            .next
            .filter(|due| *due <= soon)
        {
            self.pass_until(due).await?;
        }
        let alerts = &self.scenario.alerts;
        let only = alerts.keys().next().filter(|_| alerts.len() == 1);
        let alert = expected.alert.as_ref().or(only);
        let key = alert.map(|alert| self.key(alert));
        let seen = (&self.instance, &self.state, &self.sent);
        let checked = expect::check(expected, key.as_deref(), seen).await?;
        for one in checked {
            let (kind, what) = match one.instead {
                None => (Kind::Met, one.what),
                Some(instead) => (Kind::Failed, format!("{}, but it is {instead}", one.what)),
            };
            match kind {
                Kind::Met => self.outcome.met += 1,
                _ => self.outcome.failed += 1,
            }
            let change = Change {
                kind,
                incidents: Vec::new(),
                what,
                why: None,
            };
            self.say(change, Some(line));
        }
        Ok(())
    }

    /// The key of an alert's anomaly.
    fn key(&self, alert: &str) -> String {
        self.scenario.alerts[alert].key(&self.instance.context.config)
    }
}

/// How often recount runs when nothing has happened for so long.
fn seldom(quiet: Duration) -> Duration {
    match quiet.as_secs() / 60 {
        0..=10 => MINUTE,
        11..=120 => 5 * MINUTE,
        121..=1440 => 15 * MINUTE,
        _ => 60 * MINUTE,
    }
}
