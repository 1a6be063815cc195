//! Stale and expired firings: a firing that its source no longer sends is marked stale, and closed when that lasts. Each
//! step is a transaction of its own under the locks of at most a hundred incidents' anomalies, and may run
//! twice or be cut short without harm. No notification is sent: cards and pages show it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tocsin::alertmanager;
use tocsin::context::Context;
use tocsin::domain::stale::SourceAnswer;
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::store::source_tallies::{self, Tally};
use tocsin::store::stale::{self, Among, ExpiryResult, Limits, Quiet, StaleFiring};
use tocsin::store::{incidents, maintenance, outbox};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::reconcile::prometheus;

/// Incidents in one batch.
const TOGETHER: u64 = 100;
/// Firings that are closed in one transaction.
const EPISODES: u64 = 1000;
/// Pruning waits this long, so that expired firings are closed first.
const DAY: Duration = Duration::from_secs(86_400);

/// Checks every incident with firings that were not received for `counting.unheard`, or for
/// `counting.unheard_leases` leases. Returns how many there are.
///
/// # Errors
/// The store cannot be reached now.
pub async fn expire_stale(context: &Context) -> Result<u64, JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let limits = Limits {
        patience: context.config.counting.stale_limits(),
        now,
    };
    let mut senders = Senders::new(context);
    let mut looked_at = 0;
    for among in [Among::Old, Among::Leased] {
        let mut after = Uuid::nil();
        loop {
            let found = stale::quiet(db, among, after, &limits, TOGETHER).await?;
            let Some(last) = found.last() else {
                break;
            };
            after = last.id;
            looked_at += found.len() as u64;
            let more = found.len() as u64 == TOGETHER;
            close(context, &mut senders, &found, &limits).await?;
            if !more {
                break;
            }
        }
    }
    Ok(looked_at)
}

