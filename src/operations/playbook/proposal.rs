//! Proposals for playbooks: made of what held, and accepted or rejected by people.
//!
//! | what if | then |
//! |---|---|
//! | two make the same at once | there is one: it is unique for the playbook and what it is based on |
//! | the playbook changed meanwhile | it is not accepted any more, and is replaced at the next look |
//! | it is rejected, or undone | it is not made again before enough new verdicts |
//! | it is accepted without a person | that is told once: the message is written with the version, and pushed until it is sent |

use serde_json::json;
use uuid::Uuid;

use super::{Changed, Next, came_first, version_of};
use crate::context::Context;
use crate::domain::notification::Kind;
use crate::domain::playbook::{Held, Origin, Playbook, ProposalState, State};
use crate::ids::new_id;
use crate::operations::{Conflict, FollowUp, OperationError, Resource};
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::playbooks::proposals::{self, Decision, Proposal, UNCOUNTED};
use crate::store::{maintenance, notices, playbooks};
use crate::text::{EN, repairs};

/// By whom a proposal is accepted that the settings accept.
const ITSELF: &str = "tocsin";

/// What a proposal is made of.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The playbook's name.
    pub name: &'a str,
    /// What it is based on.
    pub base: &'a str,
    /// The playbook as it should be; none: it is as it should be.
    pub proposed: Option<Playbook>,
    /// How often its actions held.
    pub held: Vec<Held>,
    /// Verdicts on its actions.
    pub verdicts: i64,
}

/// How often actions held, as people say it.
#[must_use]
pub fn said(held: &[Held]) -> String {
    let each = held
        .iter()
        .map(|one| (one.action.as_str(), one.held, one.verdicts));
    repairs::held(&EN, each)
}

/// Writes down what is found: opens a proposal, brings an open one up to date, or closes it. Returns the open one.
/// It may be done again, or by two at once.
pub async fn offer(
    context: &Context,
    found: Found<'_>,
) -> Result<Option<Proposal>, OperationError> {
    let (db, least) = (
        context.db.write(),
        i64::from(context.config.effectiveness.min_verdicts),
    );
    let mut known = proposals::of(db, found.name).await?;
    for one in known.iter_mut().filter(|one| one.verdicts == UNCOUNTED) {
        proposals::count(db, one.id, found.verdicts).await?;
        one.verdicts = found.verdicts;
    }
    let Some(proposed) = &found.proposed else {
        proposals::close(db, found.name, None).await?;
        return Ok(None);
    };
    let definition = json!(proposed).to_string();
    let is_refused = known.iter().any(|one| {
        let is_same = one.base == found.base || one.definition == definition;
        let is_fresh = (found.verdicts - one.verdicts).abs() < least;
        one.state.is_refused() && is_same && is_fresh
    });
    if is_refused {
        proposals::close(db, found.name, None).await?;
        return Ok(None);
    }
    proposals::close(db, found.name, Some(found.base)).await?;
    let now = context.clock.of_store(maintenance::now(db).await?);
    let mut new = Proposal {
        name: found.name.to_owned(),
        base: found.base.to_owned(),
        id: new_id(now),
        definition,
        figures: json!(found.held).to_string(),
        verdicts: found.verdicts,
        state: ProposalState::Open,
        proposed_at: now,
        decided_by: None,
    };
    let seen = known.into_iter().find(|one| one.base == found.base);
    let is_done = match &seen {
        None => proposals::open_new(db, &new).await?,
        // It became a version since the playbook was read.
        Some(seen) if seen.state == ProposalState::Accepted => false,
        Some(seen) => {
            if seen.state == ProposalState::Open && seen.definition == new.definition {
                // What a person looks at can still be accepted, with newer figures.
                (new.id, new.proposed_at) = (seen.id, seen.proposed_at);
            }
            let is_same = (seen.id, &seen.figures) == (new.id, &new.figures);
            is_same || proposals::open_again(db, seen, &new).await?
        }
    };
    // Another process did it, or a person decided meanwhile: the next look sees what is there.
    Ok(is_done.then_some(new))
}

/// Accepts a proposal: it becomes the newest version, if what it is based on still is that.
pub async fn accept(
    context: &Context,
    actor: &Actor,
    name: &str,
    id: Uuid,
    why: Option<String>,
) -> Result<Changed, OperationError> {
    accept_and_tell(context, (actor, why), (name, id), &[]).await
}

