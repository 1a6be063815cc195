//! Silences in Alertmanager for mutes: made while an anomaly is muted, changed with the mute, expired when it ends. Nobody
//! who mutes waits for Alertmanager. A pass may die between the request and the row of it: a silence is found again by its
//! mark, so that there is one for each mute.

use std::collections::HashMap;

use tocsin::alertmanager::{Alertmanager, ApiError, NewSilence, SOURCE};
use tocsin::context::Context;
use tocsin::domain::labels::Labels;
use tocsin::domain::mute_silence::matchers;
use tocsin::jobs::JobError;
use tocsin::store::made_silences::{self, MadeSilence, Muted};
use tocsin::store::maintenance;
use tocsin::time::Timestamp;

/// Mutes that have silences, at most: those that end first.
const MOST: u64 = 1000;

/// Makes, changes and expires silences, and returns how many. An Alertmanager that does not answer is asked again in the
/// next pass.
///
/// # Errors
/// The store cannot be reached now.
pub async fn silence_mutes(context: &Context) -> Result<u64, JobError> {
    let Some(alertmanager) = &context.alertmanager else {
        return Ok(0);
    };
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let muted = match context.config.silences.create {
        true => made_silences::muted(db, now, MOST).await?,
        false => Vec::new(),
    };
    let mut made: HashMap<String, MadeSilence> = made_silences::all(db)
        .await?
        .into_iter()
        .map(|made| (made.anomaly_key.clone(), made))
        .collect();
    let mut done = 0;
    for muted in &muted {
        let kept = made.remove(&muted.key);
        if kept
            .as_ref()
            .is_some_and(|kept| kept.ends_at == muted.until)
        {
            continue;
        }
        match silence(context, alertmanager, muted, kept.as_ref(), now).await? {
            Ok(changed) => done += u64::from(changed),
            Err(error) => return Ok(failed(context, &error, done)),
        }
    }
    for (key, over) in made {
        if let Err(error) = alertmanager.expire(&over.silence_id).await {
            return Ok(failed(context, &error, done));
        }
        made_silences::forget(context.db.write(), &key).await?;
        done += 1;
    }
    Ok(done)
}

/// Whether a silence was made or changed for this mute.
async fn silence(
    context: &Context,
    alertmanager: &Alertmanager,
    muted: &Muted,
    kept: Option<&MadeSilence>,
    now: Timestamp,
) -> Result<Result<bool, ApiError>, JobError> {
    if !context
        .config
        .counting
        .families
        .are_one(&muted.source, SOURCE)
    {
        return Ok(Ok(false));
    }
    let labels: Labels = serde_json::from_value(muted.labels.clone()).unwrap_or_default();
    let Some(matchers) = matchers(&muted.signature, &labels, &context.config.signature) else {
        tracing::debug!(
            anomaly.key = muted.key,
            "no silence for a mute: no labels are the anomaly's alone"
        );
        return Ok(Ok(false));
    };
    let mark = format!("anomaly {}", muted.key);
    let by = muted.by.as_deref().unwrap_or("an operator");
    let why = match &muted.why {
        Some(why) => format!("Muted in Tocsin by {by}: {why}"),
        None => format!("Muted in Tocsin by {by}"),
    };
    let found = match kept {
        Some(kept) => Ok(Some(kept.silence_id.clone())),
        None => alertmanager.silence_marked(&mark).await,
    };
    let id = match found {
        Ok(id) => id,
        Err(error) => return Ok(Err(error)),
    };
    let new = NewSilence {
        id: id.as_deref(),
        matchers: &matchers,
        starts_at: now,
        ends_at: muted.until,
        mark: &mark,
        why: &why,
    };
    let silence_id = match alertmanager.silence(&new).await {
        Ok(id) => id,
        Err(error) => return Ok(Err(error)),
    };
    let made = MadeSilence {
        anomaly_key: muted.key.clone(),
        silence_id,
        ends_at: muted.until,
    };
    made_silences::keep(context.db.write(), &made).await?;
    Ok(Ok(true))
}

fn failed(context: &Context, error: &ApiError, done: u64) -> u64 {
    context.metrics.alertmanager_errors.inc();
    tracing::warn!("cannot make or expire silences for mutes; the next pass tries again: {error}");
    done
}
