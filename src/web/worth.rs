//! Figures of actions, in the form in which API and pages show them.

use sea_orm::DbErr;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::QuietOf;
use crate::context::Context;
use crate::domain::effectiveness::Worth;
use crate::domain::repair_class::RepairClass;
use crate::domain::verdict::for_quiet;
use crate::entity::anomalies::Model as Anomaly;
use crate::store::repairs::baselines;
use crate::store::repairs::figures::{self, Scope};
use crate::text::{EN, Text, repairs};
use crate::time::{Timestamp, millis};

/// How often an anomaly stayed quiet with nothing done.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Baseline)]
pub(super) struct NothingDone {
    /// For how long it had to stay quiet, in milliseconds.
    pub(super) quiet_ms: i64,
    /// Episodes that ended without a repair, and after which it could be seen. Firings that overlap are one.
    pub(super) episodes: i64,
    /// Those after which it stayed quiet for as long.
    pub(super) held: i64,
    /// Their share, from 0 to 1; null where none is known.
    pub(super) share: Option<f64>,
}

/// What an action was worth.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ActionFigures)]
pub(super) struct ActionFigures {
    /// The action.
    pub(super) action: String,
    /// Its class (`repairs.actions`); null if none names it.
    pub(super) class: Option<RepairClass>,
    /// Repairs that finished.
    pub(super) attempts: i64,
    /// Those that were reported to have helped.
    pub(super) claimed: i64,
    /// Those after which the anomaly stayed quiet.
    pub(super) verified: i64,
    /// Those after which it fired again, or never stopped.
    pub(super) disproved: i64,
    /// Those that another repair followed before that could be seen.
    pub(super) superseded: i64,
    /// Those after which the anomaly could not have fired.
    pub(super) unknown: i64,
    /// Those that are not judged yet: there is only what was reported.
    pub(super) unjudged: i64,
    /// Those of them that were reported to have helped.
    pub(super) claimed_only: i64,
    /// Verified and disproved ones.
    pub(super) verdicts: i64,
    /// Verified ones, older ones weighed less (`effectiveness.half_life`).
    pub(super) weighed_verified: f64,
    /// Verified and disproved ones, weighed likewise.
    pub(super) weighed_verdicts: f64,
    /// The least share of them that is likely to hold, from 0 to 1: Wilson's lower bound of the weighed ones.
    pub(super) lower_bound: f64,
    /// Median of the times from repair to quiet, in milliseconds, to within a tenth.
    pub(super) median_quiet_ms: Option<i64>,
    /// Nine in ten were quiet after as long.
    pub(super) p90_quiet_ms: Option<i64>,
    /// The last repair with it.
    pub(super) last_at: Timestamp,
    /// Whether it does better than nothing: its lower bound is above the baseline's share. Null with fewer verdicts
    /// than `effectiveness.min_verdicts`, and if it held but there is no baseline to compare it with.
    pub(super) effective: Option<bool>,
    /// Whether there are enough verdicts to say something.
    #[serde(skip)]
    pub(super) is_judged: bool,
}

impl ActionFigures {
    /// The number of verdicts by weight, to a tenth, where that is another than their number.
    pub(super) fn weighed(&self) -> Option<String> {
        repairs::weighed(self.verdicts, self.weighed_verdicts)
    }
}

/// What actions were worth on something.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ActionTable)]
pub(super) struct Table {
    /// Of what: `anomaly`, `alert_name`, `service` or `all`.
    pub(super) scope: &'static str,
    /// Which of these: the key or the name.
    pub(super) subject: String,
    /// How often each action held, as people say it.
    summary: String,
    /// Every action, the surest first.
    pub(super) actions: Vec<ActionFigures>,
    /// The action `nothing`: what happens by itself.
    pub(super) nothing: NothingDone,
}

impl Table {
    /// How often each action held.
    pub(super) fn held(&self, text: &Text) -> String {
        let judged = self.actions.iter().filter(|action| action.verdicts > 0);
        repairs::held(
            text,
            judged.map(|a| (a.action.as_str(), a.verified, a.verdicts)),
        )
    }

    fn is_enough(&self, least: i64) -> bool {
        self.actions.iter().any(|action| action.verdicts >= least)
    }
}

