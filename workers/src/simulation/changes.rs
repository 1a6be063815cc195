//! What was decided between two moments, and why.

use std::collections::BTreeMap;
use std::time::Duration;

use tocsin::config::Config;
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::counting::Until;
use tocsin::domain::tier::Tier;
use tocsin::domain::verdict::Verdict;
use tocsin::text::EN;
use tocsin::text::repairs::why_verdict;
use tocsin::time::Timestamp;

use super::Kind;
use super::report::{in_words, moment};
use super::state::{Action, Effectiveness, Incident, Recommendation, Repair, State};

/// Something that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) incidents: Vec<String>,
    pub(super) what: String,
    pub(super) why: Option<String>,
}

/// What is different after, in the order of the [kinds](Kind). What is the same of several incidents is said once.
pub(super) fn between(before: &State, after: &State, config: &Config) -> Vec<Change> {
    let mut found = Found::default();
    for incident in &after.incidents {
        let was = before.incidents.iter().find(|was| was.id == incident.id);
        let name = after.name(incident.id);
        match was {
            None => found.opened(&name, incident, after, config),
            Some(was) => found.changed(&name, was, incident, config),
        }
    }
    for incident in after.newest_of_each() {
        let was = before.newest(&incident.anomaly_key);
        found.level(&after.name(incident.id), was, incident);
    }
    for repair in &after.repairs {
        let was = before.repairs.iter().find(|was| was.id == repair.id);
        if repair.verdict.is_some() && was.is_none_or(|was| was.verdict != repair.verdict) {
            found.verdict(after, was.and_then(|was| was.verdict), repair);
        }
    }
    for letter in &after.dead {
        if !before.dead.iter().any(|known| known.id == letter.id) {
            let what = format!("a job of the queue {} failed for good", letter.queue);
            found.add(Kind::DeadLetter, None, what, Some(letter.reason.clone()));
        }
    }
    found.0.sort_by_key(|change| change.kind);
    found.0
}

#[derive(Default)]
struct Found(Vec<Change>);

impl Found {
    /// Notes one change; together with another that says the same.
    fn add(&mut self, kind: Kind, incident: Option<&str>, what: String, why: Option<String>) {
        let same = self
            .0
            .iter_mut()
            .find(|known| known.kind == kind && known.what == what && known.why == why);
        let incident = incident.map(str::to_owned);
        match same {
            Some(known) => known.incidents.extend(incident),
            None => self.0.push(Change {
                kind,
                incidents: incident.into_iter().collect(),
                what,
                why,
            }),
        }
    }

    fn opened(&mut self, name: &str, incident: &Incident, after: &State, config: &Config) {
        let mut what = format!("opened: {}", incident.alert_name);
        let alike = after.incidents.iter();
        let alike = alike.filter(|other| {
            other.opened_at == incident.opened_at && other.alert_name == incident.alert_name
        });
        if alike.count() == 1 {
            let place = [&incident.service, &incident.namespace, &incident.error_type];
            let place: Vec<&str> = place.into_iter().map(String::as_str).collect();
            let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
            if !place.is_empty() {
                what = format!("{what} ({})", place.join(", "));
            }
        }
        if incident.aggregated_count > 1 {
            what = format!("{what}, with {} firings", incident.aggregated_count);
        }
        let of_key = after.incidents.iter();
        let mut of_key = of_key.filter(|other| other.anomaly_key == incident.anomaly_key);
        let earlier = of_key.find(|other| other.number == incident.number - 1);
        let why = match earlier {
            None => "the first firing of its anomaly".to_owned(),
            Some(earlier) => {
                why_not_joined(&after.name(earlier.id), earlier, incident.opened_at, config)
            }
        };
        self.add(Kind::Opened, Some(name), what, Some(why));
        self.tier(name, None, incident);
    }

