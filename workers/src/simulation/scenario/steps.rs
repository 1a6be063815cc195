//! The steps of a scenario, in the order in which they happen.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use super::file::{File, FileRepair, FileStep};
use super::{AlertKind, By, Event, Fix, Lines, Repair, ScenarioError, Step};

/// How long a scenario goes on after its last step, if it does not say so.
const THEN: Duration = Duration::from_secs(60);
/// Longer than that nothing is remembered.
const LONGEST: Duration = Duration::from_secs(60 * 86_400);
/// More are no history that a person reads.
const TIMES: u32 = 1000;

type Alerts = BTreeMap<String, AlertKind>;
/// What happens to the alert of a name.
type Named = fn(String) -> Event;
/// What somebody does.
type Done = fn(By) -> Event;

/// The steps, and how long after its beginning the scenario ends.
pub(super) fn read(
    file: &File,
    alerts: &Alerts,
    lines: &Lines<'_>,
) -> Result<(Vec<Step>, Duration), ScenarioError> {
    let mut reader = Reader {
        alerts,
        lines,
        steps: Vec::new(),
        over: Duration::ZERO,
        last: Duration::ZERO,
    };
    for step in &file.steps {
        reader.read(step)?;
    }
    let Reader {
        mut steps, over, ..
    } = reader;
    // What is written first happens first.
    steps.sort_by_key(|step| step.at);
    Ok((steps, over + file.then.map_or(THEN, |then| then.0)))
}

struct Reader<'a> {
    alerts: &'a Alerts,
    lines: &'a Lines<'a>,
    steps: Vec<Step>,
    /// When all that was read is over.
    over: Duration,
    /// When the last step began.
    last: Duration,
}

