//! What is done, line by line, for a person.

use serde_json::Value;

/// One thing in SigNoz, and what to do with it.
pub(super) struct Planned {
    /// `channel tocsin`, `rule ServiceErrorRateHigh`.
    pub(super) what: String,
    pub(super) step: Step,
    /// What differs, or what is created.
    pub(super) lines: Vec<String>,
}

/// What to do.
pub(super) enum Step {
    Create(Request),
    Update(Request),
    Same,
    /// It is not ours. Why, and what can be done.
    Foreign(String),
}

/// A request that changes something.
pub(super) struct Request {
    pub(super) method: reqwest::Method,
    /// Below the address of SigNoz.
    pub(super) path: Vec<String>,
    pub(super) body: Value,
}

#[derive(Default)]
pub(super) struct Report {
    pub(super) dry_run: bool,
    created: usize,
    updated: usize,
    same: usize,
    foreign: usize,
}

impl Report {
    pub(super) fn new(dry_run: bool) -> Self {
        Self {
            dry_run,
            ..Self::default()
        }
    }

    /// Counts a step, and says it.
    pub(super) fn add(&mut self, planned: &Planned) -> String {
        let (count, done) = match (&planned.step, self.dry_run) {
            (Step::Create(_), true) => (&mut self.created, "would be created".to_owned()),
            (Step::Create(_), false) => (&mut self.created, "created".to_owned()),
            (Step::Update(_), true) => (&mut self.updated, "would be updated".to_owned()),
            (Step::Update(_), false) => (&mut self.updated, "updated".to_owned()),
            (Step::Same, _) => (&mut self.same, "the same".to_owned()),
            (Step::Foreign(why), _) => (&mut self.foreign, format!("not touched: {why}")),
        };
        *count += 1;
        let mut text = format!("{}: {done}", planned.what);
        for line in &planned.lines {
            text.push_str("\n    ");
            text.push_str(line);
        }
        text
    }

    pub(super) fn summary(&self) -> String {
        let Self {
            dry_run,
            created,
            updated,
            same,
            foreign,
        } = self;
        let end = match dry_run {
            true => " Dry run: nothing was changed.",
            false => "",
        };
        format!(
            "{created} created, {updated} updated, {same} the same, {foreign} not touched.{end}"
        )
    }
}
