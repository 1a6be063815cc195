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
use super::occurrences;

/// So many occurrences are shown.
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
    if json {
        if let Some(incident) = incident.as_object_mut() {
            incident.insert("occurrences".to_owned(), firings.into());
        }
        return print_json(&incident);
    }
    let (now, look) = (Timestamp::now(), Terminal::of_stdout());
    print(&facts(&incident, now))?;
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
        ("muted", mute::mute_status(incident)),
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
        ("analysis", text(incident, "/analysis")),
    ]);
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

/// Who resolved it; of one that nobody did, why it is so.
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
    // An older instance tells the sentence alone, a newer one may tell of a rule of its own.
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
    format!("{tried} tried on this anomaly, {helped} helped; last: {last}{ago}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_382_909_102);

    #[test]
    fn an_incident_says_what_it_is_and_why() {
        let incident = json!({
            "id": "019aad2e-6d5e-7000-8000-00000000000a",
            "anomaly_key": "00112233445566778899aabbccddeeff",
            "title": "Pod is crash looping",
            "alert_name": "KubePodCrashLooping",
            "service": "checkout-api",
            "namespace": "",
            "error_type": "CrashLoopBackOff",
            "status": "OPEN",
            "severity": "warning",
            "escalation_level": "ESCALATE",
            "escalation_reason": "7 firings in 24h in 2 incidents (≥ 5)",
            "escalation_rule": {"rule": "count", "figure": 7, "unit": "episode", "window": "24h",
                                "incidents": 2, "threshold": 5},
            "tier": 2,
            "tier_reason": "level is ESCALATE",
            "tier_rule": {"rule": "level", "level": "ESCALATE"},
            "frequency_stats": {"count_1h": 2, "count_24h": 8, "count_7d": 8, "count_30d": 9,
                                "escalation_level": "ESCALATE"},
            "repair_stats": {
                "total_attempts": 2,
                "successful_attempts": 1,
                "last_repair_action": "restart_pod",
                "last_repair_time": "2026-11-22T19:28:29.102Z",
            },
            "aggregated_count": 2,
            "open_episodes": 1,
            "reopened": 0,
            "opened_at": "2026-11-22T21:25:29.102Z",
            "unheard_since": "2026-11-22T21:26:29.102Z",
            "silences": [{"id": "s", "created_by": "ann", "comment": "we know",
                          "ends_at": "2026-11-23T21:00:00.000Z"}],
            "resolved_at": null,
            "source": "alertmanager",
            "labels": {"alertname": "KubePodCrashLooping", "job": "checkout-api"},
            "annotations": {"summary": "Pod is crash looping"},
        });
        insta::assert_snapshot!(facts(&incident, NOW), @"
        Pod is crash looping
          id              019aad2e-6d5e-7000-8000-00000000000a
          short id        0000000a
          anomaly         KubePodCrashLooping · checkout-api · CrashLoopBackOff (00112233445566778899aabbccddeeff)
          status          OPEN
          severity        warning
          level           ESCALATE: 8 firings in the last 24 hours. ESCALATE starts at 5 firings.
          tier            2 mitigate: The level is ESCALATE: a restart is not enough.
          frequency       2 in 1h, 8 in 24h, 8 in 7d, 9 in 30d
          firings         2, 1 still firing
          repairs         2 tried on this anomaly, 1 helped; last: restart_pod, 2h ago
          opened          2026-11-22T21:25:29.102Z (3m ago)
          stale since     2026-11-22T21:26:29.102Z (2m ago)
          source          alertmanager
          silences        by ann until 2026-11-23T21:00:00.000Z: we know
          labels          alertname=KubePodCrashLooping
                          job=checkout-api
          annotations     summary: Pod is crash looping
        ");
    }

    #[test]
    fn a_level_that_the_counts_do_not_reach_any_more_is_told_as_it_was_set() {
        for (count, stats_level, expected) in [
            (
                7,
                "ESCALATE",
                "ESCALATE: 7 firings in the last 24 hours. ESCALATE starts at 5 firings.",
            ),
            (
                4,
                "ESCALATE",
                "ESCALATE: When the rule last matched: 5 firings in 1 incident in the last 24 hours. ESCALATE starts at 5 firings.",
            ),
            (
                12,
                "PERMANENT_FIX",
                "ESCALATE: When the rule last matched: 5 firings in 1 incident in the last 24 hours. ESCALATE starts at 5 firings.",
            ),
        ] {
            let incident = json!({
                "escalation_level": "ESCALATE",
                "escalation_reason": "5 firings in 24h in 1 incident (≥ 5)",
                "escalation_rule": {"rule": "count", "figure": 5, "unit": "episode",
                                    "window": "24h", "incidents": 1, "threshold": 5},
                "frequency_stats": {"count_24h": count, "escalation_level": stats_level},
            });
            assert_eq!(level_and_why(&incident), expected);
        }
    }

    #[test]
    fn a_default_tier_says_what_makes_it_so() {
        let mut incident = json!({"tier": 1, "escalation_level": "REPEAT", "tier_reason": "nothing calls for more",
                                  "tier_rule": {"rule": "default"}});
        assert_eq!(
            tier_and_why(&incident),
            "1 restart: Default tier: the level is below ESCALATE, no permanent fix has failed, and fewer than 2 \
             restarts were tried in 30 days."
        );
        // As an older instance tells it, and as one that has other rules does.
        for rule in [json!(null), json!({"rule": "of_a_newer_version"})] {
            incident["tier_rule"] = rule;
            assert_eq!(tier_and_why(&incident), "1 restart: nothing calls for more");
        }
    }

    #[test]
    fn a_level_of_an_instance_without_rules_is_told_by_its_sentence() {
        let incident = json!({
            "escalation_level": "ESCALATE", "escalation_reason": "5 in 24h (≥ 5)",
            "frequency_stats": {"count_24h": 9, "escalation_level": "ESCALATE"},
        });
        assert_eq!(level_and_why(&incident), "ESCALATE: 5 in 24h (≥ 5)");
    }

    #[test]
    fn an_incident_of_which_little_is_known_is_shown_too() {
        insta::assert_snapshot!(facts(&json!({"id": "x", "tier": null}), NOW), @"
        -
          id              x
          tier            not calculated yet
          repairs         none tried on this anomaly
        ");
    }
}
