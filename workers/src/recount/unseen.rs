//! Unheard and unseen: firings that their source no longer sends are marked as stale, and closed when that lasts. Each
//! step is a transaction of its own under the locks of at most a hundred incidents' anomalies, and may run
//! twice or be cut short without harm. No notification is sent: cards and pages show it.

use std::collections::HashSet;
use std::time::Duration;

use tocsin::alertmanager;
use tocsin::context::Context;
use tocsin::domain::unheard::SourceAnswer;
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::store::unseen::{self, ExpiryResult, Quiet, StaleFiring};
use tocsin::store::{incidents, maintenance, outbox};
use tocsin::time::Timestamp;
use uuid::Uuid;

/// Incidents that are looked at together.
const TOGETHER: u64 = 100;
/// Episodes that are closed in one transaction.
const EPISODES: u64 = 1000;
/// Rows are pruned as late as that after what is closed before.
const DAY: Duration = Duration::from_secs(86_400);

/// Looks at every incident with firings that were not delivered for `counting.unheard`.
///
/// # Errors
/// The store cannot be reached now.
pub async fn close_unseen(context: &Context) -> Result<(), JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let edge = now.before(context.config.counting.unheard.0);
    let mut senders = Senders::new(context);
    let mut after = Uuid::nil();
    loop {
        let found = unseen::quiet(db, after, edge, TOGETHER).await?;
        let Some(last) = found.last() else {
            return Ok(());
        };
        after = last.id;
        let more = found.len() as u64 == TOGETHER;
        close(context, &mut senders, &found, now).await?;
        if !more {
            return Ok(());
        }
    }
}

/// Closes what is over of these incidents, and marks what is unheard.
async fn close(
    context: &Context,
    senders: &mut Senders<'_>,
    found: &[Quiet],
    now: Timestamp,
) -> Result<(), JobError> {
    let counting = &context.config.counting;
    let edge = now.before(counting.unseen.0);
    let old: Vec<Uuid> = found
        .iter()
        .filter(|quiet| quiet.oldest <= edge)
        .map(|quiet| quiet.id)
        .collect();
    let mut after = Uuid::nil();
    let mut is_marked = found.iter().all(|quiet| is_right(quiet, context, now));
    loop {
        let silent = match old.is_empty() {
            true => Vec::new(),
            false => {
                let (db, old) = (context.db.read(), old.iter().copied());
                unseen::silent(db, old, after, edge, EPISODES).await?
            }
        };
        let more = silent.len() as u64 == EPISODES;
        if let Some(last) = silent.last() {
            after = last.id;
        }
        let over = senders.over(silent, now).await;
        if !over.is_empty() || !is_marked {
            write(context, found, &over, now).await?;
            is_marked = true;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Whether an incident says already what there is to say.
fn is_right(quiet: &Quiet, context: &Context, now: Timestamp) -> bool {
    let limits = context.config.counting.stale_limits("");
    let is_unheard = !quiet.is_resolved && limits.is_unheard(quiet.newest, now);
    quiet.unheard_since == is_unheard.then_some(quiet.newest)
}

async fn write(
    context: &Context,
    found: &[Quiet],
    over: &[StaleFiring],
    now: Timestamp,
) -> Result<(), JobError> {
    let config = &context.config;
    let tx = context.db.begin().await?;
    unseen::lock(&tx, found).await?;
    let (edge, resolves) = (
        now.before(config.counting.unheard.0),
        config.aggregation.auto_resolve,
    );
    let written = unseen::close(&tx, found, over, edge, resolves, now).await?;
    let ExpiryResult {
        closed,
        changed,
        resolved,
    } = &written;
    let follow_up = FollowUp {
        edits: outbox::mark_edits(&tx, &config.messages(), changed, now).await?,
        tiers: incidents::mark_due(&tx, resolved, now).await?,
        ..FollowUp::default()
    };
    tx.commit().await?;
    if *closed > 0 {
        let incidents = resolved.len();
        tracing::info!(
            closed,
            incidents,
            "closed expired firings, which their source no longer sends"
        );
    }
    let pushed = follow_up.try_push(context, Cause::Single, Traces::None);
    Ok(pushed.await?)
}

/// Who can be asked, and what they said: each at most once in a pass.
struct Senders<'a> {
    context: &'a Context,
    alertmanager: Option<Answer>,
}

enum Answer {
    /// These are the alerts that it has.
    Has(HashSet<String>),
    /// It did not answer.
    Nothing,
}

impl<'a> Senders<'a> {
    const fn new(context: &'a Context) -> Self {
        Self {
            context,
            alertmanager: None,
        }
    }

    /// Those of the episodes that are to be closed.
    async fn over(&mut self, silent: Vec<StaleFiring>, now: Timestamp) -> Vec<StaleFiring> {
        let config = &self.context.config;
        let longest = config.retention.occurrences.0.saturating_sub(DAY);
        let mut over = Vec::with_capacity(silent.len());
        for episode in silent {
            let limits = config.counting.stale_limits(&episode.source);
            let said = self.said(&episode).await;
            if limits.is_over(episode.last_seen_at, now, said, longest) {
                over.push(episode);
            }
        }
        over
    }

    async fn said(&mut self, episode: &StaleFiring) -> SourceAnswer {
        let Some(alertmanager) = &self.context.alertmanager else {
            return SourceAnswer::Nothing;
        };
        if !alertmanager::sends(&episode.source) {
            return SourceAnswer::Nothing;
        }
        if self.alertmanager.is_none() {
            let answer = match alertmanager.fingerprints().await {
                Ok(fingerprints) => Answer::Has(fingerprints),
                Err(error) => {
                    self.context.metrics.alertmanager_errors.inc();
                    tracing::warn!(
                        "cannot ask Alertmanager whether it still has stale alerts; they expire after twice counting.unseen: {error}"
                    );
                    Answer::Nothing
                }
            };
            self.alertmanager = Some(answer);
        }
        match &self.alertmanager {
            Some(Answer::Has(alerts)) if alerts.contains(&episode.fingerprint) => {
                SourceAnswer::Fires
            }
            Some(Answer::Has(_)) => SourceAnswer::Gone,
            Some(Answer::Nothing) | None => SourceAnswer::Unknown,
        }
    }
}
