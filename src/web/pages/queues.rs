//! Queues: how deep they are and were, who works on them, and how to stop and start them.

use axum::extract::State;
use maud::{Markup, html};

use super::layout::{self, Frame, Section};
use super::queue_depths::DepthSample;
use super::topics::Topic;
use super::{PageError, PageRequest, Pages, charts, processes};
use crate::jobs::QUEUES;
use crate::queue::store::Depth;
use crate::store::dead_letters;
use crate::text::words::queue_does;
use crate::text::{Text, fill};
use crate::time::Timestamp;

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/queues",
    name: |text| text.queues,
};

/// A queue in figures, its dead letters, and its last hour.
struct Row {
    name: &'static str,
    depth: Depth,
    dead: u64,
    line: Vec<(Timestamp, u64)>,
}

impl Row {
    const fn jobs(&self) -> u64 {
        self.depth.ready + self.depth.delayed + self.depth.in_flight
    }
}

pub(super) async fn page(
    State(pages): State<Pages>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let looks = pages.shared.depths.looks();
    let mut rows = Vec::with_capacity(QUEUES.len());
    let mut workers = Vec::with_capacity(QUEUES.len());
    for (at, name) in QUEUES.into_iter().enumerate() {
        let store = pages.context.queues.store();
        let depth = store.depth(name).await?;
        workers.push((name, store.consumers(name).await?));
        let dead = dead_letters::count(pages.context.db.view(), name).await?;
        let mut line: Vec<_> = looks
            .iter()
            .filter_map(|look| Some((look.at, look.depths[at]?)))
            .collect();
        line.push((visit.now, depth.ready + depth.delayed + depth.in_flight));
        rows.push(Row {
            name,
            depth,
            dead,
            line,
        });
    }
    let text = visit.text();
    let frame = Frame {
        section: SECTION,
        title: text.queues,
        watch: Topic::Queues.watch(),
    };
    let content = html! {
        h1 { (text.queues) }
        p.hint { (text.queues_lead) }
        div #queues data-live {
            @for row in rows.iter().filter(|row| row.depth.workers == 0 && row.jobs() > 0) {
                p.warn role="alert" { strong { "⚠ " (text.no_workers) (text.full_stop) }
                    (fill(text.no_workers_lead, &[("queue", row.name), ("n", &row.jobs().to_string())])) }
            }
            ul.queues { @for row in &rows { (queue(&visit, row)) } }
            (processes::table(&visit, &workers))
        }
        p.hint { (since(text, &looks, visit.now)) }
    };
    Ok(layout::page(&visit, &frame, &content))
}

fn since(text: &Text, looks: &[DepthSample], now: Timestamp) -> Markup {
    charts::since(text, looks.first().map_or(now, |look| look.at))
}

fn queue(visit: &PageRequest, row: &Row) -> Markup {
    let text = visit.text();
    let depth = &row.depth;
    let oldest = depth.oldest_age_ms.map(std::time::Duration::from_millis);
    let fact = charts::fact;
    html! {
        li.queue.paused[depth.paused] {
            div.row {
                div { h2 { (row.name) } p.hint { (queue_does(text, row.name)) } }
                @if depth.paused { span.st.st-ack { span aria-hidden="true" { "‖" } " " (text.paused) } }
                @else { span.st.st-done { span aria-hidden="true" { "▸" } " " (text.running) } }
                @if visit.may_act() { (switch(visit, row)) }
            }
            dl.figures {
                (fact(text.ready, &html! { (depth.ready) }))
                (fact(text.delayed, &html! { (depth.delayed) }))
                (fact(text.in_flight, &html! { (depth.in_flight) }))
                (fact(text.oldest, &html! { @match oldest { Some(age) => (visit.lang.age(age)), None => "–" } }))
                (fact(text.workers, &html! { (depth.workers) }))
                (fact(text.dead, &dead(row)))
            }
            figure { figcaption { (text.depth_chart) } (charts::depth_line(text, row.name, &row.line, visit.now)) }
        }
    }
}

fn dead(row: &Row) -> Markup {
    html! { @if row.dead > 0 { a.bad href=(format!("/dead-letters?queue={}", row.name)) { strong { (row.dead) } } } @else { "0" } }
}

fn switch(visit: &PageRequest, row: &Row) -> Markup {
    let text = visit.text();
    let (operation, word) = if row.depth.paused {
        ("resume", text.resume)
    } else {
        ("pause", text.pause)
    };
    html! {
        form method="post" action=(format!("/queues/{}/{operation}", row.name)) {
            (layout::stamp(visit))
            button aria-label=(format!("{word}: {}", row.name)) { (word) }
        }
    }
}
