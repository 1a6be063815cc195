//! Playbooks, as API and pages show them: those of the settings, and the stored ones with their versions.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::DbErr;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::context::Context;
use crate::domain::playbook::proposal::{Move, moves};
use crate::domain::playbook::{self, Held, Line, Origin, Playbook, State};
use crate::operations::playbook::proposal::said;
use crate::playbooks::base_of_settings;
use crate::store::playbooks::proposals::{self, Proposal};
use crate::store::playbooks::{self, Version};
use crate::text::EN;
use crate::text::playbooks::moved;
use crate::time::Timestamp;

/// The most versions that are shown.
pub(super) const VERSIONS: u64 = 100;

/// Where a playbook is, and is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlaybookSource)]
pub(super) enum Source {
    /// In the settings, `[[playbooks]]`.
    Settings,
    /// In the database: API, page and command line change it.
    Stored,
}

/// A playbook.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Playbook)]
pub(super) struct Summary {
    /// Its name.
    pub(super) name: String,
    /// Where it is.
    pub(super) source: Source,
    /// Whether incidents are recommended its actions.
    pub(super) state: State,
    /// The number of its newest version; null if it is in the settings.
    #[schema(minimum = 1)]
    pub(super) version: Option<i64>,
    /// What it says.
    pub(super) definition: Playbook,
    /// When it was changed last; null if it is in the settings.
    pub(super) changed_at: Option<Timestamp>,
    /// Who changed it last; null if it is in the settings.
    pub(super) changed_by: Option<String>,
    /// Why; null if it is in the settings.
    pub(super) why: Option<String>,
    /// How it should be by what held, if that is another way and nobody decided on it; else null.
    pub(super) proposal: Option<ProposalView>,
}

/// How a playbook should be by what held.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PlaybookProposal)]
pub(super) struct ProposalView {
    /// Its ID.
    pub(super) id: Uuid,
    /// The playbook as it should be: with the same actions.
    pub(super) definition: Playbook,
    /// The same in TOML, to be pasted into the settings if the playbook is there.
    pub(super) toml: String,
    /// The lines of the playbook, and what becomes of each.
    pub(super) changes: Vec<Line>,
    /// How often its actions held.
    pub(super) figures: Vec<Held>,
    /// The same, as people say it.
    said: String,
    /// Which actions get another place, in words.
    moves: Vec<String>,
    /// When it was proposed.
    pub(super) proposed_at: Timestamp,
    /// Whether it can be accepted; one for a playbook of the settings cannot.
    pub(super) can_be_accepted: bool,
}

impl ProposalView {
    fn of(proposal: &Proposal, one: &Summary) -> Result<Self, DbErr> {
        let (before, after) = (&one.definition, proposal.playbook()?);
        let figures = proposal.held()?;
        let lines = (playbook::lines(before), playbook::lines(&after));
        Ok(Self {
            id: proposal.id,
            toml: playbook::written(&after),
            changes: playbook::changes(&lines.0, &lines.1),
            said: said(&figures),
            figures,
            moves: moves(before, &after)
                .iter()
                .map(|one| moved(&EN, one))
                .collect(),
            proposed_at: proposal.proposed_at,
            can_be_accepted: one.source == Source::Stored,
            definition: after,
        })
    }

    /// Which actions get another place.
    pub(super) fn moves(&self, one: &Summary) -> Vec<Move> {
        moves(&one.definition, &self.definition)
    }
}

impl Summary {
    fn of_settings(playbook: &Playbook) -> Self {
        Self {
            name: playbook.name.clone(),
            source: Source::Settings,
            state: State::Active,
            version: None,
            definition: playbook.clone(),
            changed_at: None,
            changed_by: None,
            why: None,
            proposal: None,
        }
    }

    fn of_version(version: &Version) -> Result<Self, DbErr> {
        Ok(Self {
            name: version.name.clone(),
            source: Source::Stored,
            state: version.state,
            version: Some(version.version),
            definition: version.playbook()?,
            changed_at: Some(version.created_at),
            changed_by: Some(version.by().to_owned()),
            why: Some(version.why.clone()),
            proposal: None,
        })
    }
}

impl Summary {
    /// What a proposal for it as it is now is based on.
    fn base(&self) -> String {
        match self.version {
            Some(version) => version.to_string(),
            None => base_of_settings(&self.definition),
        }
    }

