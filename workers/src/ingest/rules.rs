//! The rules behind alerts: what they are about is noted, and alerts of a rule that has no data are about the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::domain::alert::{Alert, AlertRule};
use tocsin::domain::alert_rule::About;
use tocsin::domain::episode::AlertDelivery;
use tocsin::store::alert_rules;

/// How often the same is noted by one process: pruning goes by when it was noted last.
const NOTED_EVERY: Duration = Duration::from_secs(12 * 3600);
/// Maximum number of remembered notes. At the maximum all are forgotten, and noted once more.
const REMEMBERED: usize = 10_000;

/// What was noted, of which source and rule, and when.
#[derive(Default)]
pub(super) struct Rules(Mutex<HashMap<(String, String, About), Instant>>);

impl Rules {
    /// The alert as it is to be entered. What it says of its rule is noted before that: if the process dies in between, the alert
    /// comes again.
    pub(super) async fn read(
        &self,
        context: &Context,
        alert: Alert,
        deliver: impl Fn(Alert) -> AlertDelivery,
    ) -> Result<AlertDelivery, DbErr> {
        let delivery = deliver(alert);
        match &delivery.alert.rule {
            Some(rule) if rule.id.is_empty() => {}
            Some(rule) if rule.has_no_data => {
                let read = read_by_rule(context, &delivery, rule, deliver).await?;
                return Ok(read.unwrap_or(delivery));
            }
            Some(rule) => self.note(context, &delivery, rule).await?,
            None => {}
        }
        Ok(delivery)
    }

    async fn note(
        &self,
        context: &Context,
        delivery: &AlertDelivery,
        rule: &AlertRule,
    ) -> Result<(), DbErr> {
        let about = about(delivery);
        if about == About::default() {
            return Ok(());
        }
        let key = (delivery.source.clone(), rule.id.clone(), about);
        let noted = |at: &Instant| at.elapsed() < NOTED_EVERY;
        if self.noted().get(&key).is_some_and(noted) {
            return Ok(());
        }
        let now = context.clock.now();
        let of = (key.0.as_str(), key.1.as_str());
        alert_rules::note(context.db.write(), of, &key.2, now).await?;
        let mut noted = self.noted();
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(key, Instant::now());
        Ok(())
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String, About), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn about(delivery: &AlertDelivery) -> About {
    About {
        service: delivery.signature.service.clone(),
        namespace: delivery.signature.namespace.clone(),
    }
}

/// An alert of a rule that has no data, with what is known of the rule; of the series that fires, if one of those does
/// that it can be of.
async fn read_by_rule(
    context: &Context,
    delivery: &AlertDelivery,
    rule: &AlertRule,
    deliver: impl Fn(Alert) -> AlertDelivery,
) -> Result<Option<AlertDelivery>, DbErr> {
    let db = context.db.read();
    let Some(known) = alert_rules::find(db, &delivery.source, &rule.id).await? else {
        return Ok(None);
    };
    let readings = known.readings(&about(delivery)).into_iter();
    let mut read: Vec<AlertDelivery> = readings
        .map(|about| deliver(about.said_by(&delivery.alert)))
        .collect();
    if read.len() > 1 {
        let skew = context.config.counting.skew.0;
        let series = read.iter().map(|delivery| delivery.series);
        let start = delivery.start(skew);
        let firing = alert_rules::series_of(db, series, start, skew).await?;
        let place = read.iter().position(|d| Some(d.series) == firing);
        read.swap(0, place.unwrap_or(0));
    }
    Ok(read.into_iter().next())
}
