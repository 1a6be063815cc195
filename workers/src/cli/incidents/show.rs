//! One incident as lines of key and value, and its last occurrences.

use std::fmt::Write as _;

use anyhow::Context;
use serde::Deserialize as _;
use serde_json::Value;
use tocsin::domain::escalation::Level;
use tocsin::domain::frequency::{self, Counts, Window};
use tocsin::domain::reason::{LevelRule, TierRule};
use tocsin::text::{EN, words};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::super::age;
use super::super::client::Client;
use super::super::fields::{level, members, number, or_dash, text, tier, time};
use super::super::mute;
use super::super::output::{print, print_json};
use super::super::paused;
use super::super::table::Terminal;
use super::super::which::short_id;
use super::{background, occurrences};

/// The most occurrences that are shown.
const OCCURRENCES: usize = 10;

/// Asks for the incident and prints it.
pub(super) async fn show(client: &Client, id: Uuid, json: bool) -> anyhow::Result<()> {
    let id = id.to_string();
    let mut incident = client.get(&["incidents", &id], &[]).await?;
    let path = ["incidents", id.as_str(), "occurrences"];
    let firings = client
        .list(&path, &[], OCCURRENCES)
        .await
        .context("cannot get its firings")?;
    let worth = background::ask(client, &incident).await;
    if json {
        if let Some(incident) = incident.as_object_mut() {
            incident.insert("occurrences".to_owned(), firings.into());
            worth.insert_into(incident);
        }
        return print_json(&incident);
    }
    let (now, look) = (Timestamp::now(), Terminal::of_stdout());
    print(&facts(&incident, now))?;
    let told = worth.told(now);
    if !told.is_empty() {
        print(&told)?;
    }
    if text(&incident, "/status") != "RESOLVED"
        && let Some(waits) = paused::notifications(client).await
    {
        print(&format!("{waits}\n"))?;
    }
    if !firings.is_empty() {
        print(&occurrences::render(&firings, now, look))?;
    }
    Ok(())
}

fn facts(incident: &Value, now: Timestamp) -> String {
    let mut lines = vec![
        ("id", text(incident, "/id")),
        ("short id", short_id(incident)),
        ("anomaly", anomaly(incident)),
        ("status", text(incident, "/status")),
        ("severity", text(incident, "/severity")),
        ("level", level_and_why(incident)),
        ("tier", tier_and_why(incident)),
        ("recommended", recommended(incident)),
        ("because", text(incident, "/recommendation/why_said")),
        ("muted", mute::mute_status(incident)),
        ("flapping", mute::flapping_status(incident, now)),
        ("frequency", frequency(incident)),
        ("firings", episodes(incident)),
        ("repairs", repairs(incident, now)),
    ];
    for (name, pointer) in [
        ("opened", "/opened_at"),
        ("last delivered", "/last_firing_at"),
        ("stale since", "/unheard_since"),
        ("acknowledged", "/acknowledged_at"),
        ("resolved", "/resolved_at"),
    ] {
        let moment = time(incident, pointer).map(|at| age::moment(at, now));
        lines.push((name, moment.unwrap_or_default()));
    }
    lines.extend([
        ("resolved by", resolver(incident)),
        ("last operator", text(incident, "/operator")),
        ("source", text(incident, "/source")),
        ("source link", text(incident, "/generator_url")),
    ]);
    lines.extend(notes(incident, now));
    lines.extend(executions(incident));
    lines.extend(analysis(incident));
    lines.extend(list("silences", silences(incident), ": "));
    lines.extend(list("labels", members(incident, "/labels"), "="));
    lines.extend(list("annotations", members(incident, "/annotations"), ": "));
    let mut out = or_dash(text(incident, "/title"));
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(out, "\n  {name:<16}{value}");
    }
    out.push('\n');
    out
}