    fn changed(&mut self, name: &str, was: &Incident, incident: &Incident, config: &Config) {
        let more = incident.aggregated_count - was.aggregated_count;
        let is_open_again = !was.is_open() && incident.is_open();
        if more > 0 {
            let what = format!(
                "{}: {} in it now",
                counted(more, "more firing"),
                incident.aggregated_count
            );
            self.add(
                Kind::Joined,
                Some(name),
                what,
                Some(why_joined(incident, config)),
            );
        }
        if is_open_again {
            let why = match incident.reopened > was.reopened {
                true => "it was resolved, but its alert still fires",
                false => "a firing joined it",
            };
            self.add(
                Kind::Reopened,
                Some(name),
                "open again".to_owned(),
                Some(why.to_owned()),
            );
        }
        if was.severity != incident.severity {
            let what = format!("severity {} → {}", was.severity, incident.severity);
            let why = "an alert of it is more severe".to_owned();
            self.add(Kind::Severity, Some(name), what, Some(why));
        }
        if was.is_open() && !incident.is_open() {
            let why = why_resolved(incident);
            self.add(Kind::Resolved, Some(name), "resolved".to_owned(), Some(why));
        }
        if was.status != Status::Acknowledged && incident.status == Status::Acknowledged {
            let who = incident.operator.as_deref().unwrap_or("somebody");
            let what = format!("acknowledged by {who}");
            self.add(Kind::Acknowledged, Some(name), what, None);
        }
        match (was.unheard_since, incident.unheard_since) {
            (None, Some(since)) => {
                let what = "stale".to_owned();
                let why = format!("its source has not sent it since {}", moment(since));
                self.add(Kind::Stale, Some(name), what, Some(why));
            }
            (Some(_), None) if incident.is_open() => {
                let what = "not stale any more".to_owned();
                self.add(Kind::Stale, Some(name), what, None);
            }
            _ => {}
        }
        match (was.muted_until, incident.muted_until) {
            (before, Some(until)) if before != Some(until) => {
                let who = incident.muted_by.as_deref().unwrap_or("somebody");
                let what = format!("muted by {who} until {}", moment(until));
                self.add(Kind::Mute, Some(name), what, None);
            }
            (Some(_), None) => {
                let what = "not muted any more".to_owned();
                self.add(Kind::Mute, Some(name), what, None);
            }
            _ => {}
        }
        self.tier(name, Some(was), incident);
    }

    fn tier(&mut self, name: &str, was: Option<&Incident>, incident: &Incident) {
        let (Some(tier), reason) = (incident.tier, &incident.tier_reason) else {
            return;
        };
        let before = was.and_then(|was| was.tier);
        if before == Some(tier) && was.is_some_and(|was| was.tier_reason == *reason) {
            return;
        }
        let number = i32::try_from(tier).unwrap_or_default();
        let tier_name = Tier::from_number(number).map_or("?", Tier::name);
        let what = match before {
            Some(before) if before != tier => format!("tier {before} → {tier} ({tier_name})"),
            Some(_) => format!("stays at tier {tier} ({tier_name})"),
            None => format!("tier {tier} ({tier_name})"),
        };
        self.add(Kind::Tier, Some(name), what, reason.clone());
    }

    fn level(&mut self, name: &str, was: Option<&Incident>, incident: &Incident) {
        let level = incident.escalation_level;
        let before = was.map(|was| was.escalation_level).unwrap_or_default();
        if before == level {
            return;
        }
        let what = format!("level {} → {}", before.name(), level.name());
        let why = incident.escalation_reason.clone();
        let why = why.or_else(|| Some("no rule of escalation.rules holds any more".to_owned()));
        self.add(Kind::Level, Some(name), what, why);
    }

    fn verdict(&mut self, after: &State, was: Option<Verdict>, repair: &Repair) {
        let (Some(verdict), Some(reason)) = (repair.verdict, repair.verdict_reason) else {
            return;
        };
        let word = verdict.name();
        let before = was.map_or(String::new(), |was| format!(", no longer {}", was.name()));
        let done = repair.finished_at.map(moment).unwrap_or_default();
        let what = format!("{} of {done} is {word}{before}", repair.action);
        let mut why = why_verdict(&EN, reason).to_owned();
        let quiet = in_words(ms(repair.quiet_ms.unwrap_or_default()));
        match verdict {
            Verdict::Verified => why = format!("{why} of {quiet}"),
            Verdict::Disproved => why = format!("{why} within the quiet time of {quiet}"),
            Verdict::Superseded | Verdict::Unknown => {}
        }
        if let Some(after) = repair.quiet_after_ms.filter(|after| *after > 0) {
            why = format!(
                "{why}; the last firing ended {} after the repair",
                in_words(ms(after))
            );
        }
        let is_contradicted = matches!(
            (repair.success, verdict),
            (Some(true), Verdict::Disproved) | (Some(false), Verdict::Verified)
        );
        if is_contradicted {
            let claim = match repair.success {
                Some(true) => "success",
                _ => "failure",
            };
            why = format!("{why}; the repair was reported as a {claim}");
        }
        let name = after.name(repair.incident_id);
        self.add(Kind::Verdict, Some(&name), what, Some(why));
    }
}

/// What is recommended now.
pub(super) fn recommended(name: String, found: &Recommendation) -> Change {
    let what = match (&found.action, found.rule.as_str()) {
        (Some(action), _) => format!("recommended: {action} (tier {})", found.tier),
        (None, "wait") => "recommended: to wait".to_owned(),
        (None, _) => "recommended: nothing".to_owned(),
    };
    // Without an action it is a sentence that begins with what is said already.
    let said = match (&found.action, found.said.split_once(": ")) {
        (None, Some((_, because))) => because,
        _ => found.said.as_str(),
    };
    let reasons = [said, found.why_said.as_str()];
    let mut reasons = reasons.map(|said| said.trim_end_matches('.')).to_vec();
    reasons.retain(|said| !said.is_empty());
    Change {
        kind: Kind::Recommendation,
        incidents: vec![name],
        what,
        why: (!reasons.is_empty()).then(|| reasons.join("; ")),
    }
}

