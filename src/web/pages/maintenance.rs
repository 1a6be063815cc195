//! Maintenance windows: those that there are, and a form to plan one.

use axum::extract::{Path, State};
use chrono::NaiveDateTime;
use maud::{Markup, html};
use uuid::Uuid;

use super::forms::Done;
use super::layout::{self, Frame, Section};
use super::request::FormPost;
use super::{PageError, PageRequest, Pages, parts};
use crate::domain::mute::Ends;
use crate::domain::routing::{Hour, List, Pattern, Zone};
use crate::domain::window::{Day, Matchers, Weekly, moment};
use crate::entity::windows::Model;
use crate::operations::window::{self, NewWindow};
use crate::operations::{Invalid, OperationError};
use crate::store::{maintenance, windows};
use crate::text::{Text, fill};
use crate::time::Timestamp;

pub(super) const SECTION: Section = Section {
    path: "/maintenance",
    name: |text| text.maintenance,
};

pub(super) async fn page(
    State(pages): State<Pages>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let db = pages.context.db.view();
    let now = pages.context.clock.of_store(maintenance::now(db).await?);
    let found = windows::list(db, now).await?;
    let text = visit.text();
    let frame = Frame {
        section: SECTION,
        title: text.maintenance,
        watch: String::new(),
    };
    let content = html! {
        h1 #windows { (text.maintenance) }
        p.hint { (text.maintenance_lead) }
        @if found.is_empty() { p { (text.maintenance_none) } } @else {
            div.wide tabindex="0" role="region" aria-labelledby="windows" { (table(&visit, &found, now)) }
        }
        @if visit.may_act() {
            section.act aria-labelledby="plan" {
                h2 #plan { (text.maintenance_new) }
                (form(&visit))
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content))
}

fn table(visit: &PageRequest, found: &[Model], now: Timestamp) -> Markup {
    let text = visit.text();
    html! {
        table {
            thead { tr {
                th scope="col" { (text.mute_why) }
                th scope="col" { (text.maintenance_state) }
                th scope="col" { (text.maintenance_what) }
                th scope="col" { (text.maintenance_when) }
                @if visit.may_act() { th scope="col" { (text.maintenance_end) } }
            } }
            tbody {
                @for one in found {
                    tr {
                        th scope="row" { (one.reason)
                            @if let Some(by) = &one.created_by { " " small { (fill(text.by_person, &[("name", by)])) } } }
                        td { (state(text, one, now)) }
                        td { (matchers(text, &one.matchers)) }
                        td { (when(text, one)) }
                        @if visit.may_act() {
                            td { @if one.next(now).is_some() {
                                form.inline method="post" action=(format!("/maintenance/{}/end", one.id)) {
                                    (layout::stamp(visit))
                                    button aria-label=(format!("{} {}", text.maintenance_end, one.reason)) { (text.maintenance_end) }
                                }
                            } }
                        }
                    }
                }
            }
        }
    }
}

fn state(text: &Text, one: &Model, now: Timestamp) -> Markup {
    html! {
        @match one.next(now) {
            Some(found) if found.holds(now) => {
                b.mu { (text.maintenance_now) } " "
                (parts::around(text.maintenance_until, "time", &parts::at(found.until)))
            }
            Some(found) => {
                (text.maintenance_planned) " "
                (parts::around(text.maintenance_next, "time", &parts::at(found.since)))
            }
            None => (text.maintenance_over),
        }
    }
}

fn matchers(text: &Text, matchers: &Matchers) -> Markup {
    let names = [text.service, text.namespace, text.alert_name];
    html! {
        @for (name, (_, texts)) in names.into_iter().zip(matchers.all()) {
            @if !texts.0.is_empty() {
                div { (name) " "
                    @for (at, Pattern(pattern)) in texts.0.iter().enumerate() {
                        @if at > 0 { ", " } code { (pattern) }
                    } }
            }
        }
    }
}

fn when(text: &Text, one: &Model) -> Markup {
    let until = one.ended_at.or(one.ends_at);
    html! {
        @if let Some(weekly) = &one.weekly { div { (times(text, weekly)) } }
        (parts::at(one.starts_at)) " – "
        @match until {
            Some(until) => (parts::at(until)),
            None => "…",
        }
    }
}

fn times(text: &Text, weekly: &Weekly) -> String {
    let days: Vec<&str> = weekly.days.iter().map(|one| day(text, *one)).collect();
    let at = |Hour(time): Hour| time.format("%H:%M").to_string();
    let places = [
        ("days", days.join(", ")),
        ("from", at(weekly.from)),
        ("to", at(weekly.to)),
        ("zone", weekly.zone.0.name().to_owned()),
    ];
    let places: Vec<(&str, &str)> = places
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    fill(text.maintenance_weekly_at, &places)
}

const fn day(text: &Text, day: Day) -> &'static str {
    match day {
        Day::Mon => text.maintenance_mon,
        Day::Tue => text.maintenance_tue,
        Day::Wed => text.maintenance_wed,
        Day::Thu => text.maintenance_thu,
        Day::Fri => text.maintenance_fri,
        Day::Sat => text.maintenance_sat,
        Day::Sun => text.maintenance_sun,
    }
}