/// What people wrote about it, the newest first: who, when, and what.
fn notes(incident: &Value, now: Timestamp) -> Vec<(&'static str, String)> {
    let all = incident.get("notes").and_then(Value::as_array);
    let line = |(at, note): (usize, &Value)| {
        let name = if at == 0 { "notes" } else { "" };
        let when = time(note, "/at").map(|at| age::short(now.since(at)));
        let by = text(note, "/operator");
        let by = if by.is_empty() { "unnamed" } else { &by };
        let said = text(note, "/note").replace('\n', "\n                  ");
        (
            name,
            format!("{by}, {} ago: {said}", when.unwrap_or_default()),
        )
    };
    all.into_iter().flatten().enumerate().map(line).collect()
}

/// What executors are asked to run, one a line.
fn executions(incident: &Value) -> Vec<(&'static str, String)> {
    let all = incident.get("executions").and_then(Value::as_array);
    let line = |(at, one): (usize, &Value)| {
        let name = if at == 0 { "executions" } else { "" };
        let (action, hook, state) = (
            text(one, "/action"),
            text(one, "/hook"),
            text(one, "/state"),
        );
        let outcome = match one["success"].as_bool() {
            Some(true) => ", helped".to_owned(),
            Some(false) => ", did not help".to_owned(),
            None => String::new(),
        };
        let reason = match text(one, "/reason") {
            reason if reason.is_empty() => reason,
            reason => format!(" ({reason})"),
        };
        (
            name,
            format!("{action} by hook {hook}: {state}{outcome}{reason}"),
        )
    };
    all.into_iter().flatten().enumerate().map(line).collect()
}

/// What is known of its past, a sentence a line.
fn analysis(incident: &Value) -> Vec<(&'static str, String)> {
    let sentences = incident.get("analysis_sentences").and_then(Value::as_array);
    let sentences = sentences.into_iter().flatten().filter_map(Value::as_str);
    let mut lines: Vec<String> = sentences.map(str::to_owned).collect();
    let generated = text(incident, "/analysis/generated/text");
    if !generated.is_empty() {
        let model = text(incident, "/analysis/generated/model");
        lines.push(format!("generated by {model}, may be wrong: {generated}"));
    }
    let why = text(incident, "/analysis/not_generated");
    if !why.is_empty() {
        lines.push(format!("the language model contributed nothing: {why}"));
    }
    if time(incident, "/analyze_due_since").is_some() {
        lines.push("in progress".to_owned());
    }
    let name = |at| if at == 0 { "analysis" } else { "" };
    let lines = lines.into_iter().enumerate();
    lines.map(|(at, line)| (name(at), line)).collect()
}

/// Who resolved it; without an operator, why it is resolved.
fn resolver(incident: &Value) -> String {
    match text(incident, "/resolved_by").as_str() {
        "unseen" => "unseen (expired: the source stopped sending the alert)".to_owned(),
        other => other.to_owned(),
    }
}

/// By whom and until when it is silenced in Alertmanager, and why.
fn silences(incident: &Value) -> Vec<(String, String)> {
    let silences = incident.get("silences").and_then(Value::as_array);
    let said = |silence: &Value| {
        let (who, until) = (text(silence, "/created_by"), text(silence, "/ends_at"));
        let head = format!("by {} until {}", or_dash(who), or_dash(until));
        (head, text(silence, "/comment"))
    };
    silences.into_iter().flatten().map(said).collect()
}

/// One line each, the name on the first only.
fn list(
    name: &'static str,
    members: Vec<(String, String)>,
    sign: &str,
) -> Vec<(&'static str, String)> {
    let line = |(at, (key, value)): (usize, (String, String))| {
        (
            if at == 0 { name } else { "" },
            format!("{key}{sign}{value}"),
        )
    };
    members.into_iter().enumerate().map(line).collect()
}

fn anomaly(incident: &Value) -> String {
    let parts: Vec<String> = ["/alert_name", "/service", "/namespace", "/error_type"]
        .into_iter()
        .map(|pointer| text(incident, pointer))
        .filter(|part| !part.is_empty())
        .collect();
    match (parts.join(" · "), text(incident, "/anomaly_key")) {
        (parts, key) if key.is_empty() => parts,
        (parts, key) => format!("{parts} ({key})"),
    }
}

