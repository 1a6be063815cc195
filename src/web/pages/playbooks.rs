//! Playbooks: what to do about alerts, by tier; each with its versions, which can be restored.

mod decide;
mod proposed;
mod versions;

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::layout::{self, Frame, Section};
use super::{PageError, PageRequest, Pages, parts};
use crate::domain::playbook::{self, Playbook};
use crate::domain::refusal::Refusal;
use crate::domain::tier::Tier;
use crate::text::{Text, fill};
use crate::web::playbooks::{self, Shown, Source, Summary};
pub(super) use decide::{decide, write};

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/playbooks",
    name: |text| text.playbooks,
};

/// What the form for a new one begins with.
const EXAMPLE: &str = "name = \"pods\"\nalert_name = [\"KubePodCrashLooping\", \"KubePodNotReady\"]\n\
                       tier_1 = \"restart_pod\"\ntier_2 = [\"rollback\", \"scale_up\"]\n";

/// A playbook that was written, and why it was refused.
pub(super) struct Written<'a> {
    toml: &'a str,
    why: &'a str,
    refused: &'a Refusal,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    list(&pages, &visit, None).await
}

pub(super) async fn one(
    State(pages): State<Pages>,
    Path(name): Path<String>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    shown(&pages, &name, &visit, None).await
}

/// The list; with what was `written` in its form, if that was refused.
async fn list(
    pages: &Pages,
    visit: &PageRequest,
    written: Option<&Written<'_>>,
) -> Result<Markup, PageError> {
    let all = playbooks::all(&pages.context).await?;
    let text = visit.text();
    let frame = Frame {
        section: SECTION,
        title: text.playbooks,
        watch: String::new(),
    };
    let content = html! {
        h1 #title { (text.playbooks) }
        p.hint { (text.playbooks_lead) }
        @if all.is_empty() { (layout::empty(text.no_playbooks, text.no_playbooks_lead)) }
        @else {
            div.wide tabindex="0" role="region" aria-labelledby="title" { (table(visit, &all)) }
        }
        @if visit.may_act() {
            details.act open[written.is_some()] {
                summary { (text.playbook_write) }
                (form(visit, "/playbooks", EXAMPLE, 0, written))
            }
        }
    };
    Ok(layout::page(visit, &frame, &content))
}

fn table(visit: &PageRequest, all: &[Summary]) -> Markup {
    let text = visit.text();
    html! {
        table {
            thead { tr {
                th scope="col" { (text.playbooks) }
                th scope="col" { (text.playbook_for) }
                th scope="col" { (text.action) }
                th scope="col" { (text.playbook_place) }
                th scope="col" { (text.playbook_changed) }
            } }
            tbody {
                @for one in all {
                    tr {
                        th scope="row" { a href=(address(&one.name)) { (one.name) } }
                        td { (conditions(text, &one.definition)) }
                        td { (tiers(text, &one.definition)) }
                        td { (place(text, one)) @if one.proposal.is_some() { " · " b { (text.proposal_waits) } } }
                        td {
                            @if let Some(at) = one.changed_at { (parts::since(visit, at)) " " }
                            (one.changed_by.as_deref().unwrap_or_default())
                        }
                    }
                }
            }
        }
    }
}

fn address(name: &str) -> String {
    format!("/playbooks/{}", parts::encoded(name))
}

/// Which alerts it is for.
fn conditions(text: &Text, playbook: &Playbook) -> Markup {
    let all = [
        (text.alert_name, &playbook.alert_name),
        (text.service, &playbook.service),
        (text.namespace, &playbook.namespace),
        (text.error_type, &playbook.error_type),
    ];
    let mut given = all
        .into_iter()
        .filter(|(_, list)| !list.0.is_empty())
        .peekable();
    html! {
        @if given.peek().is_none() { (text.playbook_for_all) }
        @for (at, (name, list)) in given.enumerate() {
            @if at > 0 { br; }
            small { (name) (text.colon) }
            @for (at, pattern) in list.0.iter().enumerate() { @if at > 0 { (text.comma) } (pattern.0) }
        }
    }
}

/// Its actions by tier.
fn tiers(text: &Text, playbook: &Playbook) -> Markup {
    let given = Tier::ALL
        .into_iter()
        .map(|tier| (tier, &playbook.actions(tier).0));
    let given = given.filter(|(_, actions)| !actions.is_empty());
    html! {
        @for (at, (tier, actions)) in given.enumerate() {
            @if at > 0 { br; }
            small { (parts::tier(text, Some(tier.number()))) (text.colon) }
            @for (at, action) in actions.iter().enumerate() { @if at > 0 { (text.comma) } code { (action) } }
        }
    }
}

