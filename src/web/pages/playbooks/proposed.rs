//! A playbook's proposal, and the forms that accept and reject it.

use maud::{Markup, html};

use super::{address, versions};
use crate::domain::playbook::Origin;
use crate::text::playbooks::moved;
use crate::text::{fill, repairs};
use crate::web::pages::{PageRequest, layout, parts};
use crate::web::playbooks::{ProposalView, Shown, Summary};

/// The proposal with its numbers; to decide on, or to be pasted into the settings.
pub(super) fn section(visit: &PageRequest, one: &Summary, proposal: &ProposalView) -> Markup {
    let text = visit.text();
    let held = proposal.figures.iter();
    let held = held.map(|one| (one.action.as_str(), one.held, one.verdicts));
    let held = repairs::held(text, held);
    html! {
        section aria-labelledby="proposal" {
            h2 #proposal { (text.proposal) }
            p.worth { (fill(text.proposal_lead, &[("list", &held)])) " " (parts::since(visit, proposal.proposed_at)) }
            ul.rows { @for one in proposal.moves(one) { li { (moved(text, &one)) } } }
            (versions::lines(text, &proposal.changes))
            @if !proposal.can_be_accepted {
                p { (text.proposal_settings) }
                pre tabindex="0" { (proposal.toml) }
            }
            @if visit.may_act() { (forms(visit, one, proposal)) }
        }
    }
}

fn forms(visit: &PageRequest, one: &Summary, proposal: &ProposalView) -> Markup {
    let text = visit.text();
    let name = visit.session.name.as_deref().unwrap_or_default();
    let action = |what: &str| format!("{}/{what}", address(&one.name));
    html! {
        form.act method="post" action=(action("reject")) {
            (layout::stamp(visit))
            input type="hidden" name="proposal" value=(proposal.id);
            p.hint #reject-hint { (text.proposal_reject_hint) }
            label for="why-decide" { (text.playbook_why) (text.optional) }
            input #why-decide type="text" name="why" maxlength="1000" autocomplete="off";
            label for="by-decide" { (text.your_name) }
            input #by-decide type="text" name="operator" value=(name) maxlength="100" autocomplete="name" data-name;
            div.row {
                @if proposal.can_be_accepted {
                    button.primary formaction=(action("accept")) { (text.proposal_accept) }
                }
                button aria-describedby="reject-hint" { (text.proposal_reject) }
            }
        }
    }
}

/// What takes back a change that was proposed, in one step; nothing if the newest version is none.
pub(super) fn undo(visit: &PageRequest, found: &Shown) -> Markup {
    let text = visit.text();
    let newest = found.versions.first();
    let proposed = newest.filter(|newest| newest.origin == Origin::Proposal && newest.version > 1);
    let Some(newest) = proposed else {
        return html! {};
    };
    let (n, before) = (newest.version.to_string(), (newest.version - 1).to_string());
    html! {
        form method="post" action=(format!("{}/restore", address(&found.playbook.name))) {
            (layout::stamp(visit)) (super::expected(newest.version))
            input type="hidden" name="restore" value=(before);
            input type="hidden" name="why" value=(fill(text.playbook_undone, &[("n", &n)]));
            button { (fill(text.playbook_undo, &[("n", &before)])) }
        }
    }
}