/// In the words of the incident's page. With the figure of now where that still reaches the rule: the reason has
/// that of the moment at which the level was last seen to hold.
fn level_and_why(incident: &Value) -> String {
    let (word, why) = (
        level(incident, "/escalation_level"),
        text(incident, "/escalation_reason"),
    );
    if why.is_empty() {
        return word;
    }
    // An older instance gives the sentence alone, a newer one may name a rule of its own.
    let rule = LevelRule::deserialize(&incident["escalation_rule"]).ok();
    let Some((rule, level)) = rule.zip(level_of(incident, "/escalation_level")) else {
        return format!("{word}: {why}");
    };
    let is_of_this = level_of(incident, "/frequency_stats/escalation_level") == Some(level);
    let now = is_of_this.then(|| counts(incident));
    let why = words::why_level(&EN, level, Some(&rule.into()), now.as_ref());
    format!("{word}: {why}")
}

fn level_of(incident: &Value, pointer: &str) -> Option<Level> {
    Level::deserialize(incident.pointer(pointer)?).ok()
}

fn counts(incident: &Value) -> Counts {
    let count = |window: Window| {
        let pointer = format!("/frequency_stats/count_{}", window.name());
        number(incident, &pointer).unwrap_or_default()
    };
    Counts {
        hour: count(Window::Hour),
        day: count(Window::Day),
        week: count(Window::Week),
        month: count(Window::Month),
    }
}

fn tier_and_why(incident: &Value) -> String {
    let (tier, why) = (tier(incident), text(incident, "/tier_reason"));
    if tier.is_empty() {
        return "not calculated yet".to_owned();
    }
    if why.is_empty() {
        return tier;
    }
    let rule = TierRule::deserialize(&incident["tier_rule"]).ok();
    let why = match rule.zip(level_of(incident, "/escalation_level")) {
        Some((rule, level)) => words::why_tier(&EN, level, Some(&rule.into())),
        None => why,
    };
    format!("{tier}: {why}")
}

/// The action that is recommended, of which tier and why; or why there is none.
fn recommended(incident: &Value) -> String {
    let said = text(incident, "/recommendation/said");
    let action = text(incident, "/recommendation/action");
    match number(incident, "/recommendation/tier") {
        Some(tier) if !action.is_empty() => format!("{action} (tier {tier}): {said}"),
        _ => said,
    }
}

fn frequency(incident: &Value) -> String {
    let counts = ["1h", "24h", "7d", "30d"].into_iter().filter_map(|window| {
        let count = number(incident, &format!("/frequency_stats/count_{window}"))?;
        Some(format!("{} in {window}", frequency::figure(count)))
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn episodes(incident: &Value) -> String {
    let Some(count) = number(incident, "/aggregated_count") else {
        return String::new();
    };
    let open = number(incident, "/open_episodes").unwrap_or_default();
    let reopened = match number(incident, "/reopened") {
        None | Some(0) => String::new(),
        Some(1) => ", reopened once".to_owned(),
        Some(times) => format!(", reopened {times} times"),
    };
    format!("{count}, {open} still firing{reopened}")
}

fn repairs(incident: &Value, now: Timestamp) -> String {
    let stats = |field: &str| format!("/repair_stats/{field}");
    let tried = number(incident, &stats("total_attempts")).unwrap_or_default();
    if tried == 0 {
        return "none tried on this anomaly".to_owned();
    }
    let helped = number(incident, &stats("successful_attempts")).unwrap_or_default();
    let last = text(incident, &stats("last_repair_action"));
    let ago = time(incident, &stats("last_repair_time"))
        .map(|at| format!(", {} ago", age::short(now.since(at))))
        .unwrap_or_default();
    format!("{tried} tried on this anomaly, {helped} reported to have helped; last: {last}{ago}")
}

#[cfg(test)]
mod tests;
