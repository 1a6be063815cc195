//! What Tocsin decides: pure functions over values. No IO, no async, no clock.

pub mod aggregation;
pub mod alert;
pub mod alert_rule;
pub mod budget;
pub mod buttons;
pub mod effectiveness;
pub mod episode;
pub mod escalation;
pub mod figure;
pub mod fix;
pub mod frequency;
pub mod id;
pub mod messages;
pub mod mute;
pub mod names;
pub mod notification;
pub mod reason;
pub mod refusal;
pub mod routing;
pub mod settle;
pub mod severity;
pub mod signature;
pub mod tier;
pub mod unheard;
pub mod workload;
