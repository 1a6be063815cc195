//! The recommended action, as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::recommendation::Recommendation;
use crate::text::{EN, recommendation};

/// What to do next about an incident, as data and in words.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentRecommendation)]
pub(in crate::web::api) struct View {
    #[serde(flatten)]
    found: Recommendation,
    /// How often the action held and by which rule it is recommended, in words; without an action, why there is none.
    said: String,
    /// Why it is this tier, in words; empty if there is nothing to say.
    why_said: String,
}

impl From<Recommendation> for View {
    fn from(found: Recommendation) -> Self {
        Self {
            said: recommendation::because(&EN, &found),
            why_said: recommendation::why(&EN, &found.why),
            found,
        }
    }
}
