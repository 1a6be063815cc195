//! One incident: what it is, why it has its level and its tier, and what to do about it.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use uuid::Uuid;

use super::firings;
use super::layout::{self, Frame};
use super::timeline::{MoreFirings, Parts, all_firings, timeline};
use super::unheard::Silences;
use super::{PageError, PageRequest, Pages, charts, incidents, mute, parts, unheard};
use crate::alertmanager;
use crate::config::Secret;
use crate::domain::aggregation::{ResolvedBy, Status, Unit};
use crate::domain::escalation::{Rule, Seen};
use crate::domain::frequency::Counts;
use crate::domain::id::ShortId;
use crate::entity;
use crate::store::audit::Action;
use crate::store::views::incident_list::Entry;
use crate::store::views::{hourly_counts, lists, timeline};
use crate::store::{levels, reopenings};
use crate::text::{Text, address, fill, plural};
use crate::time::Timestamp;

/// Rows of the parts below.
const OCCURRENCES: u64 = 50;
const MESSAGES: u64 = 50;
const REPAIRS: u64 = 50;
const OTHERS: u64 = 12;
/// Actions that are offered; any other can be typed.
const ACTIONS: [&str; 6] = [
    "restart_pod",
    "restart_container",
    "scale_up",
    "rollback",
    "clear_cache",
    "failover",
];

/// What the page is made of.
struct Found {
    entry: Entry,
    occurrences: Vec<entity::occurrences::Model>,
    messages: Vec<entity::notifications::Model>,
    repairs: Vec<entity::repairs::Model>,
    entries: Vec<entity::audit::Model>,
    reopenings: Vec<entity::reopenings::Model>,
    mutes: Vec<entity::audit::Model>,
    others: Vec<entity::incidents::Model>,
    hours: std::collections::HashMap<i64, i64>,
    is_cut: bool,
    more: MoreFirings,
    silences: Silences,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    visit: PageRequest,
) -> Result<Response, PageError> {
    if let Some(short) = ShortId::read(&id) {
        return Ok(Redirect::to(&format!("/incidents?q={short}")).into_response());
    }
    let id: Uuid = id.parse().map_err(|_| PageError::NotFound)?;
    let found = look(&pages, &visit, id).await?;
    let text = visit.text();
    let (incident, anomaly) = &found.entry;
    let title = incidents::title(incident, &anomaly.alert_name);
    let config = &pages.context.config;
    let again = opens_again(incident, pages.context.config.aggregation.window.0);
    let frame = Frame {
        section: super::incidents::SECTION,
        title,
        watch: format!("ids={}", id.simple()),
    };
    let (db, unit) = (pages.context.db.view(), pages.context.config.counting.unit);
    let rules = &pages.context.config.escalation.rules[..];
    let seen = match shown_counts(&found.entry) {
        Some(counts) => Some(levels::seen(db, (unit, rules), anomaly, counts, visit.now).await?),
        None => None,
    };
    let parts = Parts {
        incident,
        anomaly,
        occurrences: &found.occurrences,
        messages: &found.messages,
        repairs: &found.repairs,
        entries: &found.entries,
        reopenings: &found.reopenings,
        mutes: &found.mutes,
        is_cut: found.is_cut,
        more: found.more,
    };
    let content = html! {
        article.one.(parts::level_class(anomaly.level)) {
            div #head data-live { (head(&visit, &found.entry, again))
                (unheard::note(&visit, config, incident, &found.silences)) }
            div.cols.four {
                div {
                    section aria-labelledby="why" {
                        h2 #why { (text.why) }
                        div #reasons data-live { (why(text, &found.entry, (seen.as_ref(), rules))) }
                    }
                }
                div {
                    @if visit.may_act() {
                        section aria-labelledby="act" {
                            h2 #act { (text.actions) }
                            (actions(&visit, &found.entry))
                        }
                    }
                    section aria-labelledby="facts" {
                        h2 #facts { (text.facts) }
                        div #facts-list data-live { (facts(&visit, &found.entry)) }
                        (elsewhere(text, incident, config.alertmanager_url.as_ref()))
                    }
                }
                div {
                    section aria-labelledby="often" {
                        h2 #often { (text.frequency) }
                        div #frequency data-live {
                            (parts::windows(text, incidents::counts(incident)))
                            (charts::heat_map(text, &found.hours, visit.now))
                        }
                    }
                    section aria-labelledby="line" {
                        h2 #line { (text.timeline) }
                        div #timeline data-live { (timeline(&visit, &parts)) }
                    }
                    section aria-labelledby="firings" {
                        h2 #firings { (text.occurrences) }
                        div #occurrences.wide data-live tabindex="0" role="region" aria-labelledby="firings" {
                            (firings::table(&visit, config, &found.occurrences))
                        }
                        (all_firings(text, incident.id, found.more))
                    }
                }
                div {
                    section aria-labelledby="others" {
                        h2 #others { (text.other_incidents) }
                        div #other-list data-live { (others(&visit, &found)) }
                    }
                    section aria-labelledby="labels" {
                        h2 #labels { (text.labels) }
                        (pairs(&incident.labels))
                        h3 { (text.annotations) }
                        (pairs(&incident.annotations))
                    }
                }
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content).into_response())
}

