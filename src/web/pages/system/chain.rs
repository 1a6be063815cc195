//! The chain: each link of an alert's way, as the last canary that Tocsin sent found it.

use maud::{Markup, html};

use crate::domain::canary::Link;
use crate::store::canaries::Canary;
use crate::text::Text;
use crate::web::pages::{PageRequest, parts};

const fn name(text: &Text, link: Link) -> &'static str {
    match link {
        Link::Ingress => text.link_ingress,
        Link::Queue => text.link_queue,
        Link::Incident => text.link_incident,
        Link::Tier => text.link_tier,
        Link::Message => text.link_message,
        Link::Resolve => text.link_resolve,
    }
}

pub(super) fn chain(visit: &PageRequest, is_on: bool, canary: Option<&Canary>) -> Markup {
    let text = visit.text();
    let Some(canary) = canary.filter(|_| is_on) else {
        let why = if is_on {
            text.chain_never
        } else {
            text.chain_off
        };
        return html! { p.hint { (why) } };
    };
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="chain" { table {
            thead { tr {
                th scope="col" { (text.chain_link) }
                th scope="col" { (text.chain_at) }
                th.n scope="col" { (text.chain_took) }
                th scope="col" { (text.status) }
            } }
            tbody { @for link in canary.links() { (row(visit, canary, link)) } }
        } }
    }
}

fn row(
    visit: &PageRequest,
    canary: &Canary,
    (link, at, ms): (Link, Option<crate::time::Timestamp>, Option<u64>),
) -> Markup {
    let text = visit.text();
    html! {
        tr {
            th scope="row" { (name(text, link)) }
            td { @match at { Some(at) => (parts::since(visit, at)), None => "–" } }
            td.n { @if let Some(ms) = ms { (ms) " ms" } }
            td { @if canary.failed_link == Some(link) {
                span.bad { span aria-hidden="true" { "✗ " } (text.chain_failed) }
                (text.colon) span lang="en" { (canary.error.as_deref().unwrap_or_default()) }
            } @else if at.is_some() {
                span.good { span aria-hidden="true" { "✓" } " " (text.fine) }
            } @else { (text.chain_not_done) } }
        }
    }
}
