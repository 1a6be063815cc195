//! The analysis of an incident: each sentence links to its evidence.

use maud::{Markup, html};

use crate::domain::analysis::{Analysis, Finding};
use crate::entity::incidents::Model as Incident;
use crate::text::analysis::{sentence, why_not_generated};
use crate::text::{Text, fill};
use crate::web::pages::{PageRequest, layout, parts};

pub(super) fn found(visit: &PageRequest, incident: &Incident) -> Markup {
    let text = visit.text();
    html! {
        @if incident.analyze_due_since.is_some() { p { (text.an_pending) } }
        @match &incident.analysis {
            Some(analysis) => (shown(visit, text, incident, analysis)),
            None if incident.analyze_due_since.is_none() => p { (text.an_none) },
            None => {},
        }
    }
}

fn shown(visit: &PageRequest, text: &Text, incident: &Incident, analysis: &Analysis) -> Markup {
    html! {
        ul.rows {
            @for finding in &analysis.findings {
                li { (linked(text, incident, finding)) }
            }
        }
        @if let Some(generated) = &analysis.generated {
            p.hint { (fill(text.an_generated, &[("model", &generated.model)])) }
            blockquote { (generated.text) }
        }
        @if let Some(why) = analysis.not_generated {
            p.hint { (why_not_generated(text, why)) }
        }
        p.hint { (parts::around(text.an_made, "age", &parts::since(visit, analysis.at))) }
    }
}

/// A sentence as a link to what it is drawn from.
fn linked(text: &Text, incident: &Incident, finding: &Finding) -> Markup {
    let said = sentence(text, finding);
    match (finding, finding.evidence(&incident.anomaly_key)) {
        // It was checked when it was stored.
        (Finding::Runbook { url }, _) => html! { a href=(url) rel="noreferrer" { (said) } },
        (_, Some(page)) => html! { a href=(page) { (said) } },
        (_, None) => html! { (said) },
    }
}

/// To have it done again.
pub(super) fn form(visit: &PageRequest, incident: &Incident) -> Markup {
    html! {
        form method="post" action=(format!("/incidents/{}/analyze", incident.id)) {
            (layout::stamp(visit))
            button { (visit.text().an_again) }
        }
    }
}
