//! Dead letters: read why a job failed, then replay it, edit it, or discard it.

mod decide;
mod payload;

use axum::extract::{Path, State};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::address::PageQuery;
use super::layout::{self, Frame, Section};
use super::topics::Topic;
use super::{PageError, PageRequest, Pages, address, charts, parts};
use crate::domain::refusal::Refusal;
use crate::entity::dead_letters::Model;
use crate::jobs::{
    CalculateTier, Content, IngestAlert, Job as _, Notify, QUEUES, RecordRepair, rejected,
};
use crate::queue::replay;
use crate::store::dead_letters::{
    self, DEAD, DISCARDED, Filter, Position, REPLAYED, STATES, Summary, as_text,
};
use crate::text::{Text, acts_unseen, refusal};
use crate::time::Timestamp;
pub(super) use decide::decide;
use payload::{draft, lacks_name, readable};

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/dead-letters",
    name: |text| text.dead_letters,
};

/// Letters of a page.
const SHOWN: usize = 50;
/// Bytes of a payload that can be edited here.
const EDITABLE: usize = 256 << 10;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeadLetterQuery {
    state: String,
    queue: String,
    q: String,
    after: String,
}

impl DeadLetterQuery {
    /// Refuses a value that there is not.
    fn check(&self) -> Result<(), PageError> {
        let state = self.is_of_all() || self.state().is_some();
        address::check([
            ("state", &*self.state, state),
            address::text("queue", &self.queue),
            address::text("q", &self.q),
            ("after", &self.after, self.position().is_some()),
        ])
    }

    fn is_of_all(&self) -> bool {
        self.state.eq_ignore_ascii_case("all")
    }

    fn state(&self) -> Option<&'static str> {
        let named = |state: &&str| state.eq_ignore_ascii_case(&self.state);
        STATES.into_iter().find(named)
    }

    fn filter(&self) -> Filter {
        let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let state = if self.is_of_all() {
            None
        } else {
            Some(self.state().unwrap_or(DEAD).to_owned())
        };
        Filter {
            state,
            queue: some(&self.queue),
            text: some(&self.q),
            ..Filter::default()
        }
    }

    fn position(&self) -> Option<Position> {
        let (at, id) = self.after.split_once('.')?;
        Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
    }

    fn address(&self, after: &str) -> String {
        let (state, queue) = (parts::encoded(&self.state), parts::encoded(&self.queue));
        let q = parts::encoded(&self.q);
        format!("/dead-letters?state={state}&queue={queue}&q={q}&after={after}")
    }
}

fn state_word(text: &Text, state: &str) -> &'static str {
    match state {
        REPLAYED => text.letter_replayed,
        DISCARDED => text.letter_discarded,
        _ => text.letter_dead,
    }
}

fn state(text: &Text, state: &str) -> Markup {
    let (class, symbol) = match state {
        REPLAYED => ("st-done", "↻"),
        DISCARDED => ("st-ack", "–"),
        _ => ("st-open", "✝"),
    };
    html! { span.st.(class) { span aria-hidden="true" { (symbol) } " " (state_word(text, state)) } }
}

pub(super) async fn page(
    State(pages): State<Pages>,
    PageQuery(query): PageQuery<DeadLetterQuery>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    query.check()?;
    let (filter, before) = (query.filter(), query.position());
    let db = pages.context.db.view_for(filter.text.is_some()).await?;
    let mut letters = dead_letters::list(&*db, &filter, before, SHOWN as u64 + 1).await?;
    let more = letters.len() > SHOWN;
    letters.truncate(SHOWN);
    let text = visit.text();
    let frame = Frame {
        section: SECTION,
        title: text.dead_letters,
        watch: Topic::Letters.watch(),
    };
    let content = html! {
        h1 #title { (text.dead_letters) }
        p.hint { (text.dead_lead) }
        (filters(text, &query))
        div #letters.wide data-live tabindex="0" role="region" aria-labelledby="title" {
            @if letters.is_empty() { (layout::empty(text.no_dead, text.no_dead_lead)) }
            @else { (table(&visit, &letters)) }
        }
        nav.pager aria-label=(text.more_next) {
            @if before.is_some() { a href=(query.address("")) { (text.first_page) } }
            @if let Some(last) = letters.last().filter(|_| more) {
                a rel="next" href=(query.address(&format!("{}.{}", last.died_at.0, last.id))) {
                    (text.more_next) " →"
                }
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content))
}

