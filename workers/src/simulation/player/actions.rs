//! Actions of a scenario's steps, by the routes that people and robots use.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{Firing, Player};
use crate::simulation::Entry;
use crate::simulation::scenario::{By, Fix, Repair};

impl<T: FnMut(&Entry) + Send> Player<'_, T> {
    pub(super) async fn fires(&mut self, alert: &str) -> anyhow::Result<()> {
        let now = self.instance.now();
        let firing = Firing {
            since: now,
            sent_at: now,
            is_sent: true,
        };
        if self.firing.insert(alert.to_owned(), firing).is_some() {
            bail!("{alert} fires already");
        }
        let alerts = self.scenario.alerts[alert].sent(alert, now, None);
        self.instance.send("firing", &alerts).await
    }

    pub(super) async fn ends(&mut self, alert: &str) -> anyhow::Result<()> {
        let Some(firing) = self.firing.remove(alert) else {
            bail!("{alert} does not fire");
        };
        let now = self.instance.now();
        let alerts = self.scenario.alerts[alert].sent(alert, firing.since, Some(now));
        self.instance.send("resolved", &alerts).await
    }

    /// As a robot reports it, which knows an alert and no ID.
    pub(super) async fn repaired(&mut self, repair: &Repair) -> anyhow::Result<()> {
        let now = self.instance.now();
        let began = match (repair.success, repair.took) {
            (None, _) => Some(now),
            (Some(_), took) => took.map(|took| now.before(took)),
        };
        let mut body = json!({
            "labels": self.scenario.alerts[&repair.by.alert].labels(),
            "source": "alertmanager",
            "action": repair.action,
            "operator": repair.by.operator,
            "note": repair.note,
            "started_at": began,
        });
        if let Some(success) = repair.success {
            body["success"] = success.into();
        }
        self.instance.act("POST", "/api/v1/repairs", body).await?;
        Ok(())
    }

    pub(super) async fn finished(&mut self, repair: &Repair) -> anyhow::Result<()> {
        let key = self.key(&repair.by.alert);
        let begun = self.state.repairs.iter().rev().find(|begun| {
            begun.finished_at.is_none() && begun.anomaly_key == key && begun.action == repair.action
        });
        let Some(begun) = begun else {
            bail!("no repair {} was started", repair.action);
        };
        let path = format!("/api/v1/repairs/{}", begun.id);
        let body = json!({"success": repair.success, "note": repair.note});
        self.instance.act("PATCH", &path, body).await?;
        Ok(())
    }

    pub(super) async fn fixed(&mut self, fix: &Fix) -> anyhow::Result<()> {
        let path = format!(
            "/api/v1/anomalies/{}/permanent-fix",
            self.key(&fix.by.alert)
        );
        let body = json!({"reference": fix.reference, "operator": fix.by.operator});
        self.instance.act("POST", &path, body).await?;
        Ok(())
    }

    pub(super) async fn incident(&mut self, verb: &str, by: &By) -> anyhow::Result<()> {
        let newest = self.state.newest(&self.key(&by.alert));
        let id = newest.context("there is no incident yet")?.id;
        let path = format!("/api/v1/incidents/{id}/{verb}");
        let body: Value = json!({"operator": by.operator});
        self.instance.act("POST", &path, body).await?;
        Ok(())
    }
}
