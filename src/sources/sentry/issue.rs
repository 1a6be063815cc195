//! An issue, told of by itself, by an event of it, or by an alert about what became of it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Parsed, Times};
use crate::domain::alert::{AlertRule, AlertStatus};
use crate::domain::sentry;
use crate::domain::signature::Names;
use crate::sources::text::{Object, text};
use crate::sources::{ReportedAlert, texts};
use crate::time::Timestamp;

/// What alerts about issues are called: there may be any number of issues.
const NAME: &str = "SentryIssue";

/// An issue that changed its state.
pub(super) fn of_issue<'a>(action: &str, data: &Object<'a>, times: &mut Times) -> Parsed<'a> {
    let status = match action {
        "created" | "unresolved" | "regression" | "escalating" => AlertStatus::Firing,
        "resolved" | "ignored" | "archived" => AlertStatus::Resolved,
        _ => return Ok(None),
    };
    let Some(mut alert) = of_state(status, data)? else {
        return Ok(None);
    };
    if action == "created" {
        let issue = data.get("issue").and_then(Object::read);
        let seen = issue.as_ref().map(|issue| issue.text("firstSeen"));
        alert.starts_at = times.read(&seen.unwrap_or_default());
    }
    Ok(Some(alert))
}

/// An alert whose action a change of the issue's state took.
pub(super) fn of_activity<'a>(data: &Object<'a>) -> Parsed<'a> {
    let activity = data.get("activity").and_then(Object::read);
    let activity = activity.ok_or("the body has no activity")?;
    let kind = activity.text("type");
    let prefixes = ["status_", "set_"];
    let state = prefixes.iter().find_map(|prefix| kind.strip_prefix(prefix));
    let status = match state.unwrap_or(&kind) {
        "unresolved" | "regression" | "escalating" => AlertStatus::Firing,
        "ignored" | "archived" => AlertStatus::Resolved,
        // In a release, by a commit, by age.
        state if state.starts_with("resolved") => AlertStatus::Resolved,
        _ => return Ok(None),
    };
    of_state(status, data)
}

/// The issue in that state. Nothing closes that is unresolved: a pull request may mention it, or it was unresolved
/// again before this was sent.
fn of_state<'a>(status: AlertStatus, data: &Object<'a>) -> Parsed<'a> {
    let issue = data.get("issue").and_then(Object::read);
    let issue = issue.ok_or("the body has no issue")?;
    if status == AlertStatus::Resolved && issue.text("status") == "unresolved" {
        return Ok(None);
    }
    let project = issue.get("project").and_then(Object::read);
    let slug = project.map(|project| project.text("slug"));
    let slug = slug.filter(|slug| !slug.is_empty());
    let slug = slug.or_else(|| slug_in(&issue.text("project_url")).map(Cow::Owned));
    let url = match issue.text("web_url") {
        url if url.is_empty() => issue.text("permalink"),
        url => url,
    };
    let mut alert = alert(status, issue.text("id"), slug, &issue)?;
    alert.set_label("short_id", issue.text("shortId"));
    let figures = [("count", "events"), ("userCount", "users")];
    let figures = figures.into_iter().filter_map(|(sent, name)| {
        let figure = issue.text(sent);
        (!figure.is_empty()).then(|| format!("{name} = {figure}"))
    });
    alert.set_annotation("values", figures.collect::<Vec<_>>().join(", "));
    alert.url = url;
    Ok(Some(alert))
}

/// An event of an issue that triggered an alert.
pub(super) fn of_event<'a>(action: &str, data: &Object<'a>, times: &mut Times) -> Parsed<'a> {
    if action != "triggered" {
        return Ok(None);
    }
    let event = data.get("event").and_then(Object::read);
    let event = event.ok_or("the body has no event")?;
    let id = match event.text("issue_id") {
        id if id.is_empty() => behind(&event.text("issue_url"), "issues")
            .unwrap_or_default()
            .into(),
        id => id,
    };
    let slug = slug_in(&event.text("url")).map(Cow::Owned);
    let mut alert = alert(AlertStatus::Firing, id, slug, &event)?;
    alert.set_annotation("rule", data.text("triggered_rule"));
    alert.set_annotation("environment", tag(&event, "environment"));
    // By Sentry's clock: the event's own is that of whoever sent it.
    alert.starts_at =
        seconds(&event.text("received")).or_else(|| times.read(&event.text("datetime")));
    alert.url = event.text("web_url");
    Ok(Some(alert))
}

