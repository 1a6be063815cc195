//! Scenarios: what happens, and when, as an engineer on call writes it in TOML.

mod alerts;
mod file;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use tocsin::time::Timestamp;

pub(super) use alerts::Kind as AlertKind;
use file::File;
pub(super) use file::{Expected, FileExpect as Expect};

/// When a scenario begins that does not say so: a Monday morning, UTC.
const BEGINS: Timestamp = Timestamp(1_767_603_600_000);

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScenarioError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// A history to be played.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its title.
    pub title: String,
    /// What it shows.
    pub about: String,
    /// Settings over those that are given.
    pub settings: toml::Table,
    /// The line where these begin.
    pub settings_line: usize,
    /// When it begins.
    pub begins: Timestamp,
    pub(super) alerts: BTreeMap<String, AlertKind>,
    /// In the order in which they happen.
    pub(super) steps: Vec<Step>,
    /// How long it goes on after it began.
    pub(super) ends: Duration,
}

/// Something happens.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// So long after the beginning.
    pub(super) at: Duration,
    /// The line of the scenario.
    pub(super) line: usize,
    pub(super) what: What,
}

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// Nothing, but it is said.
    Note(String),
    /// An alert fires.
    Fires(String),
    /// It ends.
    Ends(String),
    /// Its source stops sending it, and does not say that it ended.
    GoesSilent(String),
    /// Somebody repairs it; `success` is none while that has only started.
    Repaired(Repair),
    /// A repair that was started has finished.
    Finished(Repair),
    /// A permanent fix is marked.
    Fixed(Fix),
    /// Somebody takes its newest incident.
    Acknowledged(By),
    /// Somebody resolves its newest incident.
    Resolved(By),
    /// Somebody mutes it.
    Muted(By, Duration),
    /// What must hold now.
    Expect(Box<Expect>),
}

/// Of which alert, and who.
#[derive(Clone, Debug)]
pub(super) struct By {
    pub(super) alert: String,
    pub(super) operator: Option<String>,
}

/// What was tried.
#[derive(Clone, Debug)]
pub(super) struct Repair {
    pub(super) by: By,
    pub(super) action: String,
    pub(super) success: Option<bool>,
    pub(super) note: Option<String>,
    /// How long it took before.
    pub(super) took: Option<Duration>,
}

/// What was fixed.
#[derive(Clone, Debug)]
pub(super) struct Fix {
    pub(super) by: By,
    pub(super) reference: Option<String>,
}

impl Scenario {
    /// How long it lasts.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.ends
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let lines = Lines(text);
        let file: File = toml::from_str(text).map_err(|error| ScenarioError {
            line: lines.of(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let begins = match &file.begins {
            None => BEGINS,
            Some(at) => Timestamp::parse(at.get_ref()).ok_or_else(|| {
                let what = "begins: expected a time such as \"2026-01-05T09:00:00Z\"";
                lines.error(at, what.to_owned())
            })?,
        };
        let alerts = alerts::read(&file, &lines)?;
        let (steps, ends) = steps::read(&file, &alerts, &lines)?;
        let settings = file.settings;
        Ok(Self {
            title: file.title,
            about: file.about.trim().to_owned(),
            begins,
            settings_line: settings
                .as_ref()
                .map_or(1, |table| lines.of(table.span().start)),
            settings: settings.map(toml::Spanned::into_inner).unwrap_or_default(),
            alerts,
            steps,
            ends,
        })
    }
}

/// Finds the line of a place in a text.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn of(&self, place: usize) -> usize {
        let before = self.0.as_bytes().iter().take(place);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    fn error<T>(&self, at: &toml::Spanned<T>, message: String) -> ScenarioError {
        ScenarioError {
            line: self.of(at.span().start),
            message,
        }
    }
}

#[cfg(test)]
mod tests;
