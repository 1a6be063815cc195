//! The sentences that were written up to now, as the rules that they name, and back.

use serde_json::{Value, json};

/// The rule of a level's sentence: `7 firings in 24h in 2 incidents (≥ 5)`, or `fires since … (≥ 4 h)`.
pub(super) fn level_rule(sentence: &str) -> Option<String> {
    let rule = lasting(sentence).or_else(|| counted(sentence))?;
    Some(rule.to_string())
}

fn lasting(sentence: &str) -> Option<Value> {
    let rest = sentence.strip_prefix("fires since ")?;
    let (since, hours) = rest.strip_suffix(" h)")?.split_once(" (≥ ")?;
    let hours: f64 = hours.parse().ok()?;
    let is_time = since.len() >= 20 && since.is_ascii() && since.ends_with('Z');
    let is_whole = hours.is_finite() && hours >= 0.0;
    (is_time && is_whole).then(|| {
        let open_for_s = (hours * 3600.0).round() as u64;
        json!({"rule": "lasts", "since": since, "open_for_s": open_for_s})
    })
}

fn counted(sentence: &str) -> Option<Value> {
    let (seen, rule) = sentence.strip_suffix(')')?.split_once(" (≥ ")?;
    let (threshold, spread) = match rule.split_once(" in ") {
        Some((threshold, spread)) => (threshold, Some(number(spread)?)),
        None => (rule, None),
    };
    let mut parts = seen.split(" in ");
    let figure = parts.next()?;
    // The first versions did not write what they counted: firings.
    let (figure, unit) = figure.split_once(' ').unwrap_or((figure, "firings"));
    let unit = match unit {
        "firing" | "firings" => "episode",
        "delivery" | "deliveries" => "delivery",
        "incident" | "incidents" => "incident",
        _ => return None,
    };
    let window = parts.next()?;
    let window = ["1h", "24h", "7d", "30d"]
        .into_iter()
        .find(|known| *known == window)?;
    let mut counted = json!({
        "rule": "count", "figure": at_least(figure)?.0, "unit": unit, "window": window,
    });
    if let Some(incidents) = parts.next() {
        let (incidents, or_more) = at_least(incidents.split_once(' ')?.0)?;
        counted["incidents"] = incidents.into();
        if or_more {
            counted["or_more"] = true.into();
        }
    }
    counted["threshold"] = number(threshold)?.into();
    if let Some(spread) = spread {
        counted["spread"] = spread.into();
    }
    parts.next().is_none().then_some(counted)
}

/// The rule of a tier's sentence.
pub(super) fn tier_rule(sentence: &str) -> Option<String> {
    let rule = match sentence {
        "it happened again after a permanent fix" => json!({"rule": "fix_failed"}),
        "nothing calls for more" => json!({"rule": "default"}),
        "level is ESCALATE" => json!({"rule": "level", "level": "ESCALATE"}),
        "level is PERMANENT_FIX" => json!({"rule": "level", "level": "PERMANENT_FIX"}),
        other => {
            let rest = other.strip_prefix("restarting was tried ")?;
            // The first versions counted all restarts that there ever were.
            let rest = rest.strip_suffix(" in 30 days").unwrap_or(rest);
            let restarts = at_least(rest.strip_suffix(" times")?)?.0;
            json!({"rule": "restarts", "restarts": restarts})
        }
    };
    Some(rule.to_string())
}

/// The sentence of a level's rule.
pub(super) fn of_level(rule: &Value) -> Option<String> {
    if rule["rule"] == "lasts" {
        let hours = rule["open_for_s"].as_u64()? as f64 / 3600.0;
        return Some(format!(
            "fires since {} (≥ {hours} h)",
            rule["since"].as_str()?
        ));
    }
    let figure = rule["figure"].as_i64()?;
    let or_more = if figure >= 100_000 { "+" } else { "" };
    let nouns = match rule["unit"].as_str()? {
        "episode" => ["firing", "firings"],
        "delivery" => ["delivery", "deliveries"],
        "incident" => ["incident", "incidents"],
        _ => return None,
    };
    let noun = nouns[usize::from(figure != 1)];
    let mut sentence = format!("{figure}{or_more} {noun} in {}", rule["window"].as_str()?);
    if let Some(incidents) = rule["incidents"].as_i64() {
        let (or_more, noun) = match (rule["or_more"] == true, incidents) {
            (true, _) => ("+", "incidents"),
            (false, 1) => ("", "incident"),
            (false, _) => ("", "incidents"),
        };
        sentence.push_str(&format!(" in {incidents}{or_more} {noun}"));
    }
    let threshold = rule["threshold"].as_i64()?;
    Some(match rule["spread"].as_i64() {
        Some(spread) => format!("{sentence} (≥ {threshold} in {spread})"),
        None => format!("{sentence} (≥ {threshold})"),
    })
}

