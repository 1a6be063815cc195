//! Recommended actions: loads an incident's playbook and the figures of its actions, and decides.
//!
//! | what | how |
//! |---|---|
//! | it is never out of date | nothing is stored: it is worked out whenever it is shown |
//! | it costs little | the playbooks are at hand ([`crate::playbooks`]); three indexed reads of what is known, however many repairs there are |
//! | the way of an alert waits for none of it | the tier worker does not ask; messages do, once each |

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr};

use crate::config::QuietOf;
use crate::context::Context;
use crate::domain::aggregation::Status;
use crate::domain::playbook::{Playbook, PlaybookKey, closest};
use crate::domain::reason::{LevelReason, TierReason, TierRule};
use crate::domain::recommendation::{
    DAY, FailedFix, Recommendation, RecommendationInputs, actions, recommend,
};
use crate::domain::repair_class::RepairClass;
use crate::domain::tier::Tier;
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::incidents::Model as Incident;
use crate::store::levels;
use crate::store::repairs::{breakers, known};
use crate::time::{Timestamp, millis};

/// What is recommended for an incident; none if it is resolved, or its tier is not calculated yet.
pub async fn of_incident(
    context: &Context,
    db: &impl ConnectionTrait,
    (incident, anomaly): (&Incident, &Anomaly),
    now: Timestamp,
) -> Result<Option<Recommendation>, DbErr> {
    let tier = incident.tier.and_then(Tier::from_number);
    let Some(tier) = tier.filter(|_| incident.status != Status::Resolved) else {
        return Ok(None);
    };
    let config = &context.config;
    let playbooks = context.playbooks.current(db).await?;
    let known = known::of(db, &anomaly.key, &anomaly.alert_name, now.before(DAY)).await?;
    let mut inputs = RecommendationInputs {
        tier,
        playbook: playbook_of(&playbooks, anomaly),
        classes: &config.repairs.actions,
        own: &known.own,
        wider: &known.wider,
        disproved: &known.disproved,
        stopped: BTreeMap::new(),
        quiet_ms: &quiets(context, anomaly),
        min_verdicts: i64::from(config.effectiveness.min_verdicts),
        half_life: config.effectiveness.half_life.0,
        now,
    };
    inputs.stopped = breakers::stopped(db, actions(&inputs), config.repairs.breaker).await?;
    let mut found = recommend(&inputs);
    let rule = incident.tier_reason.as_ref().and_then(TierReason::rule);
    found.why.tier = rule.copied();
    match rule {
        Some(TierRule::Level { .. }) => {
            let reason = anomaly.reason.as_ref();
            found.why.level = reason.and_then(LevelReason::rule).copied();
        }
        Some(TierRule::FixFailed) => found.why.fix = failed_fix(db, anomaly).await?,
        _ => {}
    }
    Ok(Some(found))
}

/// The playbook for an anomaly.
fn playbook_of<'a>(all: &'a [Playbook], anomaly: &Anomaly) -> Option<&'a Playbook> {
    let of = PlaybookKey {
        alert_name: &anomaly.alert_name,
        service: &anomaly.service,
        namespace: &anomaly.namespace,
        error_type: &anomaly.error_type,
    };
    closest(all, of, |playbook| playbook)
}

/// For how long the anomaly must stay quiet after an action of each class, in milliseconds.
fn quiets(context: &Context, anomaly: &Anomaly) -> BTreeMap<Option<RepairClass>, i64> {
    let of = QuietOf {
        alert_name: &anomaly.alert_name,
        service: &anomaly.service,
        namespace: &anomaly.namespace,
    };
    let settings = &context.config.effectiveness;
    let classes = RepairClass::ALL.map(Some).into_iter().chain([None]);
    let quiet = |class| (class, millis(settings.quiet(of, class)));
    classes.map(quiet).collect()
}

async fn failed_fix(
    db: &impl ConnectionTrait,
    anomaly: &Anomaly,
) -> Result<Option<FailedFix>, DbErr> {
    let Some(fixed_at) = anomaly.permanent_fix_at else {
        return Ok(None);
    };
    let fired_at = levels::first_after(db, &anomaly.key, fixed_at).await?;
    Ok(Some(FailedFix {
        reference: anomaly.permanent_fix_reference.clone(),
        fixed_at,
        fired_at,
        held_ms: fired_at.map(|at| at.0 - fixed_at.0),
    }))
}
