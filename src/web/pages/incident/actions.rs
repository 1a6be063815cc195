//! The forms of an incident: write a note, acknowledge, take over, resolve, write down a repair, mute, fix.

use maud::{Markup, html};
use uuid::Uuid;

use crate::domain::aggregation::Status;
use crate::entity;
use crate::store::views::incident_list::Entry;
use crate::web::pages::layout;
use crate::web::pages::{PageRequest, mute};

/// Actions that are offered; any other can be typed.
const ACTIONS: [&str; 6] = [
    "restart_pod",
    "restart_container",
    "scale_up",
    "rollback",
    "clear_cache",
    "failover",
];

pub(super) fn actions(
    visit: &PageRequest,
    (incident, anomaly): &Entry,
    repairs: &[entity::repairs::Model],
) -> Markup {
    let text = visit.text();
    let (id, name) = (
        incident.id,
        visit.session.name.as_deref().unwrap_or_default(),
    );
    let is_taken = incident.status == Status::Acknowledged;
    let name_field = |id: &str, is_required: bool| {
        html! {
            label for=(id) { (text.your_name) }
            input id=(id) type="text" name="operator" value=(name) maxlength="100"
                autocomplete="name" required[is_required] data-name;
        }
    };
    let by = |id: &str| name_field(id, false);
    let note_only = html! {
        button formaction=(format!("/incidents/{id}/note")) formnovalidate { (text.note_only) }
    };
    html! {
        @if incident.status != Status::Resolved {
            form.act method="post" action=(format!("/incidents/{id}/acknowledge")) {
                (layout::stamp(visit)) (layout::once())
                label for="note-act" { (text.repair_note) (text.optional) }
                textarea #note-act name="note" rows="2" maxlength="4096" {}
                // Only a take-over needs a name.
                (name_field("by-act", is_taken))
                @if is_taken {
                    input type="hidden" name="from" value=(incident.operator.as_deref().unwrap_or_default());
                }
                div.row {
                    // The first button is what the Enter key does.
                    @if !is_taken { button.primary { (text.acknowledge) } } @else { (note_only) }
                    @if is_taken && incident.operator.as_deref() != Some(name) {
                        button formaction=(format!("/incidents/{id}/take-over")) { (text.take_over) }
                    }
                    button formaction=(format!("/incidents/{id}/resolve")) formnovalidate { (text.resolve) }
                    @if !is_taken { (note_only) }
                }
            }
        } @else {
            form.act method="post" action=(format!("/incidents/{id}/note")) {
                (layout::stamp(visit)) (layout::once())
                label for="note-act" { (text.repair_note) }
                textarea #note-act name="note" rows="2" maxlength="4096" required {}
                (by("by-act"))
                button { (text.note_only) }
            }
        }
        @for repair in repairs.iter().filter(|r| r.unfinished && r.incident_id == id) {
            form.act method="post" action=(format!("/incidents/{id}/finish")) {
                (layout::stamp(visit)) (layout::once())
                input type="hidden" name="repair" value=(repair.id);
                fieldset {
                    legend { (text.finish_repair) ": " code { (repair.action) } }
                    label.choice { input type="radio" name="success" value="yes" required; (text.repair_success) }
                    label.choice { input type="radio" name="success" value="no"; (text.repair_failed) }
                }
                (by(&format!("by-finish-{}", repair.id.simple())))
                button { (text.finish_repair) }
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
                    label.choice { input type="radio" name="success" value="started"; (text.start_repair) }
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
pub(in crate::web::pages) fn fix_forms(
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
