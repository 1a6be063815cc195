//! Silences in Alertmanager for mutes: made while an anomaly is muted, changed with the mute, expired when it ends. Nobody
//! who mutes waits for Alertmanager. A row is written before anything is asked, and what holds is looked up by its mark: a
//! pass that dies anywhere, or whose answers are lost, leaves nothing behind that the next one does not find.

use std::collections::{BTreeMap, HashSet};

use sea_orm::DbErr;
use tocsin::alertmanager::{Alertmanager, ApiError, NewSilence, OwnSilence, SOURCE};
use tocsin::context::Context;
use tocsin::domain::labels::Labels;
use tocsin::domain::mute_silence::matchers;
use tocsin::domain::signature::hex;
use tocsin::jobs::JobError;
use tocsin::store::made_silences::{self, MadeSilence, Muted};
use tocsin::store::maintenance;
use tocsin::store::secrets::{self, SILENCES};
use tocsin::time::Timestamp;

/// Mutes that have silences, at most: those that end first.
const MOST: u64 = 1000;
/// Bytes of what tells this installation from others in a mark.
const OWN: usize = 4;

/// One pass.
struct Pass<'a> {
    context: &'a Context,
    alertmanager: &'a Alertmanager,
    /// What holds there.
    live: Vec<OwnSilence>,
    /// What this installation is called in marks.
    installation: String,
    now: Timestamp,
}

/// Why a silence was not made, changed or expired.
enum Failed {
    Asked(ApiError),
    Store(DbErr),
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self::Asked(error)
    }
}

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        Self::Store(error)
    }
}

/// Expires, makes and changes silences, and returns how many. One that Alertmanager refuses is tried again in the next
/// pass, and keeps no other waiting; an Alertmanager that does not respond is asked again in the next pass.
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
    let made = made_silences::all(db).await?.into_iter();
    let made: BTreeMap<String, MadeSilence> =
        made.map(|made| (made.anomaly_key.clone(), made)).collect();
    if muted.is_empty() && made.is_empty() {
        return Ok(0);
    }
    let live = match alertmanager.own_silences().await {
        Ok(live) => live,
        Err(error) => {
            note(context, &error);
            return Ok(0);
        }
    };
    let own = secrets::find_or_make(context.db.write(), SILENCES, rand::random()).await?;
    let pass = Pass {
        context,
        alertmanager,
        live,
        installation: hex(&own[..OWN]),
        now,
    };
    let mut done = 0;
    let keys: HashSet<&str> = muted.iter().map(|muted| &*muted.key).collect();
    for over in made
        .values()
        .filter(|made| !keys.contains(&*made.anomaly_key))
    {
        if !pass.goes_on(pass.expire(over).await, &mut done)? {
            return Ok(done);
        }
    }
    for muted in &muted {
        let silenced = pass.silence(muted, made.get(&muted.key)).await;
        if !pass.goes_on(silenced, &mut done)? {
            return Ok(done);
        }
    }
    Ok(done)
}

impl Pass<'_> {
    /// Whether the next one can be tried; counts what was done.
    fn goes_on(&self, outcome: Result<bool, Failed>, done: &mut u64) -> Result<bool, JobError> {
        match outcome {
            Ok(changed) => *done += u64::from(changed),
            Err(Failed::Store(error)) => return Err(error.into()),
            Err(Failed::Asked(error)) => {
                note(self.context, &error);
                return Ok(!matches!(error, ApiError::Unreachable(_)));
            }
        }
        Ok(true)
    }

    /// Expires all that holds for a mute that is over.
    async fn expire(&self, over: &MadeSilence) -> Result<bool, Failed> {
        let mark = self.mark(&over.anomaly_key);
        for silence in &self.live {
            if silence.id == over.silence_id || silence.is_marked(&mark) {
                self.alertmanager.expire(&silence.id).await?;
            }
        }
        made_silences::forget(self.context.db.write(), &over.anomaly_key).await?;
        Ok(true)
    }

    /// Has exactly one silence hold for a mute, for as long as that lasts. Returns whether that was to be done.
    async fn silence(&self, muted: &Muted, made: Option<&MadeSilence>) -> Result<bool, Failed> {
        let config = &self.context.config;
        if !config.counting.families.are_one(&muted.source, SOURCE) {
            return Ok(false);
        }
        let mark = self.mark(&muted.key);
        let live = self.live.iter().filter(|silence| silence.is_marked(&mark));
        let live: Vec<&str> = live.map(|silence| &*silence.id).collect();
        let made = made.filter(|made| live.contains(&&*made.silence_id));
        let holds = made.filter(|made| made.ends_at == muted.until);
        if holds.is_some() && live.len() == 1 {
            return Ok(false);
        }
        let kept = match (holds, made) {
            (Some(holds), _) => Some(&*holds.silence_id),
            (None, Some(made)) => Some(&*made.silence_id),
            (None, None) => live.first().copied(),
        };
        if holds.is_none() && !self.post(muted, kept, &mark).await? {
            return Ok(false);
        }
        for other in live.into_iter().filter(|id| Some(*id) != kept) {
            self.alertmanager.expire(other).await?;
        }
        Ok(true)
    }

    /// Makes the silence of a mute, or changes this one; false if none can be made.
    async fn post(&self, muted: &Muted, id: Option<&str>, mark: &str) -> Result<bool, Failed> {
        let labels: Labels = serde_json::from_value(muted.labels.clone()).unwrap_or_default();
        let (made_of, settings) = (muted.made_of.as_ref(), &self.context.config.signature);
        let Some(matchers) = matchers(&muted.signature, made_of, &labels, settings) else {
            tracing::debug!(
                anomaly.key = muted.key,
                "no silence for a mute: no labels are the anomaly's alone"
            );
            return Ok(false);
        };
        let by = muted.by.as_deref().unwrap_or("an operator");
        let why = match &muted.why {
            Some(why) => format!("Muted in Tocsin by {by}: {why}"),
            None => format!("Muted in Tocsin by {by}"),
        };
        let mut made = MadeSilence {
            anomaly_key: muted.key.clone(),
            silence_id: id.unwrap_or_default().to_owned(),
            ends_at: Timestamp(0),
        };
        made_silences::keep(self.context.db.write(), &made).await?;
        let new = NewSilence {
            id,
            matchers: &matchers,
            starts_at: self.now,
            ends_at: muted.until,
            mark,
            why: &why,
        };
        made.silence_id = self.alertmanager.silence(&new).await?;
        made.ends_at = muted.until;
        made_silences::keep(self.context.db.write(), &made).await?;
        Ok(true)
    }

    /// What the silence of an anomaly is found again by.
    fn mark(&self, key: &str) -> String {
        format!("anomaly {key}, Tocsin {}", self.installation)
    }
}

fn note(context: &Context, error: &ApiError) {
    context.metrics.alertmanager_errors.inc();
    tracing::warn!("cannot make or expire silences for mutes; the next pass tries again: {error}");
}
