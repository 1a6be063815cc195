//! Notices: messages about no incident, whose text is fixed from what was written with them.

use std::time::Instant;

use sea_orm::DatabaseTransaction;
use tocsin::domain::budget::SendKind;
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use tocsin::domain::playbook::proposal::moves;
use tocsin::entity::notifications::Model;
use tocsin::jobs::JobError;
use tocsin::store::playbooks::proposals;
use tocsin::store::{maintenance, notifications, playbooks, reports};
use tocsin::time::Timestamp;

use super::claim::{Attempt, Claimed, Outgoing, give_up, is_free, is_wanted};
use super::context::NotifyContext;
use super::permit::SendPermit;
use crate::notifiers::notice::{Notice, PlaybookChange};
use crate::notifiers::{Notifier, SendSlot};

/// Makes a notice ours to send, in the claim's transaction. It takes a send slot as any message does, and joins no
/// digest.
pub(super) async fn claim<'a>(
    ctx: &'a NotifyContext,
    tx: DatabaseTransaction,
    row: &Model,
    (notifier, place): (&'a dyn Notifier, Option<SendSlot<'a>>),
    attempt: Attempt<'_>,
) -> Result<Option<Claimed<'a>>, JobError> {
    let is_limited = ctx.context.config.limits(&row.channel);
    if let Some(budget) = notifier.budget().filter(|_| is_limited) {
        let permit = SendPermit::lock(ctx, &tx, &row.channel, budget).await?;
        let channels = ctx.neighbours(&row.channel);
        let ahead = notifications::ahead(&tx, &channels, row, permit.now).await?;
        permit.take(&tx, SendKind::Message, ahead.waiting).await?;
    }
    let Some(row) = notifications::lock(&tx, row.id).await? else {
        return Ok(None);
    };
    if !is_wanted(&row, attempt.held) {
        return Ok(None);
    }
    let now = ctx.context.clock.of_store(maintenance::now(&tx).await?);
    is_free(&row, now)?;
    let body = match row.body.clone() {
        Some(body) => body,
        None => match render(ctx, &tx, &row, notifier).await? {
            Ok(body) => body,
            Err(why) => return give_up(tx, &row, why).await,
        },
    };
    let messages = ctx.context.config.messages();
    let post = Outgoing {
        is_silent: messages.is_digest_quiet(&row.channel, Level::None, now),
        is_repeated: row.attempts > 0,
        body,
        ..Outgoing::default()
    };
    notifications::claim(&tx, &row, attempt.token, post.body.clone(), now).await?;
    tx.commit().await?;
    Ok(Some(Claimed {
        row,
        notifier,
        post,
        claimed: (now, Instant::now()),
        _place: place,
    }))
}

/// The text; else why there is none.
async fn render(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    row: &Model,
    notifier: &dyn Notifier,
) -> Result<Result<String, String>, JobError> {
    let found = match row.kind {
        Kind::Playbook => playbook(tx, row).await?,
        _ => report(tx, row).await?,
    };
    let notice = match found {
        Ok(notice) => notice,
        Err(why) => return Ok(Err(why)),
    };
    let page = ctx.page(&match &notice {
        Notice::Report(report) => format!("/report?from={}&to={}", report.from, report.to),
        Notice::Playbook(change) => format!("/playbooks/{}", change.name),
    });
    let body = notifier.render_notice(&notice, page.as_deref());
    Ok(body.ok_or_else(|| "the channel takes incidents only".to_owned()))
}

async fn report(tx: &DatabaseTransaction, row: &Model) -> Result<Result<Notice, String>, JobError> {
    let Some(content) = reports::find(tx, Timestamp(row.sequence)).await? else {
        return Ok(Err("the report no longer exists".to_owned()));
    };
    let report = serde_json::from_str(&content).map(|report| Notice::Report(Box::new(report)));
    Ok(report.map_err(|error| format!("the report cannot be read: {error}")))
}

/// The change of a playbook: its versions stay, and so does what was accepted.
async fn playbook(
    tx: &DatabaseTransaction,
    row: &Model,
) -> Result<Result<Notice, String>, JobError> {
    let Some(proposal) = proposals::find(tx, row.incident_id).await? else {
        return Ok(Err("the playbook's change no longer exists".to_owned()));
    };
    let (name, version) = (&proposal.name, row.sequence);
    let before = playbooks::find(tx, name, version - 1).await?;
    let after = playbooks::find(tx, name, version).await?;
    let Some((before, after)) = before.zip(after) else {
        return Ok(Err("the playbook's version no longer exists".to_owned()));
    };
    let moves = moves(&before.playbook()?, &after.playbook()?);
    Ok(Ok(Notice::Playbook(PlaybookChange {
        version,
        replaces: before.version,
        at: after.created_at,
        moves,
        held: proposal.held()?,
        name: after.name,
    })))
}
