//! The table of the sources.

use maud::{Markup, html};

use crate::web::pages::{PageRequest, parts};
use crate::web::source_states::SourceState;

/// The sources; `None` if the store does not say.
pub(super) fn sources(visit: &PageRequest, sources: Option<&[SourceState]>) -> Markup {
    let text = visit.text();
    let Some(sources) = sources else {
        return html! { p.warn { span aria-hidden="true" { "⚠ " } (text.sources_unknown) } };
    };
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="sources" { table {
            thead { tr {
                th scope="col" { (text.source) }
                th scope="col" { (text.source_address) }
                th scope="col" { (text.source_last) }
                th.n scope="col" { (text.source_alerts) }
                th.n scope="col" { (text.source_refused) }
                th.n scope="col" { (text.source_tests) }
                th.n scope="col" { (text.source_unused) }
                th scope="col" { (text.source_error) }
            } }
            tbody { @for one in sources { (row(visit, one)) } }
        } }
        @for one in sources {
            @if let (Some(url), Some(at)) = (&one.confirm_url, one.confirm_at) {
                p.warn { span aria-hidden="true" { "⚠ " } (one.name) (text.colon)
                    (parts::around(text.source_confirm, "time", &parts::ago(visit, at))) " "
                    a href=(url) rel="noreferrer" { (text.source_confirm_open) } }
            }
        }
    }
}

fn row(visit: &PageRequest, one: &SourceState) -> Markup {
    let text = visit.text();
    html! {
        tr {
            th scope="row" { (one.name) @if !one.enabled { " " span.hint { (text.source_off) } } }
            td { @for (n, address) in one.addresses.iter().enumerate() {
                @if n > 0 { br; } code { (address) }
            } }
            td { @match one.delivered_at {
                Some(at) => (parts::since(visit, at)),
                None => (text.source_never),
            } }
            td.n { (one.alerts) }
            td.n { (one.refused + one.rejected) }
            td.n { (one.tests) }
            td.n { (one.unused) }
            td { @if let (Some(error), Some(at)) = (&one.error, one.error_at) {
                (parts::since(visit, at)) (text.colon) span lang="en" { (error) }
            } @else { "–" } }
        }
    }
}
