//! The executions of an incident, and the button that starts one.

use maud::{Markup, html};
use uuid::Uuid;

use crate::domain::execution::{Reason, State};
use crate::domain::recommendation::Recommendation;
use crate::entity::executions::Model;
use crate::text::{Text, fill};
use crate::web::pages::{PageRequest, layout, parts};

/// Those of the incident, the oldest first; nothing where there is none.
pub(super) fn shown(visit: &PageRequest, all: &[Model]) -> Markup {
    let text = visit.text();
    html! {
        @if !all.is_empty() {
            ul.rows {
                @for one in all {
                    @let state = one.state.at(one.expires_at, visit.now);
                    @let at = one.finished_at.or(one.started_at).or(one.asked_at).or(one.wanted_at);
                    li {
                        code { (one.action) } " · " (fill(state_word(text, state, one.success), &[("name", &one.hook)]))
                        @if let Some(reason) = one.reason { ": " span.bad { (reason_word(text, reason)) } }
                        @if let Some(answer) = one.answer.as_ref().filter(|_| state == State::Failed) {
                            " " small { (answer) }
                        }
                        " · " (parts::at(at.unwrap_or(one.created_at)))
                        @if let Some(who) = &one.wanted_by { " · " (fill(text.by_person, &[("name", who)])) }
                    }
                }
            }
        }
    }
}

/// The button that has the recommended action run, if a hook does that and it was not asked to yet.
pub(super) fn form(
    visit: &PageRequest,
    incident: Uuid,
    recommended: Option<(&Recommendation, &str)>,
    all: &[Model],
) -> Markup {
    let text = visit.text();
    let Some((found, hook)) = recommended else {
        return html! {};
    };
    let action = found.action.as_deref().unwrap_or_default();
    let was_asked = |one: &&Model| one.action == action && !one.state.is_open();
    if action.is_empty() || all.iter().any(|one| was_asked(&one)) {
        return html! {};
    }
    let name = visit.session.name.as_deref().unwrap_or_default();
    html! {
        details.act {
            summary { (fill(text.run_action, &[("action", action)])) }
            form method="post" action=(format!("/incidents/{incident}/execute")) {
                (layout::stamp(visit)) (layout::once())
                input type="hidden" name="action" value=(action);
                p.hint { (fill(text.run_hint, &[("action", action), ("name", hook)])) }
                label for="by-run" { (text.your_name) }
                input #by-run type="text" name="operator" value=(name) maxlength="100" autocomplete="name" data-name;
                button.primary { (fill(text.run_action, &[("action", action)])) }
            }
        }
    }
}

const fn state_word(text: &Text, state: State, success: Option<bool>) -> &'static str {
    match (state, success) {
        (State::Suggested, _) => text.exec_suggested,
        (State::Asking, _) => text.exec_asking,
        (State::Asked, _) => text.exec_asked,
        (State::Started, _) => text.exec_started,
        (State::Finished, Some(false)) => text.exec_finished_bad,
        (State::Finished, _) => text.exec_finished,
        (State::Failed, _) => text.exec_failed,
        (State::Refused, _) => text.exec_refused,
        (State::Expired, _) => text.exec_expired,
    }
}

const fn reason_word(text: &Text, reason: Reason) -> &'static str {
    match reason {
        Reason::Budget => text.exec_why_budget,
        Reason::Muted => text.exec_why_muted,
        Reason::Acknowledged => text.exec_why_acknowledged,
        Reason::Stopped => text.exec_why_stopped,
        Reason::Resolved => text.exec_why_resolved,
        Reason::NoHook => text.exec_why_no_hook,
        Reason::Late => text.exec_why_late,
        Reason::Rejected => text.exec_why_rejected,
        Reason::Unreachable => text.exec_why_unreachable,
    }
}