async fn look(pages: &Pages, visit: &PageRequest, id: Uuid) -> Result<Found, PageError> {
    let db = pages.context.db.view();
    let entry = lists::incident(db, id).await?.ok_or(PageError::NotFound)?;
    let (key, target, ids) = (entry.1.key.clone(), id.to_string(), [id]);
    let unit = pages.context.config.counting.unit;
    let asked = pages.context.alertmanager.as_ref();
    let silences = async { Ok(Silences::of(asked, &entry.0).await) };
    let (mut occurrences, messages, repairs, entries, reopenings, mutes, others, hours, silences) =
        tokio::try_join!(
            lists::occurrences(db, &entry.0, None, OCCURRENCES + 1),
            timeline::messages(db, id, MESSAGES),
            timeline::repairs(db, &key, REPAIRS),
            timeline::entries(db, &target, MESSAGES),
            reopenings::of(db, &ids, MESSAGES),
            timeline::entries_of(db, &key, &[Action::Mute, Action::Unmute], MESSAGES),
            timeline::incidents(db, &key, OTHERS),
            hourly_counts::since(db, unit, &key, charts::heat_from(visit.now)),
            silences,
        )?;
    let more = more_firings(&entry.0, unit, &mut occurrences);
    let of_parts = [messages.len(), entries.len(), reopenings.len(), mutes.len()];
    let is_full = |rows: usize| rows as u64 >= MESSAGES;
    let is_cut = more != MoreFirings::None
        || of_parts.into_iter().any(is_full)
        || repairs.len() as u64 >= REPAIRS;
    Ok(Found {
        is_cut,
        more,
        entry,
        occurrences,
        messages,
        repairs,
        entries,
        reopenings,
        mutes,
        others,
        hours,
        silences,
    })
}

/// Takes away what was only looked for to know whether there is more; says how much.
fn more_firings(
    incident: &entity::incidents::Model,
    unit: Unit,
    found: &mut Vec<entity::occurrences::Model>,
) -> MoreFirings {
    let shown = usize::try_from(OCCURRENCES).unwrap_or(usize::MAX);
    if found.len() <= shown {
        return MoreFirings::None;
    }
    found.truncate(shown);
    let kept = incident.aggregated_count - incident.pruned_episodes;
    // Where deliveries count, they have rows of their own.
    match kept - i64::try_from(shown).unwrap_or(i64::MAX) {
        more if more > 0 && unit != Unit::Delivery => MoreFirings::Known(more),
        _ => MoreFirings::Some,
    }
}