/// What actions were worth on an anomaly; and on all of its alert name, if too little is known of it alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Effectiveness)]
pub(super) struct OfAnomaly {
    /// On this anomaly.
    #[serde(flatten)]
    pub(super) own: Table,
    /// On all anomalies with its alert name, where they stand in: no action has `min_verdicts` on this one. Else null.
    pub(super) stand_in: Option<Table>,
    /// Verdicts that an action needs before its effectiveness is shown.
    pub(super) min_verdicts: i64,
}

/// What actions were worth on an anomaly.
pub(super) async fn of_anomaly(
    context: &Context,
    anomaly: &Anomaly,
    now: Timestamp,
) -> Result<OfAnomaly, DbErr> {
    let min_verdicts = i64::from(context.config.effectiveness.min_verdicts);
    let names = QuietOf {
        alert_name: &anomaly.alert_name,
        service: &anomaly.service,
        namespace: &anomaly.namespace,
    };
    let own = table(context, (Scope::Anomaly, &anomaly.key), names, now).await?;
    let mut stand_in = None;
    if !own.is_enough(min_verdicts) {
        let wider = (Scope::AlertName, anomaly.alert_name.as_str());
        let wider = table(context, wider, names, now).await?;
        stand_in = Some(wider).filter(|wider| wider.is_enough(min_verdicts));
    }
    Ok(OfAnomaly {
        own,
        stand_in,
        min_verdicts,
    })
}

/// What actions were worth on something, by the figures that are kept.
pub(super) async fn table(
    context: &Context,
    (scope, subject): (Scope, &str),
    names: QuietOf<'_>,
    now: Timestamp,
) -> Result<Table, DbErr> {
    let db = context.db.view();
    let (kept, claimed, baselines) = tokio::try_join!(
        figures::of(db, scope, subject),
        figures::claimed_only(db, scope, subject),
        baselines::of(db, scope, subject),
    )?;
    let settings = &context.config.effectiveness;
    let least = i64::from(settings.min_verdicts);
    let nothing = |class| for_quiet(&baselines, millis(settings.quiet(names, class)));
    let figures = |(action, kept): (String, _)| {
        let class = context.config.repairs.actions.of(&action);
        let worth = Worth::of(&kept, settings.half_life.0, now);
        let (_, baseline) = nothing(class);
        let effective = worth.is_effective(baseline, least);
        let is_judged = worth.is_judged(least);
        let claimed_only = claimed.get(&action).copied().unwrap_or_default();
        let figures = figures_of(action, class, &worth, (effective, is_judged));
        ActionFigures {
            // A verdict may come between the two reads.
            claimed_only: claimed_only.min(figures.unjudged),
            ..figures
        }
    };
    let mut actions: Vec<ActionFigures> = kept.into_iter().map(figures).collect();
    actions.sort_by(|a, b| {
        let by_bound = b.lower_bound.total_cmp(&a.lower_bound);
        by_bound
            .then(b.verdicts.cmp(&a.verdicts))
            .then(b.attempts.cmp(&a.attempts))
    });
    let (quiet_ms, baseline) = nothing(None);
    let mut table = Table {
        scope: scope.name(),
        subject: subject.to_owned(),
        summary: String::new(),
        actions,
        nothing: NothingDone {
            quiet_ms,
            episodes: baseline.episodes,
            held: baseline.held,
            share: (baseline.episodes > 0).then(|| rounded(baseline.share())),
        },
    };
    table.summary = table.held(&EN);
    Ok(table)
}

fn figures_of(
    action: String,
    class: Option<RepairClass>,
    worth: &Worth,
    (effective, is_judged): (Option<bool>, bool),
) -> ActionFigures {
    let counted = worth.counted;
    ActionFigures {
        action,
        class,
        attempts: counted.attempts,
        claimed: counted.claimed,
        verified: counted.verified,
        disproved: counted.disproved,
        superseded: counted.superseded,
        unknown: counted.unknown,
        unjudged: counted.unjudged(),
        claimed_only: 0,
        verdicts: counted.verdicts(),
        weighed_verified: rounded(worth.weighed_verified),
        weighed_verdicts: rounded(worth.weighed_verdicts),
        lower_bound: rounded(worth.lower_bound),
        median_quiet_ms: worth.median_ms,
        p90_quiet_ms: worth.p90_ms,
        last_at: worth.last_at,
        effective,
        is_judged,
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
