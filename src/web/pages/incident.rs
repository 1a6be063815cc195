//! One incident: what it is, why it has its level and its tier, and what to do about it.

mod actions;
mod analysis;
mod executions;
mod facts;
mod load;
mod recommended;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use uuid::Uuid;

use super::layout::{self, Frame};
use super::timeline::{Parts, all_firings, timeline};
use super::{
    PageError, PageRequest, Pages, charts, firings, incidents, mute, parts, repairs, stale, worth,
};
use crate::domain::escalation::{Rule, RuleInputs};
use crate::domain::frequency::Counts;
use crate::domain::id::ShortId;
use crate::entity;
use crate::operations::incident::reopens_after;
use crate::store::levels;
use crate::store::views::incident_list::Entry;
use crate::text::{Text, fill, plural};
use crate::time::Timestamp;
use actions::actions;
pub(super) use actions::fix_forms;
use facts::{elsewhere, facts, pairs};
use load::{IncidentData, load};

pub(super) async fn page(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    visit: PageRequest,
) -> Result<Response, PageError> {
    if let Some(short) = ShortId::read(&id) {
        return Ok(Redirect::to(&format!("/incidents?q={short}")).into_response());
    }
    let id: Uuid = id.parse().map_err(|_| PageError::NotFound)?;
    let found = Box::pin(load(&pages, &visit, id)).await?;
    let text = visit.text();
    let (incident, anomaly) = &found.entry;
    let title = parts::title(incident, &anomaly.alert_name);
    let config = &pages.context.config;
    let again = reopens_after(incident, pages.context.config.aggregation.window.0);
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
        notes: &found.notes,
        reopenings: &found.reopenings,
        mutes: &found.mutes,
        is_cut: found.is_cut,
        more: found.more,
    };
    let content = html! {
        article.one.(parts::severity_class(&incident.severity)) {
            div #head data-live { (head(&visit, &found.entry, again))
                (stale::note(&visit, config, incident, &found.occurrences, &found.silences)) }
            (copies(text, id))
            (elsewhere(text, incident, config.alertmanager_url.as_ref()))
            div.cols.four {
                div {
                    section aria-labelledby="why" {
                        h2 #why { (text.why) }
                        div #reasons data-live { (why(text, &found.entry, (seen.as_ref(), rules))) }
                    }
                    section aria-labelledby="recommended" {
                        h2 #recommended { (text.recommended) }
                        div #recommendation data-live { (recommended::shown(&visit, found.recommendation.as_ref())) }
                        div #executions data-live { (executions::shown(&visit, &found.executions)) }
                        @if visit.may_act() {
                            (executions::form(&visit, incident.id, found.runs(&pages.context), &found.executions))
                        }
                    }
                    section aria-labelledby="past" {
                        h2 #past { (text.analysis) }
                        div #analysis data-live { (analysis::found(&visit, incident)) }
                        @if visit.may_act() { (analysis::form(&visit, incident)) }
                    }
                    section aria-labelledby="helped" {
                        h2 #helped { (text.what_helped) }
                        div #last-time data-live {
                            @if !found.worth.own.actions.is_empty() { (worth::summary(text, &found.worth)) }
                            (repairs::past(&visit, &config.repairs, &found.past))
                        }
                    }
                }
                div {
                    @if visit.may_act() {
                        section aria-labelledby="act" {
                            h2 #act { (text.actions) }
                            (actions(&visit, &found.entry, &found.repairs))
                        }
                    }
                    section aria-labelledby="facts" {
                        h2 #facts { (text.facts) }
                        div #facts-list data-live { (facts(&visit, &found.entry)) }
                    }
                }
                div {
                    section aria-labelledby="often" {
                        h2 #often { (text.frequency) }
                        div #frequency data-live {
                            (parts::windows(text, incidents::counts(incident)))
                            (charts::heat_map(text, unit, &found.hours, visit.now))
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

/// Buttons that copy the ID and the page's address. The script shows them where there is a clipboard.
fn copies(text: &Text, id: Uuid) -> Markup {
    html! {
        p.row #copies hidden aria-live="polite" data-copied=(text.copied) {
            button.plain type="button" data-copy=(id) { (text.copy_id) }
            button.plain type="button" data-copy="" { (text.copy_link) }
        }
    }
}

fn head(visit: &PageRequest, (incident, anomaly): &Entry, again: Option<Timestamp>) -> Markup {
    let text = visit.text();
    html! {
        p.what { (parts::severity(incident)) " "
            (parts::level(text, anomaly.level)) " " (parts::incident_state(text, incident)) " "
            (parts::taken_by(text, incident)) " "
            (mute::mark(visit, anomaly)) " " (stale::brief(visit, incident)) " "
            (incidents::place(&anomaly.service, &anomaly.namespace)) }
        h1 { (parts::title(incident, &anomaly.alert_name)) }
        p.how {
            strong.tier { (parts::tier(text, incident.tier)) } " · "
            (plural(text.aggregated, incident.aggregated_count))
            @if incident.open_episodes > 0 && incident.unheard_since.is_none() {
                " · " (fill(text.still_firing, &[("n", &incident.open_episodes.to_string())]))
            }
            " · " (parts::around(text.opened_ago, "age", &parts::ago(visit, incident.opened_at)))
            " · " code.id title=(incident.id) { (ShortId::of(incident.id)) }
        }
        @if let Some(description) = description(incident) { p.description { (description) } }
        @if let Some(at) = again {
            p.again { (parts::around(text.opens_again, "time", &parts::at(at))) }
        }
    }
}

/// What the alert says of itself beyond its title.
fn description(incident: &entity::incidents::Model) -> Option<&str> {
    let description = incident.annotations.get("description")?.as_str()?.trim();
    (!description.is_empty() && description != incident.title.trim()).then_some(description)
}

/// The counts that are shown, if the anomaly was judged by them.
fn shown_counts((incident, anomaly): &Entry) -> Option<Counts> {
    let stats = incident.frequency_stats.as_ref();
    stats.and_then(|stats| stats.counts_at(anomaly.level))
}

fn why(text: &Text, entry: &Entry, judged: (Option<&RuleInputs>, &[Rule])) -> Markup {
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
    }
}

fn others(visit: &PageRequest, found: &IncidentData) -> Markup {
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
                    " " (parts::incident_state(text, incident))
                    " " (plural(text.aggregated, incident.aggregated_count))
                    " · " (parts::around(text.opened_ago, "age", &parts::ago(visit, incident.opened_at)))
                }
            }
        }
    }
}
