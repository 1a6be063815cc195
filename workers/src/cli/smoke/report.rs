//! The result of the sources' canaries, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use tocsin::domain::canary::Link;

/// What came of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It was done in time.
    Ok,
    /// It was not, or went wrong.
    Failed,
    /// It was not tried.
    Skipped,
}

/// One link of one source.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    pub(super) link: Link,
    pub(super) outcome: Outcome,
    /// How long it took.
    pub(super) ms: Option<u64>,
    pub(super) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<&'static str>,
}

impl Step {
    pub(super) fn skipped(link: Link, why: &str) -> Self {
        Self {
            link,
            outcome: Outcome::Skipped,
            ms: None,
            detail: why.to_owned(),
            hint: None,
        }
    }
}

/// The links of one source.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SourceReport {
    pub(super) source: String,
    /// The canary's ID, once it was made.
    pub(super) canary: Option<String>,
    #[serde(rename = "links")]
    pub(super) steps: Vec<Step>,
}

impl SourceReport {
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            canary: None,
            steps: Vec::new(),
        }
    }

    pub(super) fn done(&mut self, link: Link, ms: u64, detail: String) {
        self.steps.push(Step {
            link,
            outcome: Outcome::Ok,
            ms: Some(ms),
            detail,
            hint: None,
        });
    }

    /// The link that failed.
    pub(super) fn failed(&self) -> Option<&Step> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.outcome == Outcome::Failed)
    }
}

/// All of them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) instance: String,
    #[serde(rename = "within_ms", serialize_with = "in_ms")]
    pub(super) within: Duration,
    pub(super) sources: Vec<SourceReport>,
}

fn in_ms<S: Serializer>(within: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
}

impl Report {
    pub(super) const fn new(instance: String, within: Duration) -> Self {
        Self {
            instance,
            within,
            sources: Vec::new(),
        }
    }

    /// What failed, as `source: link`.
    pub(super) fn failed(&self) -> Vec<String> {
        let failed = |of: &SourceReport| {
            let step = of.failed()?;
            Some(format!("{}: {}", of.source, step.link.name()))
        };
        self.sources.iter().filter_map(failed).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for source in &self.sources {
            writeln!(f, "{}", source.source)?;
            for step in &source.steps {
                let mark = match step.outcome {
                    Outcome::Ok => "✓",
                    Outcome::Failed => "✗",
                    Outcome::Skipped => "-",
                };
                let took = step.ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
                let (link, detail) = (step.link.name(), &step.detail);
                writeln!(f, "  {mark} {link:<9}{took:>9}  {detail}")?;
                if let Some(hint) = step.hint {
                    writeln!(f, "{:23}{hint}", "")?;
                }
            }
        }
        let failed = self.failed().len();
        let sources = self.sources.len();
        match failed {
            0 => write!(
                f,
                "\n{}: every link works, by {}, each within {:?}.",
                self.instance,
                plural(sources),
                self.within
            ),
            _ => write!(
                f,
                "\n{}: {failed} of {} failed.",
                self.instance,
                plural(sources)
            ),
        }
    }
}

fn plural(sources: usize) -> String {
    match sources {
        1 => "1 source".to_owned(),
        n => format!("{n} sources"),
    }
}