/// When it opens again if an alert of it is still sent: a person resolved it, and not all of it ended.
fn opens_again(incident: &entity::incidents::Model, window: Duration) -> Option<Timestamp> {
    let by_person = incident.resolved_by == Some(ResolvedBy::Person);
    let at = incident.resolved_at.filter(|_| by_person)?;
    (incident.open_episodes > 0).then(|| at.after(window))
}

fn head(visit: &PageRequest, (incident, anomaly): &Entry, again: Option<Timestamp>) -> Markup {
    let text = visit.text();
    html! {
        p.what { (parts::level(text, anomaly.level)) " " (parts::standing(text, incident)) " "
            (mute::mark(visit, anomaly)) " " (unheard::brief(visit, incident)) " "
            (incidents::place(incident, &anomaly.service, &anomaly.namespace)) }
        h1 { (incidents::title(incident, &anomaly.alert_name)) }
        p.how {
            strong.tier { (parts::tier(text, incident.tier)) } " · "
            (plural(text.aggregated, incident.aggregated_count))
            @if incident.open_episodes > 0 && incident.unheard_since.is_none() {
                " · " (fill(text.still_firing, &[("n", &incident.open_episodes.to_string())]))
            }
            " · " (parts::around(text.opened_ago, "age", &parts::ago(visit, incident.opened_at)))
            " · " code.id title=(incident.id) { (ShortId::of(incident.id)) }
        }
        @if let Some(at) = again {
            p.again { (parts::around(text.opens_again, "time", &parts::at(at))) }
        }
    }
}

/// The counts that are shown, if the anomaly was judged by them.
fn shown_counts((incident, anomaly): &Entry) -> Option<Counts> {
    let stats = incident.frequency_stats.as_ref();
    stats.and_then(|stats| stats.counts_at(anomaly.level))
}

fn why(text: &Text, entry: &Entry, judged: (Option<&Seen>, &[Rule])) -> Markup {
    let (incident, anomaly) = entry;
    let counts = shown_counts(entry);
    let why_level = parts::why_level(
        text,
        anomaly,
        counts.as_ref(),
        judged,
        incident.tier_due_since.is_some(),
    );
    let why_tier = parts::why_tier(text, anomaly.level, incident.tier_reason.as_ref());
    let what = incident.tier.and_then(|tier| parts::tier_deed(text, tier));
    html! {
        dl.why {
            div { dt { (text.why_level) } dd { (parts::level(text, anomaly.level)) " " (why_level) } }
            div { dt { (text.why_tier) }
                dd { strong.tier { (parts::tier(text, incident.tier)) } (text.full_stop) (why_tier) } }
        }
        @if let Some(what) = what { p.next { (fill(text.tier_next, &[("what", what)])) } }
        @if let Some(analysis) = &incident.analysis { p { (analysis) } }
    }
}

fn actions(visit: &PageRequest, (incident, anomaly): &Entry) -> Markup {
    let text = visit.text();
    let (id, name) = (
        incident.id,
        visit.session.name.as_deref().unwrap_or_default(),
    );
    let by = |id: &str| {
        html! {
            label for=(id) { (text.your_name) }
            input id=(id) type="text" name="operator" value=(name) maxlength="100"
                autocomplete="name" data-name;
        }
    };
    html! {
        @if incident.status != Status::Resolved {
            form.act method="post" action=(format!("/incidents/{id}/acknowledge")) {
                (layout::stamp(visit))
                (by("by-act"))
                div.row {
                    @if incident.status != Status::Acknowledged {
                        button.primary { (text.acknowledge) }
                    }
                    button formaction=(format!("/incidents/{id}/resolve")) { (text.resolve) }
                }
            }
        }
        details.act open[incident.status != Status::Resolved] {
            summary { (text.record_repair) }
            form method="post" action=(format!("/incidents/{id}/repair")) {
                (layout::stamp(visit)) (layout::once())
                label for="action" { (text.repair_action) }
                input #action type="text" name="action" required maxlength="200" list="actions"
                    autocomplete="off";
                datalist #actions { @for action in ACTIONS { option value=(action) {} } }
                fieldset {
                    legend { (text.repair_outcome) }
                    label.choice { input type="radio" name="success" value="yes" required; (text.repair_success) }
                    label.choice { input type="radio" name="success" value="no"; (text.repair_failed) }
                }
                label for="note" { (text.repair_note) (text.optional) }
                textarea #note name="note" rows="2" maxlength="2000" {}
                (by("by-repair"))
                button.primary { (text.record_repair) }
            }
        }
        details.act {
            summary { (text.mute) }
            (mute::forms(visit, anomaly, Some(id)))
        }
        details.act {
            summary { @if anomaly.permanent_fix_at.is_some() { (text.fixed_at) } @else { (text.mark_fix) } }
            (fix_forms(visit, anomaly, Some(id)))
        }
    }
}

