//! The versions of a playbook: who changed what and why, and the form that restores one.

use maud::{Markup, html};

use super::{address, expected, why_and_who};
use crate::domain::playbook::{Change, Line, Origin, State};
use crate::text::{Text, fill};
use crate::web::pages::{PageRequest, layout, parts};
use crate::web::playbooks::{Shown, VersionView};

/// All of them, newest first; with what restores the older ones, if they `may` be.
pub(super) fn list(visit: &PageRequest, found: &Shown, may: bool) -> Markup {
    let newest = found.versions.first();
    html! {
        @for (at, version) in found.versions.iter().enumerate() {
            details.op open[at == 0] {
                summary { (head(visit, version)) }
                p { (version.why) }
                (lines(visit.text(), &version.changes))
                @if let Some(newest) = newest.filter(|newest| may && can_be_restored(newest, version)) {
                    (restore(visit, found, (newest, version)))
                }
            }
        }
    }
}

/// Whether restoring it changes anything.
fn can_be_restored(newest: &VersionView, version: &VersionView) -> bool {
    newest.state == State::Withdrawn || newest.toml != version.toml
}

fn head(visit: &PageRequest, version: &VersionView) -> Markup {
    let text = visit.text();
    html! {
        strong { (fill(text.playbook_version, &[("n", &version.version.to_string())])) }
        " · " (parts::since(visit, version.at)) " · " (version.by) " · " (origin(text, version))
        @if version.state == State::Withdrawn { " · " span.bad { (text.playbook_withdrawn) } }
    }
}

fn origin(text: &Text, version: &VersionView) -> String {
    match version.origin {
        Origin::Api => text.origin_api.to_owned(),
        Origin::Page => text.origin_page.to_owned(),
        Origin::Cli => text.origin_cli.to_owned(),
        Origin::Proposal => text.origin_proposal.to_owned(),
        Origin::Imported => text.origin_imported.to_owned(),
        Origin::Restored => {
            let n = version.restored_from.unwrap_or_default().to_string();
            fill(text.origin_restored, &[("n", &n)])
        }
    }
}

/// What changed, line by line: by sign and word, not by colour alone.
pub(super) fn lines(text: &Text, changes: &[Line]) -> Markup {
    html! {
        pre.lines tabindex="0" {
            @for line in changes {
                @match line.change {
                    Change::Kept => span { "  " (line.line) },
                    Change::Added => ins title=(text.line_added) { "+ " (line.line) },
                    Change::Removed => del title=(text.line_removed) { "- " (line.line) },
                }
            }
        }
    }
}

/// Two steps: to unfold it, and to send it.
fn restore(
    visit: &PageRequest,
    found: &Shown,
    (newest, version): (&VersionView, &VersionView),
) -> Markup {
    let (text, n) = (visit.text(), version.version.to_string());
    let title = fill(text.playbook_restore, &[("n", &n)]);
    html! {
        details.act {
            summary { (title) }
            form method="post" action=(format!("{}/restore", address(&found.playbook.name))) {
                (layout::stamp(visit)) (expected(newest.version))
                input type="hidden" name="restore" value=(n);
                p.hint { (text.playbook_restore_hint) }
                (why_and_who(visit, &format!("restore-{n}"), ""))
                button { (title) }
            }
        }
    }
}
