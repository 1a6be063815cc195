//! All SQL: one file per group of tables, verbs as names.
//!
//! Functions take any connection, so they work inside a transaction. Statements over many rows
//! are written once for both databases: [`rows::Rows`] makes a list of values a relation.
//!
//! Where it is not said otherwise, what fails is the database: it cannot be reached, refuses, or took too long;
//! [`error::cause`] says which, and [`error`] what that means for the work.
//!
//! Every change of an anomaly (its incidents and episodes included) locks the
//! anomaly's row first; see [`anomalies::lock`].

pub mod alert_rules;
pub mod analysis;
pub mod anomalies;
pub mod audit;
pub mod canaries;
pub mod cards;
pub mod channels;
pub mod clock;
pub mod db;
pub mod dead_letters;
pub mod digests;
pub mod doubts;
pub mod error;
pub mod executions;
pub mod flapping;
mod folded;
pub mod incidents;
pub mod ingest;
pub mod levels;
pub mod losses;
pub mod made_silences;
pub mod maintenance;
pub mod marks;
pub mod mutes;
pub mod notes;
pub mod notices;
pub mod notifications;
pub mod occurrences;
pub mod outages;
pub mod outbox;
pub mod overflow;
pub mod playbooks;
pub mod presses;
pub mod reconcile;
pub mod refusals;
pub mod reopenings;
pub mod repairs;
pub mod reports;
pub mod requests;
pub mod retention;
pub mod rows;
pub mod secrets;
pub mod sessions;
pub mod silent_sources;
pub mod source_tallies;
pub mod stale;
pub mod tallies;
pub mod turns;
pub mod verify;
pub mod views;
pub mod watches;
pub mod windows;

pub use db::Db;