/// Where it is kept, and whether it counts.
fn place(text: &Text, one: &Summary) -> Markup {
    html! {
        @match one.version {
            None => (text.playbook_in_settings),
            Some(n) => (fill(text.playbook_stored, &[("n", &n.to_string())])),
        }
        @if one.state == playbook::State::Withdrawn { " · " span.bad { (text.playbook_withdrawn) } }
    }
}

/// The page of one playbook; with what was `written` in its form, if that was refused.
async fn shown(
    pages: &Pages,
    name: &str,
    visit: &PageRequest,
    written: Option<&Written<'_>>,
) -> Result<Markup, PageError> {
    let found = playbooks::one(&pages.context, name).await?;
    let found = found.ok_or(PageError::NotFound)?;
    let text = visit.text();
    let frame = Frame {
        section: SECTION,
        title: name,
        watch: String::new(),
    };
    let is_fixed = found.playbook.source == Source::Settings;
    let content = html! {
        article.one.l0 {
            div {
                p.what { (place(text, &found.playbook)) }
                h1 { (name) }
                @if is_fixed { p { (text.playbook_fixed) } }
                @else if visit.may_act() { (proposed::undo(visit, &found)) }
            }
            div.cols {
                div {
                    @if let Some(proposal) = &found.playbook.proposal {
                        (proposed::section(visit, &found.playbook, proposal))
                    }
                    section aria-labelledby="says" {
                        h2 #says { (text.playbook_says) }
                        p { (conditions(text, &found.playbook.definition)) }
                        p { (tiers(text, &found.playbook.definition)) }
                        pre tabindex="0" { (found.toml) }
                    }
                    @if !found.versions.is_empty() {
                        section aria-labelledby="versions" {
                            h2 #versions { (text.playbook_versions) }
                            (versions::list(visit, &found, !is_fixed && visit.may_act()))
                        }
                    }
                }
                div { @if visit.may_act() && !is_fixed { (actions(visit, &found, written)) } }
            }
        }
    };
    Ok(layout::page(visit, &frame, &content))
}

/// To change it, and to withdraw it.
fn actions(visit: &PageRequest, found: &Shown, written: Option<&Written<'_>>) -> Markup {
    let (text, one) = (visit.text(), &found.playbook);
    let version = one.version.unwrap_or_default();
    let action = |operation: &str| format!("{}/{operation}", address(&one.name));
    html! {
        section.act aria-labelledby="act" {
            h2 #act { (text.actions) }
            details.act open[written.is_some()] {
                summary { (text.playbook_edit) }
                (form(visit, &action("set"), &playbook::lines(&one.definition).join("\n"), version, written))
            }
            @if one.state == playbook::State::Active {
                details.act {
                    summary { (text.playbook_withdraw) }
                    form method="post" action=(action("withdraw")) {
                        (layout::stamp(visit)) (expected(version))
                        p.hint { (text.playbook_withdraw_hint) }
                        (why_and_who(visit, "withdraw", ""))
                        button { (text.playbook_withdraw) }
                    }
                }
            }
        }
    }
}

/// A form with a playbook in TOML.
fn form(
    visit: &PageRequest,
    action: &str,
    toml: &str,
    version: i64,
    written: Option<&Written<'_>>,
) -> Markup {
    let text = visit.text();
    let toml = written.map_or(toml, |written| written.toml);
    html! {
        form method="post" action=(action) {
            (layout::stamp(visit)) (expected(version))
            @if let Some(written) = written {
                div role="alert" { (parts::refusal_paragraph(text, written.refused)) }
            }
            label for="toml" { (text.playbook_toml) }
            textarea #toml name="toml" rows="10" required spellcheck="false" { "\n" (toml) }
            (why_and_who(visit, "set", written.map_or("", |written| written.why)))
            button.primary { (text.playbook_save) }
        }
    }
}

/// The version that a form was made for: a change that came since is not overwritten.
fn expected(version: i64) -> Markup {
    html! { input type="hidden" name="version" value=(version); }
}

/// Why it is changed, and by whom; `of` tells the fields of one form from those of another.
fn why_and_who(visit: &PageRequest, of: &str, why: &str) -> Markup {
    let text = visit.text();
    let (why_id, by) = (format!("why-{of}"), format!("by-{of}"));
    let name = visit.session.name.as_deref().unwrap_or_default();
    html! {
        label for=(why_id) { (text.playbook_why) }
        input id=(why_id) type="text" name="why" value=(why) required maxlength="1000" autocomplete="off";
        label for=(by) { (text.your_name) }
        input id=(by) type="text" name="operator" value=(name) maxlength="100" autocomplete="name" data-name;
    }
}