impl Reader<'_> {
    fn read(&mut self, written: &Spanned<FileStep>) -> Result<(), ScenarioError> {
        let step = written.get_ref();
        let wrong = |message: &str| self.lines.error(written, message.to_owned());
        let at = match (step.at, step.after) {
            (Some(_), Some(_)) => return Err(wrong("a step has `at` or `after`, not both")),
            (Some(at), None) => at.0,
            (None, after) => self.over + after.map_or(Duration::ZERO, |after| after.0),
        };
        if at < self.last {
            return Err(wrong("`at` is earlier than the step before"));
        }
        if step.fires.is_none() && (step.lasts.is_some() || step.times.is_some()) {
            return Err(wrong("`lasts` and `times` belong to `fires`"));
        }
        if step.times.is_some() != step.every.is_some() {
            return Err(wrong("`times` and `every` belong together"));
        }
        let (times, every) = (step.times.unwrap_or(1), step.every.map(|every| every.0));
        let every = every.unwrap_or_default();
        if !(1..=TIMES).contains(&times) {
            return Err(wrong(&format!("times must be from 1 to {TIMES}")));
        }
        let lasts = step.lasts.map_or(Duration::ZERO, |lasts| lasts.0);
        if times > 1 && (every <= lasts || lasts.is_zero()) {
            return Err(wrong("with `times`, `lasts` must be shorter than `every`"));
        }
        let end = at + every * (times - 1) + lasts;
        if end > LONGEST {
            return Err(wrong("a scenario ends within 60 days"));
        }
        let line = self.lines.of(written.span().start);
        let before = self.steps.len();
        self.happens(step, at, line)?;
        for n in 0..times {
            let began = at + every * n;
            for alert in names(step.fires.as_ref()) {
                if n > 0 {
                    self.push(began, line, Event::Fires(alert.clone()));
                }
                if step.lasts.is_some() {
                    self.push(began + lasts, line, Event::Ends(alert.clone()));
                }
            }
        }
        if self.steps.len() == before {
            return Err(wrong("nothing happens in this step"));
        }
        self.last = at;
        self.over = self.over.max(end);
        Ok(())
    }

    /// What happens at once, in this order.
    fn happens(&mut self, step: &FileStep, at: Duration, line: usize) -> Result<(), ScenarioError> {
        if let Some(note) = &step.note {
            self.push(at, line, Event::Note(note.clone()));
        }
        let named: [(_, Named); 3] = [
            (&step.ends, Event::Ends),
            (&step.fires, Event::Fires),
            (&step.goes_silent, Event::GoesSilent),
        ];
        for (list, what) in named {
            let Some(list) = list else { continue };
            for alert in &list.get_ref().0 {
                self.known(alert, list)?;
                self.push(at, line, what(alert.clone()));
            }
        }
        if let Some(repair) = &step.repair {
            let read = self.repair(repair)?;
            if read.success.is_none() {
                return Err(self
                    .lines
                    .error(repair, "repair: success is missing".to_owned()));
            }
            self.push(at, line, Event::Repaired(read));
        }
        if let Some(repair) = &step.repair_starts {
            let read = self.repair(repair)?;
            if read.success.is_some() || read.took.is_some() {
                let why = "repair_starts: success and took are known when it finishes".to_owned();
                return Err(self.lines.error(repair, why));
            }
            self.push(at, line, Event::Repaired(read));
        }
        if let Some(repair) = &step.repair_finishes {
            let read = self.repair(repair)?;
            if read.success.is_none() {
                let why = "repair_finishes: success is missing".to_owned();
                return Err(self.lines.error(repair, why));
            }
            self.push(at, line, Event::Finished(read));
        }
        if let Some(fix) = &step.fix {
            let written = fix.get_ref();
            let by = self.by(written.alert.as_ref(), written.operator.as_ref(), fix)?;
            let reference = written.reference.clone();
            self.push(at, line, Event::Fixed(Fix { by, reference }));
        }
        let people: [(_, Done); 2] = [
            (&step.acknowledge, Event::Acknowledged),
            (&step.resolve, Event::Resolved),
        ];
        for (written, what) in people {
            let Some(written) = written else { continue };
            let by = written.get_ref();
            let by = self.by(by.alert.as_ref(), by.operator.as_ref(), written)?;
            self.push(at, line, what(by));
        }
        if let Some(mute) = &step.mute {
            let written = mute.get_ref();
            let by = self.by(written.alert.as_ref(), written.operator.as_ref(), mute)?;
            self.push(at, line, Event::Muted(by, written.r#for.0));
        }
        if let Some(expect) = &step.expect {
            if let Some(alert) = &expect.get_ref().alert {
                self.known(alert, expect)?;
            }
            let expect = Box::new(expect.get_ref().clone());
            self.push(at, line, Event::Expect(expect));
        }
        Ok(())
    }

    fn push(&mut self, at: Duration, line: usize, what: Event) {
        self.steps.push(Step { at, line, what });
    }

    fn repair(&self, written: &Spanned<FileRepair>) -> Result<Repair, ScenarioError> {
        let repair = written.get_ref();
        Ok(Repair {
            by: self.by(repair.alert.as_ref(), repair.operator.as_ref(), written)?,
            action: repair.action.clone(),
            success: repair.success,
            note: repair.note.clone(),
            took: repair.took.map(|took| took.0),
        })
    }

    /// Of the alert that is named, or of the only one.
    fn by<T>(
        &self,
        alert: Option<&String>,
        operator: Option<&String>,
        written: &Spanned<T>,
    ) -> Result<By, ScenarioError> {
        let alert = match alert {
            Some(alert) => {
                self.known(alert, written)?;
                alert.clone()
            }
            None => match self.alerts.keys().next() {
                Some(only) if self.alerts.len() == 1 => only.clone(),
                _ => {
                    let why = "there are several alerts: `alert` must name one".to_owned();
                    return Err(self.lines.error(written, why));
                }
            },
        };
        Ok(By {
            alert,
            operator: operator.cloned(),
        })
    }

    fn known<T>(&self, alert: &str, written: &Spanned<T>) -> Result<(), ScenarioError> {
        if self.alerts.contains_key(alert) {
            return Ok(());
        }
        let known: Vec<&str> = self.alerts.keys().map(String::as_str).collect();
        let why = format!(
            "[alerts.{alert}] is not defined: there is {}",
            known.join(", ")
        );
        Err(self.lines.error(written, why))
    }
}

fn names(list: Option<&Spanned<tocsin::domain::routing::List<String>>>) -> &[String] {
    list.map_or(&[], |list| &list.get_ref().0)
}
