//! One anomaly: how often it came back, what was tried on it, and its incidents.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::layout::{self, Frame};
use super::{
    PageError, PageRequest, Pages, charts, incident, mute, parts, repairs, worth as worth_page,
};
use crate::domain::frequency::Window;
use crate::entity;
use crate::store::audit::Action;
use crate::store::levels;
use crate::store::views::{hourly_counts, lists, timeline};
use crate::text::fill;
use crate::web::worth;

/// Rows of each part.
const INCIDENTS: u64 = 50;
const REPAIRS: u64 = 30;
const MUTES: u64 = 20;

pub(super) async fn page(
    State(pages): State<Pages>,
    Path(key): Path<String>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let context = &pages.context;
    let (db, unit) = (context.db.view(), context.config.counting.unit);
    let anomaly = lists::anomaly(db, &key).await?.ok_or(PageError::NotFound)?;
    let (incidents, newest, worth, mut mutes, hours) = tokio::try_join!(
        timeline::incidents(db, &key, INCIDENTS),
        timeline::repairs(db, &key, REPAIRS),
        worth::of_anomaly(context, &anomaly, visit.now),
        timeline::entries_of(db, &key, &[Action::Mute, Action::Unmute], MUTES + 1),
        hourly_counts::since(db, unit, &key, charts::heat_from(visit.now)),
    )?;
    let is_cut = mutes.len() as u64 > MUTES;
    mutes.truncate(MUTES as usize);
    let keys = [key.clone()];
    let counts = context.counter.counts(&keys, visit.now).await;
    let counts = counts.map_err(|_| PageError::Unavailable)?;
    let counts = counts.first().copied().unwrap_or_default();
    let rules = &context.config.escalation.rules[..];
    let seen = levels::seen(db, (unit, rules), &anomaly, counts, visit.now).await?;
    let text = visit.text();
    let title = parts::or_dash(&anomaly.alert_name).to_owned();
    let shown: Vec<_> = incidents.iter().collect();
    // What changes the anomaly changes what its incidents look like.
    let is_due = shown
        .first()
        .is_some_and(|newest| newest.tier_due_since.is_some());
    let newest_incident = shown.first().map(|incident| incident.id.simple());
    let frame = Frame {
        section: super::anomalies::SECTION,
        title: &title,
        watch: newest_incident.map_or_else(String::new, |id| format!("ids={id}")),
    };
    let content = html! {
        article.one.(parts::level_class(anomaly.level)) {
            div #head data-live {
                p.what { (parts::level(text, anomaly.level)) " " (mute::mark(&visit, &anomaly)) " "
                    (parts::why_level(text, &anomaly, Some(&counts), (Some(&seen), rules), is_due)) }
                h1 { (title) }
                (parts::windows(text, Window::ALL.map(|window| counts.of(window))))
            }
            div.cols {
                div {
                    section aria-labelledby="often" {
                        h2 #often { (text.frequency) }
                        div #frequency data-live { (charts::heat_map(text, unit, &hours, visit.now)) }
                    }
                    section aria-labelledby="tried" {
                        h2 #tried { (text.what_was_tried) }
                        div #tried-list data-live {
                            @if worth.own.actions.is_empty() { p { (text.no_repairs) } } @else {
                                (worth_page::summary(text, &worth))
                                div.wide tabindex="0" role="region" aria-labelledby="tried" {
                                    (worth_page::table(&visit, &worth.own))
                                }
                                (repairs::wider(text, &anomaly))
                            }
                        }
                        @if !newest.is_empty() {
                            div.wide tabindex="0" role="region" aria-labelledby="tried" {
                                (repairs::table(&visit, &context.config.repairs, &newest, None))
                            }
                        }
                    }
                }
                div {
                    section aria-labelledby="facts" {
                        h2 #facts { (text.facts) }
                        (facts(&visit, &anomaly))
                    }
                    section.act aria-labelledby="mutes" {
                        h2 #mutes { (text.mutes) }
                        div #mute-list data-live { (mute::history(text, &mutes, is_cut)) }
                        @if visit.may_act() { (mute::forms(&visit, &anomaly, None)) }
                    }
                    @if visit.may_act() {
                        section.act aria-labelledby="fix" {
                            h2 #fix { (text.fixed_at) }
                            (incident::fix_forms(&visit, &anomaly, None))
                        }
                    }
                    section aria-labelledby="incidents" {
                        h2 #incidents { (text.anomaly_incidents) }
                        div #incident-list data-live { (incident::rows(&visit, &shown)) }
                    }
                }
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content))
}

fn facts(visit: &PageRequest, anomaly: &entity::anomalies::Model) -> Markup {
    let text = visit.text();
    let fact = charts::fact;
    let made_of = anomaly.made_of.clone().unwrap_or_default();
    let field = |value: &str, label: &str| {
        html! {
            (parts::or_dash(value))
            @if !label.is_empty() { " " small { (fill(text.from_label, &[("label", label)])) } }
        }
    };
    html! {
        dl.facts {
            (fact(text.alert_name, &field(&anomaly.alert_name, &made_of.alert_name)))
            (fact(text.service, &field(&anomaly.service, &made_of.service)))
            (fact(text.namespace, &field(&anomaly.namespace, &made_of.namespace)))
            (fact(text.error_type, &field(&anomaly.error_type, &made_of.error_type)))
            @if anomaly.is_overflow() { (fact(text.counted_together, &html! { (text.too_many_names) })) }
            (fact(text.total, &html! { (anomaly.total) }))
            (fact(text.first_seen, &parts::at_or_dash(anomaly.first_seen)))
            (fact(text.last_seen, &parts::at_or_dash(anomaly.last_seen)))
            @if let Some(muted) = mute::fact(visit, anomaly) { (muted) }
            @if let Some(at) = anomaly.permanent_fix_at {
                (fact(text.fixed_at, &html! { (parts::at(at)) " "
                    (anomaly.permanent_fix_reference.as_deref().unwrap_or_default()) }))
            }
        }
    }
}
