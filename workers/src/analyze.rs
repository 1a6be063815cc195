//! Analyze: works out what is known of an incident's past, and opens the incident with it. What was found out is
//! written in one transaction, and only as long as it is due: a job that runs twice, or two at once, write it
//! once. Until then the incident is `ANALYZING`; one that waits for too long recount opens without.

mod model;

use std::sync::Arc;

use apalis::prelude::Data;
use tocsin::context::Context;
use tocsin::domain::analysis::{Analysis, findings};
use tocsin::jobs::{Analyze, JobError};
use tocsin::outbox::FollowUp;
use tocsin::queue::consumer::JobHandle;
use tocsin::store::analysis::DueAnalysis;
use tocsin::store::views::lists;
use tocsin::store::{analysis, anomalies, maintenance, outbox};
use tocsin::telemetry::metrics::ByAnalysis;
use tocsin::text::analysis::sentences;

pub use model::{Model, ModelError};

/// What incidents are analyzed with.
#[derive(Clone)]
pub struct Analyst {
    context: Context,
    model: Option<Arc<Model>>,
}

impl Analyst {
    /// With the language model that the settings name, if they do and it can be used.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        let model = match Model::of(&context.config) {
            Ok(model) => model,
            Err(error) => {
                // The settings were checked at the start; the file may be gone since.
                tracing::error!("analyses are made without the language model: {error}");
                None
            }
        };
        Self {
            context: context.clone(),
            model: model.map(Arc::new),
        }
    }

    fn count(&self, outcome: &'static str) {
        let analyses = &self.context.metrics.analyses;
        analyses.get_or_create(&ByAnalysis { outcome }).inc();
    }
}

/// One incident.
///
/// # Errors
/// The store cannot be reached now.
pub async fn handle(
    job: Analyze,
    _held: Data<Arc<JobHandle>>,
    analyst: Data<Analyst>,
) -> Result<(), JobError> {
    let (context, db) = (&analyst.context, analyst.context.db.read());
    let Some((incident, anomaly)) = lists::incident(db, job.incident).await? else {
        return Ok(());
    };
    let Some(since) = incident.analyze_due_since else {
        return Ok(());
    };
    let history = analysis::history(db, &incident, &anomaly).await?;
    let mut made = Analysis {
        at: context.clock.of_store(maintenance::now(db).await?),
        findings: findings(&history),
        generated: None,
        not_generated: None,
    };
    let mut outcome = "built_in";
    if let Some(model) = &analyst.model {
        let facts = sentences(context.config.language.text(), &made);
        match model.ask(context, &incident, &facts).await {
            Ok(generated) => {
                made.generated = Some(generated);
                outcome = "generated";
            }
            Err(ModelError { why, detail }) => {
                tracing::warn!(
                    incident.id = %incident.id,
                    reason = why.name(),
                    "the language model contributed nothing to an analysis: {detail}"
                );
                made.not_generated = Some(why);
                outcome = why.name();
            }
        }
    }
    let due = DueAnalysis {
        incident: incident.id,
        since,
    };
    // Cards that say nothing of it are not edited: of ten thousand new anomalies there is nothing to say.
    let before = incident.analysis.as_ref();
    let is_shown = made.is_on_cards() || before.is_some_and(Analysis::is_on_cards);
    if write(context, &incident.anomaly_key, (due, is_shown), &made).await? {
        analyst.count(outcome);
    }
    Ok(())
}

/// Writes what was found out, under the anomaly's lock, and has the incident's cards show it, if they show
/// anything of it. Returns whether it was due still.
async fn write(
    context: &Context,
    key: &str,
    (due, is_shown): (DueAnalysis, bool),
    made: &Analysis,
) -> Result<bool, JobError> {
    let tx = context.db.begin().await?;
    let Some((_, now)) = anomalies::lock(&tx, key).await? else {
        return Ok(false);
    };
    let now = context.clock.of_store(now);
    if !analysis::write(&tx, due, made).await? {
        return Ok(false);
    }
    let policy = context.config.messages();
    let changed = [due.incident];
    let changed = if is_shown { &changed[..] } else { &[] };
    let follow_up = FollowUp {
        edits: outbox::mark_edits(&tx, &policy, changed, now).await?,
        ..FollowUp::default()
    };
    tx.commit().await?;
    follow_up.push(context).await;
    Ok(true)
}