fn filters(text: &Text, query: &DeadLetterQuery) -> Markup {
    html! {
        form.filters role="search" method="get" action="/dead-letters" {
            label { span { (text.search) } input #search type="search" name="q" value=(query.q); }
            label { span { (text.letter_state) }
                select name="state" {
                    @for name in STATES {
                        option value=(if name == DEAD { "" } else { name }) selected[query.state() == Some(name)] {
                            (state_word(text, name))
                        }
                    }
                    option value="all" selected[query.is_of_all()] { (text.all_states) }
                } }
            label { span { (text.queue) }
                select name="queue" {
                    option value="" { (text.all_queues) }
                    @for queue in QUEUES { option value=(queue) selected[query.queue == queue] { (queue) } }
                } }
            button { (text.apply) }
        }
    }
}

fn table(visit: &PageRequest, letters: &[Summary]) -> Markup {
    let text = visit.text();
    html! {
        table {
            thead { tr {
                th scope="col" { (text.reason) }
                th scope="col" { (text.queue) }
                th scope="col" { (text.letter_state) }
                th.n scope="col" { (text.attempts) }
                th scope="col" { (text.died) }
            } }
            tbody {
                @for letter in letters {
                    tr {
                        th scope="row" { a href=(format!("/dead-letters/{}", letter.id)) { (parts::or_dash(&letter.reason)) } }
                        td { code { (letter.queue) } }
                        td { (state(text, &letter.state)) }
                        td.n { (letter.attempts) }
                        td { (parts::since(visit, letter.died_at)) }
                    }
                }
            }
        }
    }
}

pub(super) async fn one(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    shown(&pages, &id, &visit, None).await
}

/// An edited payload, and why it was refused.
struct Written<'a> {
    payload: &'a str,
    why: &'a Refusal,
}

/// The page of one letter; with what was `written` in its form, if that was refused.
async fn shown(
    pages: &Pages,
    id: &str,
    visit: &PageRequest,
    written: Option<&Written<'_>>,
) -> Result<Markup, PageError> {
    let id: Uuid = id.parse().map_err(|_| PageError::NotFound)?;
    let found = dead_letters::find(pages.context.db.view(), id).await?;
    let letter = found.ok_or(PageError::NotFound)?;
    let text = visit.text();
    let frame = Frame {
        section: SECTION,
        title: text.dead_letters,
        watch: String::new(),
    };
    let content = html! {
        article.one.l3 {
            div {
                p.what { (state(text, &letter.state)) " " code { (letter.queue) } }
                h1 { (parts::or_dash(&letter.reason)) }
                @if letter.state == DEAD {
                    p {
                        strong { (consequence(text, &letter.queue)) } " "
                        // For what was rejected, the operations say how.
                        @if rejected(&letter.queue, &letter.payload).is_none() { (text.dead_next) }
                    }
                }
            }
            div.cols {
                div {
                    section aria-labelledby="payload-title" {
                        h2 #payload-title { (text.payload) }
                        @if let Some(Written { why, .. }) = written { div role="alert" { (parts::refusal_paragraph(text, why)) } }
                        (payload(visit, &letter, written))
                    }
                    (sent(text, &letter))
                    section aria-labelledby="errors" {
                        h2 #errors { (text.errors) }
                        (errors(&letter.errors))
                    }
                }
                div {
                    @if visit.may_act() && letter.state == DEAD { (actions(visit, &letter)) }
                    section aria-labelledby="facts" { h2 #facts { (text.facts) } (facts(text, &letter)) }
                }
            }
        }
    };
    Ok(layout::page(visit, &frame, &content))
}

/// What is missing as long as the job is not done.
fn consequence(text: &Text, queue: &str) -> &'static str {
    match queue {
        queue if queue == IngestAlert::POLICY.queue => text.dead_ingest,
        queue if queue == CalculateTier::POLICY.queue => text.dead_tier,
        queue if queue == Notify::POLICY.queue => text.dead_notify,
        queue if queue == RecordRepair::POLICY.queue => text.dead_repair,
        _ => text.dead_other,
    }
}

