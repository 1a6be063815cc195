//! SeaORM's view of the tables: shape only.

pub mod anomalies;
pub mod audit;
pub mod channels;
pub mod dead_letters;
pub mod effectiveness;
pub mod incidents;
pub mod notifications;
pub mod occurrences;
pub mod reopenings;
pub mod repairs;
