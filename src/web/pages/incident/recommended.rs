//! The recommended action, and its alternatives.

use maud::{Markup, html};

use crate::domain::recommendation::{Alternative, Recommendation};
use crate::text::recommendation::{because, held, why, why_not};
use crate::web::pages::{PageRequest, parts};

/// The action that is recommended and why, with the others beneath.
pub(super) fn shown(visit: &PageRequest, found: Option<&Recommendation>) -> Markup {
    let text = visit.text();
    let Some(found) = found else {
        return html! { p { "–" } };
    };
    let because = because(text, found);
    let why = why(text, &found.why);
    html! {
        p.next {
            @if let Some(action) = &found.action {
                strong { code { (action) } } " · " (parts::tier(text, Some(found.tier))) " · " (because)
            } @else { (because) }
        }
        @if !why.is_empty() { p.worth { (why) } }
        @if !found.alternatives.is_empty() {
            details {
                summary { (text.rec_others) }
                ul.rows { @for other in &found.alternatives { li { (alternative(visit, other)) } } }
            }
        }
    }
}

fn alternative(visit: &PageRequest, other: &Alternative) -> Markup {
    let text = visit.text();
    html! {
        code { (other.action) } " " small { (parts::tier(text, Some(other.tier))) }
        @if let Some(figures) = &other.figures { " · " (held(text, figures)) }
        @if let Some(why) = why_not(text, other) { " · " span.bad { (why) } }
    }
}
