//! States and origins of a stored playbook's versions and of its proposals.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a version is in effect while it is the newest.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = PlaybookState)]
pub enum State {
    /// Incidents are recommended its actions.
    #[sea_orm(string_value = "active")]
    Active,
    /// It is there to be restored.
    #[sea_orm(string_value = "withdrawn")]
    Withdrawn,
}

impl State {
    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Where a version comes from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = PlaybookOrigin)]
pub enum Origin {
    /// The API.
    #[sea_orm(string_value = "api")]
    Api,
    /// A page.
    #[sea_orm(string_value = "page")]
    Page,
    /// The command line.
    #[sea_orm(string_value = "cli")]
    Cli,
    /// A proposal that was accepted.
    #[sea_orm(string_value = "proposal")]
    Proposal,
    /// An older version that was restored.
    #[sea_orm(string_value = "restored")]
    Restored,
    /// A file with several playbooks.
    #[sea_orm(string_value = "imported")]
    Imported,
}

impl Origin {
    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Page => "page",
            Self::Cli => "cli",
            Self::Proposal => "proposal",
            Self::Restored => "restored",
            Self::Imported => "imported",
        }
    }
}

/// What became of a proposal.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// Nobody decided yet.
    #[sea_orm(string_value = "open")]
    Open,
    /// It became a version.
    #[sea_orm(string_value = "accepted")]
    Accepted,
    /// It is not wanted.
    #[sea_orm(string_value = "rejected")]
    Rejected,
    /// It became a version, and one before that was restored.
    #[sea_orm(string_value = "undone")]
    Undone,
}

impl ProposalState {
    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Undone => "undone",
        }
    }

    /// Whether a person does not want it.
    #[must_use]
    pub const fn is_refused(self) -> bool {
        matches!(self, Self::Rejected | Self::Undone)
    }
}