/// Closes expired firings of these incidents, and marks stale ones.
async fn close(
    context: &Context,
    senders: &mut Senders<'_>,
    found: &[Quiet],
    limits: &Limits,
) -> Result<(), JobError> {
    let old: Vec<Uuid> = found
        .iter()
        .filter(|quiet| quiet.has_unseen)
        .map(|quiet| quiet.id)
        .collect();
    let mut after = Uuid::nil();
    let mut is_marked = found.iter().all(is_right);
    loop {
        let silent = match old.is_empty() {
            true => Vec::new(),
            false => {
                let (db, old) = (context.db.read(), old.iter().copied());
                stale::silent(db, old, after, limits, EPISODES).await?
            }
        };
        let more = silent.len() as u64 == EPISODES;
        if let Some(last) = silent.last() {
            after = last.id;
        }
        let over = senders.over(silent, limits).await;
        if !over.is_empty() || !is_marked {
            write(context, found, &over, limits).await?;
            is_marked = true;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Whether the incident's stored figures are up to date.
fn is_right(quiet: &Quiet) -> bool {
    let is_unheard = !quiet.is_resolved && quiet.is_unheard;
    quiet.unheard_since == is_unheard.then_some(quiet.newest)
}

async fn write(
    context: &Context,
    found: &[Quiet],
    over: &[StaleFiring],
    limits: &Limits,
) -> Result<(), JobError> {
    let config = &context.config;
    let tx = context.db.begin().await?;
    stale::lock(&tx, found.iter().map(|quiet| &quiet.anomaly_key)).await?;
    let (resolves, now) = (config.aggregation.auto_resolve, limits.now);
    let written = stale::close(&tx, found, over, limits, resolves).await?;
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
    if *closed > 0 {
        source_tallies::add(&tx, &tallies(over, limits)).await?;
    }
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

/// How many firings of each source expired: one that was received meanwhile is among them.
fn tallies(over: &[StaleFiring], limits: &Limits) -> Vec<Tally> {
    let mut expired: BTreeMap<&str, i64> = BTreeMap::new();
    for firing in over {
        let source = &*firing.source;
        let kind = source.split_once('@').map_or(source, |(kind, _)| kind);
        *expired.entry(kind).or_default() += 1;
    }
    let tallies = expired.into_iter().map(|(source, expired)| Tally {
        source: source.to_owned(),
        hour: source_tallies::hour(limits.now),
        expired,
        ..Tally::default()
    });
    tallies.collect()
}

/// Asks Alertmanager and Prometheus, once per pass, which alerts still fire.
struct Senders<'a> {
    context: &'a Context,
    alertmanager: Option<Answer>,
    /// By cluster; none if no server of it is to be asked.
    prometheus: HashMap<Option<String>, Option<Answer>>,
}

enum Answer {
    /// The alerts that it has.
    Has(HashSet<String>),
    /// It did not answer.
    Nothing,
}

impl Answer {
    fn about(&self, episode: &StaleFiring) -> SourceAnswer {
        match self {
            Self::Has(alerts) if alerts.contains(&episode.fingerprint) => SourceAnswer::Fires,
            Self::Has(_) => SourceAnswer::Gone,
            Self::Nothing => SourceAnswer::Unknown,
        }
    }
}

impl<'a> Senders<'a> {
    fn new(context: &'a Context) -> Self {
        Self {
            context,
            alertmanager: None,
            prometheus: HashMap::new(),
        }
    }

    /// The firings to close.
    async fn over(&mut self, silent: Vec<StaleFiring>, limits: &Limits) -> Vec<StaleFiring> {
        let config = &self.context.config;
        let longest = config.retention.occurrences.0.saturating_sub(DAY);
        let mut over = Vec::with_capacity(silent.len());
        for episode in silent {
            let said = self.said(&episode, limits.now).await;
            let patience = &limits.patience;
            if patience.is_over(&episode.heard, limits.now, said, longest) {
                over.push(episode);
            }
        }
        over
    }

    /// What those say that may have it. One that has it is right, whatever the other says.
    async fn said(&mut self, episode: &StaleFiring, now: Timestamp) -> SourceAnswer {
        let by_alertmanager = self.alertmanager_said(episode).await;
        if by_alertmanager == SourceAnswer::Fires {
            return by_alertmanager;
        }
        match (by_alertmanager, self.prometheus_said(episode, now).await) {
            (one, SourceAnswer::Nothing) => one,
            (SourceAnswer::Gone, SourceAnswer::Unknown) => SourceAnswer::Gone,
            (_, other) => other,
        }
    }

    async fn prometheus_said(&mut self, episode: &StaleFiring, now: Timestamp) -> SourceAnswer {
        let (way, cluster) = match episode.source.split_once('@') {
            Some((way, cluster)) => (way, Some(cluster)),
            None => (&*episode.source, None),
        };
        if self.context.prometheus.is_empty() || !prometheus::WAYS.contains(&way) {
            return SourceAnswer::Nothing;
        }
        let cluster = cluster.map(str::to_owned);
        let answer = match self.prometheus.entry(cluster.clone()) {
            Entry::Occupied(answer) => answer.into_mut(),
            Entry::Vacant(place) => {
                let fires = prometheus::fires(self.context, cluster.as_deref(), now).await;
                place.insert(fires.map(|fires| fires.map_or(Answer::Nothing, Answer::Has)))
            }
        };
        answer
            .as_ref()
            .map_or(SourceAnswer::Nothing, |answer| answer.about(episode))
    }

    async fn alertmanager_said(&mut self, episode: &StaleFiring) -> SourceAnswer {
        let Some(alertmanager) = &self.context.alertmanager else {
            return SourceAnswer::Nothing;
        };
        let families = &self.context.config.counting.families;
        if !families.are_one(&episode.source, alertmanager::SOURCE) {
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
        let answer = self.alertmanager.as_ref();
        answer.map_or(SourceAnswer::Unknown, |answer| answer.about(episode))
    }
}
