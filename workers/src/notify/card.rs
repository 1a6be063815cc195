//! The data that messages are rendered from.

use sea_orm::{DatabaseTransaction, DbErr};
use tocsin::domain::notification::Kind;
use tocsin::entity::notifications::Model;
use tocsin::executions::runnable;
use tocsin::recommendations::of_incident;
use tocsin::store::{anomalies, cards, incidents};
use tocsin::time::Timestamp;

use super::context::NotifyContext;
use crate::notifiers::{Card, Muted};

/// Adds the recommended action, and whether a button can have it run. It is read only for what is rendered.
pub(crate) async fn recommend(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    card: &mut Card,
    now: Timestamp,
) -> Result<(), DbErr> {
    let of = (&card.incident, &card.anomaly);
    let found = of_incident(&ctx.context, tx, of, now).await?;
    let config = &ctx.context.config;
    if config.has_buttons() && !config.repairs.hooks.is_empty() {
        card.run = runnable(&ctx.context, tx, of, found.as_ref()).await?;
    }
    card.recommendation = found;
    Ok(())
}

/// The data that a message is rendered from, with the anomaly locked: of the incident that it is about, or of the one
/// that it goes on with.
pub(crate) async fn card(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    row: &Model,
) -> Result<Option<Card>, DbErr> {
    let id = row.shows_id.unwrap_or(row.incident_id);
    let Some((anomaly, now)) = anomalies::lock_shared_of(tx, id).await? else {
        return Ok(None);
    };
    let anomaly = anomaly.as_of(ctx.context.clock.of_store(now));
    // Read under the anomaly's lock, which protects the incident, too.
    let Some(incident) = incidents::find(tx, id).await? else {
        return Ok(None);
    };
    let again = match row.shows_id {
        Some(_) => Some(cards::figures(tx, &incident).await?),
        None => None,
    };
    Ok(Some(Card {
        recommendation: None,
        run: None,
        kind: match again {
            Some(_) => Kind::Opened,
            None => row.kind,
        },
        again,
        page: ctx.page(&format!("/incidents/{}", incident.id)),
        incident,
        at: row.owed_since,
        muted: anomaly.muted_until.map(|until| Muted {
            until,
            by: anomaly.muted_by.clone(),
        }),
        anomaly,
    }))
}
