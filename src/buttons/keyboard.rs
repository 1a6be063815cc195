//! Buttons as Telegram writes them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::buttons::{self, Press, Wish};
use crate::domain::mute::is_muted;
use crate::entity::{anomalies, incidents};
use crate::text::{Text, fill};
use crate::time::Timestamp;

/// The buttons beneath the card of an incident, as it stands at `now`.
#[must_use]
pub fn of(
    text: &Text,
    incident: &incidents::Model,
    anomaly: &anomalies::Model,
    now: Timestamp,
) -> Value {
    let is_muted = is_muted(anomaly, now);
    let rows = buttons::offered(incident.id, incident.status, is_muted);
    written(text, &rows)
}

/// The buttons that ask which repair it was.
pub(super) fn repairs(text: &Text, incident: Uuid, actions: &[String]) -> Value {
    written(text, &buttons::repairs(incident, actions))
}

fn written(text: &Text, rows: &[Vec<Press>]) -> Value {
    let button = |press: &Press| json!({"text": label(text, press), "callback_data": press.data()});
    let row = |row: &Vec<Press>| row.iter().map(button).collect::<Vec<_>>();
    json!({"inline_keyboard": rows.iter().map(row).collect::<Vec<_>>()})
}

fn label(text: &Text, press: &Press) -> String {
    match &press.wish {
        Wish::Acknowledge => text.acknowledge.to_owned(),
        Wish::Resolve => text.resolve.to_owned(),
        Wish::Mute => text.btn_mute.to_owned(),
        Wish::Unmute => text.unmute.to_owned(),
        Wish::Repairs => text.btn_repaired.to_owned(),
        Wish::Back => text.btn_back.to_owned(),
        Wish::Repaired {
            action,
            success: true,
        } => fill(text.btn_helped, &[("action", action)]),
        Wish::Repaired { success: false, .. } => text.btn_helped_not.to_owned(),
    }
}