fn form(visit: &PageRequest) -> Markup {
    let text = visit.text();
    let who = visit.session.name.as_deref().unwrap_or_default();
    let fields = [
        ("service", text.maintenance_service),
        ("namespace", text.maintenance_namespace),
        ("alert_name", text.maintenance_alert),
    ];
    html! {
        form method="post" action=(SECTION.path) {
            (layout::stamp(visit)) (layout::once())
            label for="reason" { (text.mute_why) }
            input #reason type="text" name="reason" maxlength="1000" required autocomplete="off";
            @for (name, label) in fields {
                label for=(name) { (label) }
                input id=(name) type="text" name=(name) maxlength="1000" autocomplete="off";
            }
            label for="starts" { (text.maintenance_starts) }
            input #starts type="datetime-local" name="starts";
            label for="ends" { (text.maintenance_ends) }
            input #ends type="datetime-local" name="ends";
            label for="zone" { (text.maintenance_zone) }
            input #zone type="text" name="zone" maxlength="50" value="UTC" required autocomplete="off";
            fieldset {
                legend { (text.maintenance_days) }
                div.days {
                    @for one in Day::ALL {
                        label.choice { input type="checkbox" name="day" value=(one.name()); (day(text, one)) }
                    }
                }
            }
            label for="from" { (text.maintenance_from) }
            input #from type="time" name="from";
            label for="to" { (text.maintenance_to) }
            input #to type="time" name="to";
            label for="by" { (text.maintenance_by) }
            input #by type="text" name="operator" value=(who) maxlength="100" autocomplete="name" data-name;
            button { (text.maintenance_plan) }
        }
    }
}

pub(super) async fn plan(State(pages): State<Pages>, posted: FormPost) -> Done {
    let done = async {
        let (actor, key) = (posted.actor()?, posted.key());
        let new = wanted(&posted)?;
        window::plan(&pages.context, &actor, new, key.as_deref()).await?;
        Ok(format!("{}?done=maintenance", SECTION.path))
    };
    pages.done(&posted, Box::pin(done)).await
}

pub(super) async fn end(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    posted: FormPost,
) -> Done {
    let done = async {
        let id: Uuid = id.parse().map_err(|_| PageError::NotFound)?;
        window::end(&pages.context, &posted.actor()?, id).await?;
        Ok(format!("{}?done=maintenance-end", SECTION.path))
    };
    pages.done(&posted, Box::pin(done)).await
}

fn wrong(field: &'static str, why: impl Into<String>) -> PageError {
    let why = why.into();
    OperationError::from(Invalid::Window { field, why }).into()
}

/// The window that a form asks for. Its times are those of its zone.
fn wanted(posted: &FormPost) -> Result<NewWindow, PageError> {
    let zone = posted.get("zone").unwrap_or("UTC").trim();
    let zone = Zone::read(zone).map_err(|why| wrong("zone", why))?;
    let list = |name: &'static str| -> Result<List<Pattern>, PageError> {
        let said = posted.text(name)?.unwrap_or_default();
        let texts = said
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty());
        Ok(List(texts.map(|text| Pattern(text.to_owned())).collect()))
    };
    let shown = |name: &'static str| -> Result<Option<Timestamp>, PageError> {
        let Some(said) = posted.get(name) else {
            return Ok(None);
        };
        let refused = || {
            wrong(
                name,
                format!("{said:?} is not a time such as 2026-12-05T22:00"),
            )
        };
        let time = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(said.trim(), format).ok());
        let at = time.and_then(|time| moment(time, zone));
        at.map(Some).ok_or_else(refused)
    };
    let hour = |name: &'static str| {
        let said = posted.get(name).unwrap_or_default().trim();
        Hour::read(said).map_err(|why| wrong(name, why))
    };
    let said = posted.all("day");
    let days = Day::ALL.into_iter();
    let days: Vec<Day> = days
        .filter(|day| said.iter().any(|one| one == day.name()))
        .collect();
    let weekly = match days.is_empty() {
        true if posted.get("from").is_some() || posted.get("to").is_some() => {
            return Err(wrong("day", "choose at least one day of the week"));
        }
        true => None,
        false => Some(Weekly {
            days,
            from: hour("from")?,
            to: hour("to")?,
            zone,
        }),
    };
    Ok(NewWindow {
        reason: posted.text("reason")?.unwrap_or_default(),
        matchers: Matchers {
            service: list("service")?,
            namespace: list("namespace")?,
            alert_name: list("alert_name")?,
        },
        starts_at: shown("starts")?,
        ends: shown("ends")?.map(Ends::At),
        weekly,
    })
}