/// Accepts a proposal without a person, as the settings say. That is told once, in each channel of notices.
pub async fn accept_by_itself(
    context: &Context,
    name: &str,
    id: Uuid,
) -> Result<Changed, OperationError> {
    let actor = Actor {
        token: ITSELF.to_owned(),
        ..Actor::default()
    };
    let channels = context.config.notice_channels();
    accept_and_tell(context, (&actor, None), (name, id), &channels).await
}

async fn accept_and_tell(
    context: &Context,
    (actor, why): (&Actor, Option<String>),
    (name, id): (&str, Uuid),
    channels: &[String],
) -> Result<Changed, OperationError> {
    if context.playbooks.of_settings(name).is_some() {
        let name = name.to_owned();
        return Err(Conflict::PlaybookInSettings { name }.into());
    }
    let tx = context.db.begin().await?;
    let proposal = find(&tx, name, id).await?;
    let newest = playbooks::newest_of(&tx, name).await?;
    let newest = newest.ok_or(OperationError::NotFound(Resource::Playbook))?;
    match proposal.state {
        ProposalState::Open => {}
        // Asked again.
        ProposalState::Accepted if newest.definition == proposal.definition => {
            return Ok(Changed {
                version: newest,
                changed: false,
            });
        }
        _ => return Err(decided(&proposal)),
    }
    if !newest.is_active() || newest.version.to_string() != proposal.base {
        drop(tx);
        return Err(came_first(context, name).await);
    }
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let why = why.unwrap_or_else(|| proposal.held().map(|held| said(&held)).unwrap_or_default());
    let next = Next {
        definition: proposal.definition.clone(),
        state: State::Active,
        origin: Origin::Proposal,
        restored_from: None,
    };
    let version = version_of(name, newest.version + 1, next, actor, why, now);
    let decision = Decision {
        state: ProposalState::Accepted,
        by: actor.name(),
        why: &version.why,
        version: Some(version.version),
        at: now,
    };
    if !proposals::decide(&tx, id, &decision).await?
        || !playbooks::add(&tx, &version, newest.version).await?
    {
        drop(tx);
        return Err(came_first(context, name).await);
    }
    let entry = AuditEntry {
        action: Action::AcceptProposal,
        target: name,
        detail: json!({"version": version.version, "proposal": id, "why": version.why}),
    };
    audit::record(&tx, actor, entry, now).await?;
    let subject = (id, version.version);
    let follow_up = FollowUp {
        messages: notices::write(&tx, Kind::Playbook, subject, channels, now).await?,
        ..FollowUp::default()
    };
    tx.commit().await?;
    context.playbooks.forget();
    follow_up.push(context).await;
    Ok(Changed {
        version,
        changed: true,
    })
}

/// Rejects a proposal: it is not made again before enough new verdicts. Returns whether this did it; it may have been
/// rejected before.
pub async fn reject(
    context: &Context,
    actor: &Actor,
    name: &str,
    id: Uuid,
    why: Option<String>,
) -> Result<bool, OperationError> {
    let tx = context.db.begin().await?;
    let proposal = find(&tx, name, id).await?;
    match proposal.state {
        ProposalState::Open => {}
        ProposalState::Rejected => return Ok(false),
        ProposalState::Accepted | ProposalState::Undone => return Err(decided(&proposal)),
    }
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let why = why.unwrap_or_default();
    let decision = Decision {
        state: ProposalState::Rejected,
        by: actor.name(),
        why: &why,
        version: None,
        at: now,
    };
    if !proposals::decide(&tx, id, &decision).await? {
        let proposal = find(&tx, name, id).await?;
        return Err(decided(&proposal));
    }
    let entry = AuditEntry {
        action: Action::RejectProposal,
        target: name,
        detail: json!({"proposal": id, "why": why}),
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    Ok(true)
}

async fn find(
    tx: &impl sea_orm::ConnectionTrait,
    name: &str,
    id: Uuid,
) -> Result<Proposal, OperationError> {
    let mut all = proposals::of(tx, name).await?.into_iter();
    let found = all.find(|one| one.id == id);
    found.ok_or(OperationError::NotFound(Resource::Proposal))
}

fn decided(proposal: &Proposal) -> OperationError {
    let by = proposal.decided_by.clone().unwrap_or_default();
    Conflict::ProposalDecided { by }.into()
}