/// The sentence of a tier's rule.
pub(super) fn of_tier(rule: &Value) -> Option<String> {
    Some(match rule["rule"].as_str()? {
        "fix_failed" => "it happened again after a permanent fix".to_owned(),
        "default" => "nothing calls for more".to_owned(),
        "level" => format!("level is {}", rule["level"].as_str()?),
        "restarts" => {
            let restarts = rule["restarts"].as_i64()?;
            let or_more = if restarts >= 100 { "+" } else { "" };
            format!("restarting was tried {restarts}{or_more} times in 30 days")
        }
        _ => return None,
    })
}

/// A figure, and whether it means "or more".
fn at_least(figure: &str) -> Option<(i64, bool)> {
    let exact = figure.strip_suffix('+').unwrap_or(figure);
    Some((number(exact)?, exact != figure))
}

fn number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(rule: &str, of: fn(&Value) -> Option<String>) -> Option<String> {
        of(&serde_json::from_str(rule).ok()?)
    }

    #[test]
    fn sentences_of_levels_become_rules_and_sentences_again() {
        let day = |rest: &str| format!(r#"{{"rule":"count",{rest}}}"#);
        let table = [
            (
                "50 firings in 24h in 1 incident (≥ 5)",
                day(r#""figure":50,"unit":"episode","window":"24h","incidents":1,"threshold":5"#),
            ),
            (
                "12 firings in 7d in 15+ incidents (≥ 10 in 3)",
                day(
                    r#""figure":12,"unit":"episode","window":"7d","incidents":15,"or_more":true,"threshold":10,"spread":3"#,
                ),
            ),
            (
                "100000+ deliveries in 30d (≥ 5)",
                day(r#""figure":100000,"unit":"delivery","window":"30d","threshold":5"#),
            ),
            (
                "1 incident in 1h (≥ 1)",
                day(r#""figure":1,"unit":"incident","window":"1h","threshold":1"#),
            ),
            (
                "fires since 2026-11-22T21:28:29.102Z (≥ 4 h)",
                r#"{"rule":"lasts","since":"2026-11-22T21:28:29.102Z","open_for_s":14400}"#
                    .to_owned(),
            ),
            (
                "fires since 2026-11-22T21:28:29.102Z (≥ 0.3 h)",
                r#"{"rule":"lasts","since":"2026-11-22T21:28:29.102Z","open_for_s":1080}"#
                    .to_owned(),
            ),
        ];
        for (sentence, rule) in table {
            assert_eq!(level_rule(sentence).as_deref(), Some(&*rule));
            assert_eq!(back(&rule, of_level).as_deref(), Some(sentence));
        }
        // Of the first versions, which did not write what they counted.
        let older = level_rule("7 in 24h (≥ 5)").unwrap();
        let newer = back(&older, of_level).unwrap();
        assert_eq!(newer, "7 firings in 24h (≥ 5)");
        for other in [
            "",
            "somehow",
            "7 pods in 24h (≥ 5)",
            "7 in 25h (≥ 5)",
            "7 (≥ 5)",
            "-7 in 24h (≥ 5)",
            "9 in 24h (≥ <b>)",
            "fires since yesterday (≥ 4 h)",
            r#"{"rule":"count"}"#,
        ] {
            assert_eq!(level_rule(other), None, "{other}");
        }
    }

    #[test]
    fn sentences_of_tiers_become_rules_and_sentences_again() {
        for (sentence, rule) in [
            (
                "it happened again after a permanent fix",
                r#"{"rule":"fix_failed"}"#,
            ),
            ("nothing calls for more", r#"{"rule":"default"}"#),
            (
                "level is ESCALATE",
                r#"{"rule":"level","level":"ESCALATE"}"#,
            ),
            (
                "level is PERMANENT_FIX",
                r#"{"rule":"level","level":"PERMANENT_FIX"}"#,
            ),
            (
                "restarting was tried 3 times in 30 days",
                r#"{"rule":"restarts","restarts":3}"#,
            ),
            (
                "restarting was tried 100+ times in 30 days",
                r#"{"rule":"restarts","restarts":100}"#,
            ),
        ] {
            assert_eq!(tier_rule(sentence).as_deref(), Some(rule));
            assert_eq!(back(rule, of_tier).as_deref(), Some(sentence));
        }
        let older = tier_rule("restarting was tried 3 times");
        assert_eq!(
            older.as_deref(),
            Some(r#"{"rule":"restarts","restarts":3}"#)
        );
        assert_eq!(tier_rule("somebody said so"), None);
    }
}
