//! What people look at: read alone, on connections of its own, so that who looks keeps no alert waiting.

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