/// To mark a permanent fix, or to take it back; leads back to the incident, if it stands on its page.
pub(super) fn fix_forms(
    visit: &PageRequest,
    anomaly: &entity::anomalies::Model,
    incident: Option<Uuid>,
) -> Markup {
    let text = visit.text();
    let action = |operation: &str| format!("/anomalies/{}/{operation}", anomaly.key);
    let back = incident.map(|id| html! { input type="hidden" name="incident" value=(id); });
    let button = if anomaly.permanent_fix_at.is_some() {
        html! {
            form method="post" action=(action("unfix")) {
                (layout::stamp(visit)) @if let Some(back) = &back { (back) }
                button { (text.take_back_fix) }
            }
        }
    } else {
        html! {}
    };
    html! {
        form method="post" action=(action("fix")) {
            (layout::stamp(visit)) @if let Some(back) = &back { (back) }
            label for="reference" { (text.fix_reference) (text.optional) }
            input #reference type="text" name="reference" maxlength="1000"
                value=(anomaly.permanent_fix_reference.as_deref().unwrap_or_default())
                aria-describedby="fix-hint";
            p.hint #fix-hint { (text.fix_hint) }
            button { (text.mark_fix) }
        }
        (button)
    }
}

fn facts(visit: &PageRequest, (incident, anomaly): &Entry) -> Markup {
    let text = visit.text();
    let name = if anomaly.alert_name.is_empty() {
        &anomaly.key
    } else {
        &anomaly.alert_name
    };
    let fact = charts::fact;
    let mut facts = vec![
        fact(
            text.anomaly,
            &html! {
                a href=(format!("/anomalies/{}", anomaly.key)) { (name) } " · "
                (fill(text.incident_no, &[("n", &incident.number.to_string())]))
            },
        ),
        fact(text.incident_id, &html! { code.id { (incident.id) } }),
        fact(text.opened, &parts::at(incident.opened_at)),
        fact(text.last_delivered, &parts::at(incident.last_firing_at)),
    ];
    for (name, value) in [
        (text.severity, &incident.severity),
        (text.service, &anomaly.service),
        (text.namespace, &anomaly.namespace),
        (text.error_type, &anomaly.error_type),
        (text.source, &incident.source),
    ] {
        facts.push(fact(name, &html! { (parts::or_dash(value)) }));
    }
    if anomaly.is_overflow() {
        facts.push(fact(
            text.counted_together,
            &html! { (text.too_many_names) },
        ));
    }
    let who = |resolved_by| match (&incident.operator, resolved_by) {
        (_, Some(ResolvedBy::Itself)) => text.resolved_itself.to_owned(),
        (_, Some(ResolvedBy::Unseen)) => text.resolved_unseen.to_owned(),
        (Some(name), _) => fill(text.by_person, &[("name", name)]),
        (None, _) => text.by_somebody.to_owned(),
    };
    // The name is that of whoever did the last thing; the timeline has the others.
    let is_resolver = incident.resolved_by == Some(ResolvedBy::Person);
    if let Some(at) = incident.acknowledged_at {
        let value = html! { (parts::at(at)) @if !is_resolver { " " (who(None)) } };
        facts.push(fact(text.acknowledged_at, &value));
    }
    if let Some(at) = incident.resolved_at {
        let value = html! { (parts::at(at)) " " (who(incident.resolved_by)) };
        facts.push(fact(text.resolved_at, &value));
    }
    facts.extend(mute::fact(visit, anomaly));
    if let Some(at) = anomaly.permanent_fix_at {
        let reference = anomaly
            .permanent_fix_reference
            .as_deref()
            .unwrap_or_default();
        let shown = match address(reference) {
            Some(url) => html! { a href=(url) rel="noreferrer" { (url) } },
            None => html! { (reference) },
        };
        facts.push(fact(text.fixed_at, &html! { (parts::at(at)) " " (shown) }));
    }
    html! {
        dl.facts { @for fact in &facts { (fact) } }
        @if incident.reopened > 0 { p { (plural(text.reopened_times, incident.reopened)) } }
    }
}

