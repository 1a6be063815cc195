//! Several incidents of the list at once: the bar of operations, and what it sends.

use axum::extract::State;
use maud::{Markup, html};
use uuid::Uuid;

use super::address::PageQuery;
use super::forms::Done;
use super::incident_query::IncidentQuery;
use super::request::{FormPost, PageRequest};
use super::{PageError, Pages, layout, mute, parts};
use crate::config::Span;
use crate::domain::id::ShortId;
use crate::operations::incident::{Asked, BulkAction, Item, NewNote, Outcome, Which, apply};
use crate::operations::mute::{NewMute, ends};
use crate::operations::{Invalid, OperationError};
use crate::store::incidents::StatusChange;
use crate::store::views::incident_list::Entry;
use crate::store::views::lists;
use crate::text::{Text, fill, plural};

/// Incidents that were not changed and are named, in an address and on the page.
const NAMED: usize = 20;

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
            return Ok(query.done(0, 0, ""));
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
        let (changed, refused) = (changed.count(), written(&changes.items));
        Ok(query.done(changed, changes.items.len(), &refused))
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

/// What was not changed, as an address has it: why, and which, up to [`NAMED`] of them.
fn written(items: &[Item]) -> String {
    let one = |item: &Item| {
        let why = match item.outcome {
            Outcome::Changed | Outcome::Unchanged => return None,
            Outcome::Refused(_) => 'r',
            Outcome::NotFound => 'n',
            Outcome::Failed => 'f',
        };
        Some(format!("{why}{}", item.id.simple()))
    };
    let refused: Vec<String> = items.iter().filter_map(one).collect();
    let named = refused.iter().take(NAMED).map(String::as_str);
    let more = refused.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| more.to_string());
    named.chain(more.as_deref()).collect::<Vec<_>>().join(".")
}

/// What was not changed, of an address.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Each with the reason.
    named: Vec<(char, Uuid)>,
    entries: Vec<Entry>,
    /// How many there are beside them.
    more: i64,
}

impl Refused {
    /// Reads what a form led to.
    pub(super) async fn read(pages: &Pages, query: &IncidentQuery) -> Result<Self, PageError> {
        let mut refused = Self::default();
        for part in query.refused.split('.').take(NAMED + 1) {
            let named = part.get(1..).and_then(|id| id.parse().ok());
            match named.zip(part.chars().next()) {
                Some((id, why)) => refused.named.push((why, id)),
                None => refused.more = part.parse().unwrap_or(0),
            }
        }
        if !refused.named.is_empty() {
            let ids = refused.named.iter().map(|(_, id)| *id);
            refused.entries = lists::incidents_of(pages.context.db.view(), ids).await?;
        }
        Ok(refused)
    }

    fn list(&self, text: &Text) -> Markup {
        let entry = |id: &Uuid| self.entries.iter().find(|(incident, _)| incident.id == *id);
        html! {
            ul {
                @for (why, id) in &self.named {
                    li {
                        @match entry(id) {
                            Some((incident, anomaly)) => {
                                a href=(format!("/incidents/{}", id.simple())) { (parts::title(incident, &anomaly.alert_name)) }
                                (text.colon)
                                @if *why == 'r' { (text.pressed_too_late) } @else { (text.bulk_failed) }
                            }
                            None => { code { (ShortId::of(*id)) } (text.colon) (text.pressed_gone) }
                        }
                    }
                }
                @if self.more > 0 { li { (plural(text.bulk_more, self.more)) } }
            }
        }
    }
}

/// What came of it, where a form led here.
pub(super) fn result(text: &Text, query: &IncidentQuery, refused: &Refused) -> Markup {
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
    html! {
        div.done role="status" {
            (said)
            @if !refused.named.is_empty() { (refused.list(text)) }
        }
    }
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
