//! The client's side of the program: subcommands that talk to a running instance over HTTP, and the
//! benchmark, which starts its own.

mod age;
mod anomalies;
mod audit;
mod bench;
mod client;
mod confirm;
mod dead;
mod error;
mod fields;
mod health;
mod incidents;
mod lists;
mod many;
mod mute;
mod mutes;
mod output;
mod queues;
mod recount;
mod repair;
mod repairs;
mod simulate;
mod table;
mod token;
mod trace;
mod watch;
mod which;

pub use anomalies::AnomaliesArgs;
pub use audit::AuditArgs;
pub use bench::BenchArgs;
pub use client::Remote;
pub use dead::DeadArgs;
pub use health::HealthArgs;
pub use incidents::IncidentsArgs;
pub use mute::{MuteArgs, UnmuteArgs};
pub use mutes::MutesArgs;
pub use queues::QueuesArgs;
pub use recount::RecountArgs;
pub use repair::RepairArgs;
pub use repairs::RepairsArgs;
pub use simulate::SimulateArgs;
pub use trace::TraceArgs;
