//! The read side: pages and API read on connections of their own, so that no reader delays an alert.

pub mod attention;
pub mod changes;
pub mod hourly_counts;
pub mod incident_list;
pub mod lists;
pub mod past;
pub mod report;
pub mod stats;
pub mod timeline;
pub mod top_anomalies;
pub mod trace;