/// The alert of an issue or of an event of it. The labels that name it must be the same for both.
fn alert<'a>(
    status: AlertStatus,
    id: Cow<'a, str>,
    slug: Option<Cow<'a, str>>,
    of: &Object<'a>,
) -> Result<ReportedAlert<'a>, &'static str> {
    if id.is_empty() {
        return Err("the issue has no id");
    }
    let metadata = of.get("metadata").and_then(Object::read);
    let error_type = metadata.map(|metadata| metadata.text("type"));
    let fingerprint = format!("issue-{id}").into();
    let labels: [(&str, Cow<'a, str>); 5] = [
        ("alertname", NAME.into()),
        (sentry::ISSUE, id),
        ("project", slug.unwrap_or_default()),
        ("error_type", error_type.unwrap_or_default()),
        ("severity", of.text("level")),
    ];
    Ok(ReportedAlert {
        status,
        labels: texts(labels),
        annotations: texts([
            ("summary", of.text("title")),
            ("culprit", of.text("culprit")),
        ]),
        fingerprint,
        rule: Some(AlertRule {
            shares_series: true,
            ..AlertRule::default()
        }),
        read_from: Names {
            alert_name: "alertname",
            service: "project",
            error_type: "error_type",
            ..Names::default()
        },
        ..ReportedAlert::default()
    })
}

/// The slug in the address of a project: `/organizations/ORG/projects/SLUG/`, or `/projects/ORG/SLUG/` at the API.
fn slug_in(url: &str) -> Option<String> {
    let organization = behind(url, "projects")?;
    let has_organization = url.contains("/organizations/");
    let slug = match has_organization {
        true => organization,
        false => behind(url, &format!("projects/{organization}"))?,
    };
    Some(slug)
}

/// The part of an address behind these.
fn behind(url: &str, parts: &str) -> Option<String> {
    let (_, rest) = url.split_once(&format!("/{parts}/"))?;
    let part = rest.split(['/', '?', '#']).next()?;
    (!part.is_empty()).then(|| part.to_owned())
}

/// The value of a tag: tags are pairs.
fn tag(event: &Object<'_>, name: &str) -> String {
    let tags: Vec<&RawValue> =
        serde_json::from_str(event.get("tags").unwrap_or_default()).unwrap_or_default();
    let value = |tag: &&RawValue| {
        let pair: Vec<&RawValue> = serde_json::from_str(tag.get()).ok()?;
        let [known, value] = pair[..] else {
            return None;
        };
        (text(known.get()) == name).then(|| text(value.get()).into_owned())
    };
    tags.iter().find_map(value).unwrap_or_default()
}

/// Seconds since 1970, to the millisecond.
fn seconds(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let ms: i64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    Some(Timestamp(seconds.checked_mul(1000)?.checked_add(ms)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_found_in_either_address() {
        for (url, expected) in [
            (
                "https://s.io/api/0/projects/acme/front-end/events/e4/",
                Some("front-end"),
            ),
            (
                "https://s.io/organizations/acme/projects/checkout/",
                Some("checkout"),
            ),
            (
                "https://s.io/organizations/acme/projects/checkout?x=1",
                Some("checkout"),
            ),
            ("https://s.io/api/0/projects/acme/", None),
            ("https://s.io/organizations/acme/issues/1/", None),
            ("", None),
        ] {
            assert_eq!(slug_in(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn seconds_have_parts() {
        for (text, expected) in [
            ("1566248777.677", Some(1_566_248_777_677)),
            ("1566248777.6", Some(1_566_248_777_600)),
            ("1566248777.6779", Some(1_566_248_777_677)),
            ("1566248777", Some(1_566_248_777_000)),
            ("1.5e9", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("9223372036854775807", None),
            ("", None),
            (".5", None),
        ] {
            assert_eq!(seconds(text), expected.map(Timestamp), "{text}");
        }
    }
}
