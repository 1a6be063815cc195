//! SeaORM's view of the tables: shape only.

mod analysis;
pub mod anomalies;
pub mod audit;
pub mod channels;
pub mod dead_letters;
pub mod effectiveness;
pub mod executions;
pub mod incidents;
pub mod notes;
pub mod notifications;
pub mod occurrences;
mod reason;
pub mod reopenings;
pub mod repair_figures;
pub mod repairs;
pub mod windows;