/// What actions were worth on an anomaly, beside doing nothing.
pub(super) fn worth(name: String, found: &Effectiveness) -> Change {
    let mut what = match found.summary.is_empty() {
        true => "what held: no verdict that counts yet".to_owned(),
        false => format!("what held: {}", found.summary),
    };
    let nothing = found.nothing;
    if nothing.episodes > 0 {
        let (held, n) = (nothing.held, nothing.episodes);
        what = format!("{what}; with nothing done it stayed quiet {held} of {n} times");
    }
    let judged = found.actions.iter().filter(|action| action.verdicts > 0);
    let judged: Vec<String> = judged.map(|action| worth_of(action, found)).collect();
    Change {
        kind: Kind::Effectiveness,
        incidents: vec![name],
        what,
        why: (!judged.is_empty()).then(|| judged.join("; ")),
    }
}

fn worth_of(action: &Action, found: &Effectiveness) -> String {
    let (name, n) = (&action.action, action.verdicts);
    let Some(is_effective) = action.effective else {
        let least = found.min_verdicts;
        let few = format!("{name} has {n} of the {least} verdicts that it takes to say something");
        let none = format!("{name} held, but there is nothing to compare with");
        return if n < least { few } else { none };
    };
    let better = match is_effective {
        true => "better",
        false => "not better",
    };
    let of_it = match percent_down(action.lower_bound) {
        _ if action.lower_bound <= 0.0 => "none of its repairs held".to_owned(),
        least => format!("at least {least} of its repairs are likely to hold"),
    };
    let nothing = match found.nothing.share {
        Some(share) => format!(
            "it stayed quiet after {} of the episodes that nobody repaired",
            percent(share)
        ),
        None => "every firing was repaired, so there is nothing to compare with".to_owned(),
    };
    format!("{name} is {better} than doing nothing: {of_it}; {nothing}")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A bound is never rounded up.
fn percent_down(share: f64) -> String {
    format!("{:.0} %", (share * 100.0).floor())
}

/// The anomalies on which a repair was judged between two moments.
pub(super) fn judged_on(before: &State, after: &State) -> Vec<String> {
    let verdicts = |state: &State| -> BTreeMap<uuid::Uuid, Option<Verdict>> {
        let repairs = state.repairs.iter();
        repairs.map(|repair| (repair.id, repair.verdict)).collect()
    };
    let was = verdicts(before);
    let is_new = |repair: &&Repair| {
        repair.verdict.is_some() && was.get(&repair.id).copied().flatten() != repair.verdict
    };
    let judged = after.repairs.iter().filter(is_new);
    let mut keys: Vec<String> = judged.map(|repair| repair.anomaly_key.clone()).collect();
    keys.dedup();
    keys
}

fn why_not_joined(name: &str, earlier: &Incident, now: Timestamp, config: &Config) -> String {
    let window = in_words(config.aggregation.window.0);
    let age = in_words(now.since(earlier.aggregation_window_start));
    match (earlier.resolved_by, config.aggregation.until) {
        (Some(ResolvedBy::Person), _) => format!("{name} was resolved by a person"),
        (_, Until::Window) => {
            format!(
                "{name} opened {age} earlier and takes firings for {window} (aggregation.window)"
            )
        }
        (_, Until::Resolved) => format!(
            "{name} is resolved, and opened {age} earlier: more than {window} (aggregation.window)"
        ),
    }
}

fn why_joined(incident: &Incident, config: &Config) -> String {
    let age = incident
        .last_firing_at
        .since(incident.aggregation_window_start);
    let window = in_words(config.aggregation.window.0);
    match config.aggregation.until {
        Until::Window if age >= config.aggregation.window.0 => {
            "its anomaly flaps, so its firings join this incident".to_owned()
        }
        Until::Window => format!("within {window} of its opening (aggregation.window)"),
        Until::Resolved => {
            format!(
                "it is not resolved, or not {window} old (aggregation.until, aggregation.window)"
            )
        }
    }
}

fn why_resolved(incident: &Incident) -> String {
    match incident.resolved_by {
        Some(ResolvedBy::Itself) => "all its firings ended".to_owned(),
        Some(ResolvedBy::Person) => {
            let who = incident.operator.as_deref().unwrap_or("somebody");
            format!("{who} did so")
        }
        Some(ResolvedBy::Unseen) => {
            "its source did not send it any more: it has expired (counting.unseen)".to_owned()
        }
        None => "nothing fires".to_owned(),
    }
}

/// `1 firing`, `2 firings`.
pub(super) fn counted(n: i64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs())
}
