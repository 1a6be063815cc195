//! Several incidents of the list at once: the bar of operations, and what it sends.

use axum::extract::State;
use maud::{Markup, html};
use uuid::Uuid;

use super::address::PageQuery;
use super::forms::Done;
use super::incident_query::IncidentQuery;
use super::request::{FormPost, PageRequest};
use super::{PageError, Pages, layout, mute};
use crate::config::Span;
use crate::operations::incident::{Asked, BulkAction, NewNote, Outcome, Which, apply};
use crate::operations::mute::{NewMute, ends};
use crate::operations::{Invalid, OperationError};
use crate::store::incidents::StatusChange;
use crate::text::{Text, fill};

/// Does to the ticked incidents what the pressed button says, and leads back to the list.
pub(super) async fn post(
    State(pages): State<Pages>,
    PageQuery(query): PageQuery<IncidentQuery>,
    posted: FormPost,
) -> Done {
    query.check()?;
    let done = async {
        let actor = posted.actor()?;
        let ids = posted.all("id").iter().map(|id| id.parse::<Uuid>());
        let ids: Vec<Uuid> = ids
            .collect::<Result<_, _>>()
            .map_err(|_| PageError::NotFound)?;
        if ids.is_empty() {
            return Ok(query.done(0, 0));
        }
        let (said, key) = (posted.text("note")?, posted.key());
        let asked = Asked {
            action: action(&posted, said.clone())?,
            which: Which::Ids(ids),
            note: NewNote::said(said.as_deref(), key.as_deref()),
        };
        let changes = Box::pin(apply(&pages.context, &actor, asked)).await?;
        let changed = changes
            .items
            .iter()
            .filter(|item| item.outcome == Outcome::Changed);
        Ok(query.done(changed.count(), changes.items.len()))
    };
    pages.done(&posted, Box::pin(done)).await
}

fn action(posted: &FormPost, why: Option<String>) -> Result<BulkAction, PageError> {
    Ok(match posted.get("do") {
        Some("acknowledge") => BulkAction::Change(StatusChange::Acknowledge),
        Some("resolve") => BulkAction::Change(StatusChange::Resolve),
        Some("note") => BulkAction::Note,
        Some("mute") => {
            let span = posted
                .get("for")
                .map(|span| Span::read(span.trim()))
                .transpose();
            let span = span.map_err(PageError::BadRequest)?;
            let of = |invalid: Invalid| PageError::from(OperationError::from(invalid));
            let ends = ends(span.map(|span| span.0), None).map_err(of)?;
            BulkAction::Mute(NewMute { ends, why })
        }
        _ => return Err(PageError::NotFound),
    })
}

/// What came of it, where a form led here.
pub(super) fn result(text: &Text, query: &IncidentQuery) -> Markup {
    let number = |text: &str| text.parse::<usize>().ok();
    let Some((n, all)) = number(&query.changed).zip(number(&query.asked)) else {
        return html! {};
    };
    let said = match all {
        0 => text.done_bulk_none.to_owned(),
        _ => fill(
            text.done_bulk,
            &[("n", &n.to_string()), ("all", &all.to_string())],
        ),
    };
    html! { p.done role="status" { (said) } }
}

/// The box that selects an incident. The script names it by its incident.
pub(super) fn tick(text: &Text, id: Uuid) -> Markup {
    html! { input type="checkbox" name="id" value=(id.simple()) aria-label=(text.bulk_select); }
}

/// The operations on what is ticked.
pub(super) fn bar(visit: &PageRequest) -> Markup {
    let text = visit.text();
    let name = visit.session.name.as_deref().unwrap_or_default();
    html! {
        (layout::stamp(visit)) (layout::once())
        div.bulk #bulk role="group" aria-label=(text.bulk_hint) {
            // What Enter in the note does.
            button name="do" value="note" hidden tabindex="-1" { (text.note_only) }
            span #bulk-count data-n=(text.bulk_selected) aria-live="polite" { (text.bulk_hint) }
            label.choice #bulk-all hidden { input type="checkbox"; (text.bulk_all) }
            button.primary name="do" value="acknowledge" { (text.acknowledge) }
            button name="do" value="resolve" { (text.resolve) }
            span.row {
                button name="do" value="mute" { (text.bulk_mute) }
                select name="for" aria-label=(text.mute_for) { (mute::spans(text)) }
            }
            input type="text" name="note" maxlength="4096" autocomplete="off"
                aria-label=(text.repair_note) placeholder=(text.repair_note);
            button name="do" value="note" { (text.note_only) }
            input type="text" name="operator" value=(name) maxlength="100" autocomplete="name" data-name
                aria-label=(text.your_name) placeholder=(text.your_name);
        }
    }
}