    /// Adds the open proposal that is based on what it is now.
    fn propose(&mut self, open: &BTreeMap<(String, String), Proposal>) -> Result<(), DbErr> {
        let found = open.get(&(self.name.clone(), self.base()));
        let found = found.filter(|_| self.state == State::Active);
        self.proposal = found
            .map(|found| ProposalView::of(found, self))
            .transpose()?;
        Ok(())
    }
}

/// Open proposals, by the playbook and what they are based on.
async fn open(context: &Context) -> Result<BTreeMap<(String, String), Proposal>, DbErr> {
    let open = proposals::open(context.db.view()).await?.into_iter();
    Ok(open
        .map(|one| ((one.name.clone(), one.base.clone()), one))
        .collect())
}

/// A version of a stored playbook.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PlaybookVersion)]
pub(super) struct VersionView {
    /// Its number, from 1.
    #[schema(minimum = 1)]
    pub(super) version: i64,
    /// Whether it was in effect.
    pub(super) state: State,
    /// Where it comes from.
    pub(super) origin: Origin,
    /// The version that was restored with it; null if none was.
    #[schema(minimum = 1)]
    pub(super) restored_from: Option<i64>,
    /// Who made it: their name, or their token as the audit shows it.
    pub(super) by: String,
    /// Why.
    pub(super) why: String,
    /// When.
    pub(super) at: Timestamp,
    /// What it says, in TOML.
    pub(super) toml: String,
    /// The lines of it and of the version before, with what became of each. A playbook that is withdrawn has no lines.
    pub(super) changes: Vec<Line>,
}

/// A playbook with its versions.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PlaybookWithVersions)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) playbook: Summary,
    /// What it says, in TOML.
    pub(super) toml: String,
    /// Its versions, newest first, at most 100. Of a playbook in the settings those of a stored one of its name, which
    /// do not count.
    pub(super) versions: Vec<VersionView>,
}

/// All playbooks, by name. A stored one of a name that the settings have does not count and is left out.
pub(super) async fn all(context: &Context) -> Result<Vec<Summary>, DbErr> {
    let settings = context.playbooks.settings();
    let fixed: BTreeSet<&str> = settings.iter().map(|one| one.name.as_str()).collect();
    let mut all: Vec<Summary> = settings.iter().map(Summary::of_settings).collect();
    for version in playbooks::newest(context.db.view()).await? {
        if !fixed.contains(version.name.as_str()) {
            all.push(Summary::of_version(&version)?);
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let open = open(context).await?;
    for one in &mut all {
        one.propose(&open)?;
    }
    Ok(all)
}

/// One, with its versions; `None` if there is no such playbook.
pub(super) async fn one(context: &Context, name: &str) -> Result<Option<Shown>, DbErr> {
    let db = context.db.view();
    // One more, to show what changed with the last.
    let stored = playbooks::versions(db, name, VERSIONS + 1).await?;
    let mut playbook = match (context.playbooks.of_settings(name), stored.first()) {
        (Some(fixed), _) => Summary::of_settings(fixed),
        (None, Some(newest)) => Summary::of_version(newest)?,
        (None, None) => return Ok(None),
    };
    playbook.propose(&open(context).await?)?;
    Ok(Some(Shown {
        toml: playbook::written(&playbook.definition),
        playbook,
        versions: versions(&stored)?,
    }))
}

/// Each with what changed from the one before, of versions with the newest first.
fn versions(stored: &[Version]) -> Result<Vec<VersionView>, DbErr> {
    let lines = |version: &Version| match version.is_active() {
        true => Ok::<_, DbErr>(playbook::lines(&version.playbook()?)),
        false => Ok(Vec::new()),
    };
    let view = |(at, version): (usize, &Version)| {
        let before = stored.get(at + 1).map(lines).transpose()?;
        Ok(VersionView {
            version: version.version,
            state: version.state,
            origin: version.origin,
            restored_from: version.restored_from,
            by: version.by().to_owned(),
            why: version.why.clone(),
            at: version.created_at,
            toml: playbook::written(&version.playbook()?),
            changes: playbook::changes(&before.unwrap_or_default(), &lines(version)?),
        })
    };
    let shown = stored.iter().enumerate().take(VERSIONS as usize);
    shown.map(view).collect()
}
