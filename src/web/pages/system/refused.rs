//! The table of the deliveries that were refused.

use maud::{Markup, html};

use super::load::Refused;
use crate::store::refusals::Refusal;
use crate::web::pages::{PageRequest, parts};

/// Recent refusals, by source.
pub(super) fn refused(visit: &PageRequest, refused: &Refused) -> Markup {
    let text = visit.text();
    html! {
        @if !refused.is_all {
            p.warn { span aria-hidden="true" { "⚠ " } (text.refused_unknown) }
        }
        @if !refused.rows.is_empty() {
            (refusals_table(visit, &refused.rows))
        } @else if refused.is_all {
            p.good { span aria-hidden="true" { "✓ " } (text.refused_none) }
        }
    }
}

fn refusals_table(visit: &PageRequest, refused: &[Refusal]) -> Markup {
    let text = visit.text();
    let unread = refused.iter().filter_map(|one| {
        let (body, at) = (one.body.as_ref()?, one.body_at?);
        Some((one, body, at))
    });
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="refused" { table {
            thead { tr {
                th scope="col" { (text.source) }
                th scope="col" { (text.refused_answer) }
                th.n scope="col" { (text.refused_deliveries) }
                th scope="col" { (text.refused_last) }
                th scope="col" { (text.refused_from) }
            } }
            tbody {
                @for one in refused {
                    tr {
                        th scope="row" { (one.source) }
                        td lang="en" { (one.status) " " (one.detail) }
                        td.n { (one.deliveries) }
                        td { (parts::since(visit, one.last_at)) }
                        td { (one.client) }
                    }
                }
            }
        } }
        @for (one, body, at) in unread {
            details {
                summary { (one.source) (text.colon) (parts::around(text.refused_body, "time", &parts::ago(visit, at))) }
                pre tabindex="0" { (body) }
            }
        }
    }
}
