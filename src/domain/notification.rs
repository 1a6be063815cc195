//! Notifications: what each says, and why some are never sent.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Kind {
    /// An incident opened.
    #[sea_orm(string_value = "opened")]
    Opened,
    /// Its anomaly rose to a level that has a message.
    #[sea_orm(string_value = "escalated")]
    Escalated,
    /// It was resolved, and it still fires.
    #[sea_orm(string_value = "reopened")]
    Reopened,
    /// An alert of a higher severity joined it.
    #[sea_orm(string_value = "worsened")]
    Worsened,
    /// An incident is resolved; sent where the settings ask for it.
    #[sea_orm(string_value = "resolved")]
    Resolved,
    /// Its anomaly rose to `REPEAT`; sent where the settings ask for it.
    #[sea_orm(string_value = "repeated")]
    Repeated,
    /// Its anomaly begins to flap.
    #[sea_orm(string_value = "flapping")]
    Flapping,
    /// Its anomaly flaps no more.
    #[sea_orm(string_value = "steady")]
    Steady,
    /// Many messages in one; it is about no single incident.
    #[sea_orm(string_value = "digest")]
    Digest,
    /// The report of a week; it is about no incident.
    #[sea_orm(string_value = "report")]
    Report,
    /// A playbook was changed without a person; it is about no incident.
    #[sea_orm(string_value = "playbook")]
    Playbook,
}

impl Kind {
    /// Whether it is a notice: about no incident, in channels of its own, and part of no digest.
    #[must_use]
    pub const fn is_notice(self) -> bool {
        matches!(self, Self::Report | Self::Playbook)
    }
}

/// Why a message is suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum SuppressedBy {
    /// Its anomaly was muted when it was due.
    #[sea_orm(string_value = "mute")]
    Mute,
    /// Its incident continues on the card of one before it.
    #[sea_orm(string_value = "card")]
    Card,
    /// Its anomaly was flapping.
    #[sea_orm(string_value = "flapping")]
    Flapping,
    /// Its anomaly was in maintenance.
    #[sea_orm(string_value = "maintenance")]
    Maintenance,
}
