//! Buttons as Telegram writes them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::buttons::{self, ButtonAction, CallbackData};
use crate::entity::{anomalies, incidents};
use crate::text::{Text, fill};
use crate::time::Timestamp;

/// The buttons beneath the card of an incident, as it stands at `now`. A hook can be asked to run the action `run`.
#[must_use]
pub fn of(
    text: &Text,
    incident: &incidents::Model,
    anomaly: &anomalies::Model,
    now: Timestamp,
    run: Option<&str>,
) -> Value {
    let is_muted = anomaly.mute().holds(now);
    let stands = (incident.status, incident.operator.as_deref());
    let rows = buttons::offered(incident.id, stands, is_muted, run);
    written(text, &rows)
}

/// The buttons that ask which repair it was.
pub(super) fn repairs(text: &Text, incident: Uuid, actions: &[String]) -> Value {
    written(text, &buttons::repairs(incident, actions))
}

fn written(text: &Text, rows: &[Vec<CallbackData>]) -> Value {
    let button =
        |press: &CallbackData| json!({"text": label(text, press), "callback_data": press.data()});
    let row = |row: &Vec<CallbackData>| row.iter().map(button).collect::<Vec<_>>();
    json!({"inline_keyboard": rows.iter().map(row).collect::<Vec<_>>()})
}

fn label(text: &Text, press: &CallbackData) -> String {
    match &press.action {
        ButtonAction::Acknowledge => text.acknowledge.to_owned(),
        ButtonAction::TakeOver { .. } => text.take_over.to_owned(),
        ButtonAction::Resolve => text.resolve.to_owned(),
        ButtonAction::Mute => text.btn_mute.to_owned(),
        ButtonAction::Unmute => text.unmute.to_owned(),
        ButtonAction::Repairs => text.btn_repaired.to_owned(),
        ButtonAction::Back => text.btn_back.to_owned(),
        ButtonAction::Repaired {
            action,
            success: true,
        } => fill(text.btn_helped, &[("action", action)]),
        ButtonAction::Repaired { success: false, .. } => text.btn_helped_not.to_owned(),
        ButtonAction::Run { action } => {
            let run = fill(text.run_action, &[("action", action)]);
            format!("▶ {run}")
        }
    }
}