fn payload(visit: &PageRequest, letter: &Model, written: Option<&Written<'_>>) -> Markup {
    let text = visit.text();
    // What the page would leave out is not to be left out of the payload.
    let is_whole = |text: &String| !text.contains(|c| acts_unseen(c) && !matches!(c, '\n' | '\t'));
    let readable = as_text(&letter.payload).map(readable).filter(is_whole);
    let may_edit = visit.may_act()
        && letter.state == DEAD
        && letter.payload.len() <= EDITABLE
        && replay::check(&letter.queue, &letter.payload, true).is_ok();
    let hex = || {
        let bytes = letter.payload.iter().take(4096);
        bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let edited = || {
        draft(letter)
            .or_else(|| readable.clone())
            .unwrap_or_default()
    };
    html! {
        @match &readable {
            Some(readable) if !may_edit => pre tabindex="0" { (readable) },
            None => { p { (text.payload_binary) } pre tabindex="0" { (hex()) } },
            Some(_) => {}
        }
        @if may_edit {
            form.act method="post" action=(format!("/dead-letters/{}/edit", letter.id)) {
                (layout::stamp(visit))
                input type="hidden" name="replay" value=(letter.replay);
                label for="payload" { (text.payload) }
                @if lacks_name(letter) { p.hint { (text.fill_in_name) } }
                textarea #payload name="payload" rows="16" spellcheck="false" {
                    (written.map_or_else(edited, |written| written.payload.to_owned()))
                }
                button { (text.edit) }
            }
        }
    }
}

/// What was rejected, as it was sent.
fn sent(text: &Text, letter: &Model) -> Markup {
    let job: Option<IngestAlert> = serde_json::from_slice(&letter.payload)
        .ok()
        .filter(|_| rejected(&letter.queue, &letter.payload).is_some());
    let Some(Content::Rejected { raw, .. }) = job.map(|job| job.content) else {
        return html! {};
    };
    html! {
        section aria-labelledby="sent-title" {
            h2 #sent-title { (text.payload_sent) }
            pre tabindex="0" { (readable(&raw)) }
        }
    }
}

fn errors(errors: &Value) -> Markup {
    let empty = Vec::new();
    let errors = errors.as_array().unwrap_or(&empty);
    let field = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    html! {
        ol.timeline {
            @for error in errors.iter().rev() {
                li.t-bad {
                    span.mark aria-hidden="true" { "✗" }
                    div {
                        span.did { (field(error, "error")) } " "
                        @if let Some(at) = Timestamp::parse(&field(error, "at")) { (parts::at(at)) }
                    }
                }
            }
        }
        @if errors.is_empty() { p { "–" } }
    }
}

fn actions(visit: &PageRequest, letter: &Model) -> Markup {
    let text = visit.text();
    let name = visit.session.name.as_deref().unwrap_or_default();
    let why_not = replay::check(&letter.queue, &letter.payload, false).err();
    let why_not = why_not.map(|futile| {
        let refused = Refusal::from(futile);
        refusal(text, &refused).unwrap_or_else(|| refused.to_string())
    });
    html! {
        section aria-labelledby="act" {
            h2 #act { (text.actions) }
            form.act method="post" action=(format!("/dead-letters/{}/replay", letter.id)) {
                (layout::stamp(visit))
                input type="hidden" name="replay" value=(letter.replay);
                label for="by" { (text.your_name) }
                input #by type="text" name="operator" value=(name) maxlength="100"
                    autocomplete="name" data-name;
                @if let Some(why) = &why_not { p.hint { (why) } }
                div.row {
                    @if why_not.is_none() { button.primary { (text.replay) } }
                    button formaction=(format!("/dead-letters/{}/discard", letter.id)) { (text.discard) }
                }
            }
        }
    }
}

fn facts(text: &Text, letter: &Model) -> Markup {
    let fact = charts::fact;
    html! {
        dl.facts {
            (fact(text.job, &html! { code { (letter.id) } }))
            (fact(text.queue, &html! { (letter.queue) }))
            (fact(text.attempts, &html! { (letter.attempts) }))
            (fact(text.enqueued, &parts::at(letter.enqueued_at)))
            (fact(text.died, &parts::at(letter.died_at)))
            @if let Some(at) = letter.decided_at {
                (fact(text.decided, &html! { (parts::at(at)) " " (letter.decided_by.as_deref().unwrap_or_default()) }))
            }
            @if let Some(trace) = &letter.trace_id { (fact(text.trace, &html! { code { (trace) } })) }
        }
    }
}