/// Where else it can be looked at.
fn elsewhere(
    text: &Text,
    incident: &entity::incidents::Model,
    alertmanager: Option<&Secret>,
) -> Markup {
    let annotation = |name: &str| incident.annotations.get(name).and_then(|v| v.as_str());
    let alertmanager = alertmanager.and_then(alertmanager::page);
    let alertmanager = alertmanager.map(|url| in_alertmanager(&url, &incident.labels));
    let links = [
        (text.open_alertmanager, alertmanager.as_deref()),
        (text.open_generator, incident.generator_url.as_deref()),
        (text.open_runbook, annotation("runbook_url")),
    ];
    html! {
        p.row {
            @for (name, url) in links {
                @if let Some(url) = url.and_then(address) {
                    a.button href=(url) rel="noreferrer" { (name) " ↗" }
                }
            }
        }
    }
}

/// Labels that say what an alert is about, and not which of its series it is.
const ABOUT: [&str; 5] = ["alertname", "namespace", "job", "service", "severity"];

/// Where Alertmanager shows the alerts that are like this one.
fn in_alertmanager(url: &str, labels: &serde_json::Value) -> String {
    let matcher = |name: &&str| {
        let value = labels.get(*name)?.as_str()?;
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        Some(format!("{name}=\"{value}\""))
    };
    let matchers: Vec<String> = ABOUT.iter().filter_map(matcher).collect();
    let filter = parts::encoded(&format!("{{{}}}", matchers.join(",")));
    format!("{url}/#/alerts?filter={filter}")
}

fn others(visit: &PageRequest, found: &Found) -> Markup {
    let text = visit.text();
    let this = found.entry.0.id;
    let others: Vec<_> = found.others.iter().filter(|i| i.id != this).collect();
    html! {
        @if others.is_empty() { p { (text.no_others) } } @else { (rows(visit, &others)) }
    }
}

/// Incidents of one anomaly, one line each.
pub(super) fn rows(visit: &PageRequest, incidents: &[&entity::incidents::Model]) -> Markup {
    let text = visit.text();
    html! {
        ul.rows {
            @for incident in incidents {
                li {
                    a href=(format!("/incidents/{}", incident.id)) { "#" (incident.number) }
                    " " (parts::standing(text, incident))
                    " " (plural(text.aggregated, incident.aggregated_count))
                    " · " (parts::ago(visit, incident.opened_at))
                }
            }
        }
    }
}

/// Labels or annotations.
fn pairs(json: &serde_json::Value) -> Markup {
    let empty = serde_json::Map::new();
    let pairs = json.as_object().unwrap_or(&empty);
    html! {
        dl.pairs {
            @for (name, value) in pairs {
                div { dt { (name) } dd { (value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)) } }
            }
        }
    }
}
