//! The names of the metrics, and what each says.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;
use crate::VERSION;

impl Metrics {
    pub(super) fn register(&self) -> Registry {
        let mut r = Registry::with_prefix("tocsin");
        let m = self.clone();
        r.register(
            "alerts_received",
            "Alerts of requests that were accepted, usable or not: each has one outcome",
            m.received,
        );
        r.register(
            "alerts_truncated",
            "Alerts that the sender left out",
            m.truncated,
        );
        r.register(
            "alerts_misdated",
            "Alerts with a time that cannot be read or a start in the future",
            m.misdated,
        );
        r.register(
            "alerts",
            "Alerts by outcome; resent and ignored are informative: an alert that is delivered \
             again after a crash is counted again",
            m.alerts.family,
        );
        r.register("jobs", "Jobs by outcome", m.jobs);
        r.register_with_unit(
            "job_duration",
            "Run time of job handlers",
            Unit::Seconds,
            m.job_seconds,
        );
        r.register("ingest_batch_size", "Alerts committed together", m.batch);
        r.register_with_unit(
            "ingest_batch_duration",
            "Commit time of a batch of alerts",
            Unit::Seconds,
            m.batch_seconds,
        );
        r.register_with_unit(
            "accept_duration",
            "Response time of webhook requests",
            Unit::Seconds,
            m.accept_seconds,
        );
        r.register_with_unit(
            "ingest_latency",
            "Time from receipt of an alert to the commit of its incident",
            Unit::Seconds,
            m.ingest_seconds,
        );
        r.register("messages", "Messages by channel and outcome", m.messages);
        r.register(
            "analyses",
            "Analyses of incidents by outcome: built_in, generated, or why no language model contributed",
            m.analyses,
        );
        r.register(
            "drift",
            "Figures that differed from the stored rows in the last consistency check of this process",
            m.drift,
        );
        r.register_with_unit(
            "verified_timestamp",
            "When this process last finished a consistency check; 0: never",
            Unit::Seconds,
            m.verified,
        );
        r.register(
            "recount_failures",
            "Parts of recount that failed, while the other parts ran",
            m.recount_failures,
        );
        r.register_with_unit(
            "recount_part_duration",
            "Duration of the parts of recount",
            Unit::Seconds,
            m.recount_seconds,
        );
        r.register_with_unit(
            "recount_part_done_timestamp",
            "When this process last did a part of recount without an error; 0: never",
            Unit::Seconds,
            m.recount_done,
        );
        r.register(
            "recount_part_items",
            "Items that parts of recount worked on",
            m.recount_items,
        );
        r.register(
            "repair_verdicts",
            "Verdicts on repairs, those that replace another included",
            m.verdicts,
        );
        r.register(
            "executions",
            "Actions that executors were to run, by what became of them",
            m.executions,
        );
        r.register(
            "jobs_lost",
            "Queued jobs that were lost when Redis lost its data; counted by the process that noticed first",
            m.jobs_lost,
        );
        r.register(
            "store_errors",
            "Failed calls of the queue's store",
            m.store_errors,
        );
        r.register(
            "counter_evicted",
            "Anomalies whose counts were evicted from Redis to leave memory for the queue",
            m.counter_evicted,
        );
        r.register(
            "verification_deferred",
            "Deferrals of the consistency check, by a minute each, because alerts waited",
            m.verification_deferred,
        );
        r.register(
            "alerts_overflowed",
            "Alerts that were counted in an overflow anomaly, because the limit of new anomalies was reached",
            m.overflowed,
        );
        r.register(
            "webhooks_refused",
            "Webhook requests that were answered with 4xx or 5xx",
            m.refused,
        );
        r.register(
            "auth_failures",
            "Requests with a missing or wrong token",
            m.auth_failures,
        );
        r.register("queue_ready", "Jobs that are ready to run", m.ready);
        r.register("queue_delayed", "Jobs that wait for their time", m.delayed);
        r.register("queue_in_flight", "Jobs that a worker holds", m.in_flight);
        r.register("workers", "Workers with a recent heartbeat", m.workers);
        r.register("queue_paused", "1 while the queue is paused", m.paused);
        let build = Info::new(vec![("version", VERSION)]);
        r.register("build", "The version of the program", build);
        r.register_with_unit(
            "queue_oldest_age",
            "How long the oldest ready job has waited",
            Unit::Seconds,
            m.oldest_seconds,
        );
        r.register_with_unit(
            "schedule_age",
            "Age of the schedule's last completed run, from its start; age of the process if none completed",
            Unit::Seconds,
            m.schedule_seconds,
        );
        r.register_with_unit(
            "canary_link",
            "How long the last scheduled canary took at the link",
            Unit::Seconds,
            m.link_seconds,
        );
        r.register(
            "source_warnings",
            "Sources that are quiet against their habit, leave out alerts, or never send that an alert is over",
            m.source_warnings,
        );
        r.register(
            "canary_link_up",
            "Whether the last scheduled canary passed the link",
            m.link_up,
        );
        r.register_with_unit(
            "figures_age",
            "How old the figures are of what the stores hold; after a minute none are told",
            Unit::Seconds,
            m.figures_age,
        );
        r.register_with_unit(
            "read_replica_behind",
            "Age of what the read replica has; 0 without one, NaN while it cannot be followed",
            Unit::Seconds,
            m.replica_behind,
        );
        r.register(
            "redis_memory_used_ratio",
            "Used share of Redis' maxmemory, 0 to 1; 0 without Redis or without maxmemory",
            m.redis_memory,
        );
        r.register(
            "dead_letters",
            "Dead letters that are neither replayed nor discarded",
            m.dead,
        );
        r.register_with_unit(
            "dead_letters_oldest_age",
            "Age of the oldest dead letter that is neither replayed nor discarded",
            Unit::Seconds,
            m.dead_seconds,
        );
        r.register(
            "dead_letters_decided",
            "Dead letters that were replayed or discarded, by decision",
            m.decided,
        );
        r.register(
            "alertmanager_errors",
            "Failed requests to Alertmanager about stale alerts",
            m.alertmanager_errors,
        );
        r.register(
            "prometheus_errors",
            "Failed requests to Prometheus about what fires",
            m.prometheus_errors,
        );
        r.register(
            "reconciled_missed",
            "Alerts that Alertmanager or Prometheus had and that were not received, taken in",
            m.reconciled_missed,
        );
        r.register(
            "reconciled_gone",
            "Firings that Alertmanager or Prometheus has no more, closed",
            m.reconciled_gone,
        );
        r.register(
            "incidents",
            "Incidents that are not resolved; the same in every process",
            m.incidents,
        );
        r.register(
            "incidents_opened",
            "Incidents that opened",
            m.incidents_opened,
        );
        r.register_with_unit(
            "incident_acknowledge",
            "Time from the opening of an incident until it was acknowledged",
            Unit::Seconds,
            m.acknowledge_seconds,
        );
        r.register_with_unit(
            "incident_resolve",
            "Time from the opening of an incident until it was resolved",
            Unit::Seconds,
            m.resolve_seconds,
        );
        r.register_with_unit(
            "message_latency",
            "Time from receipt of the alert that opens an incident until its message was taken",
            Unit::Seconds,
            m.message_seconds,
        );
        r.register_with_unit(
            "last_alert_timestamp",
            "When a source last delivered; the same in every process",
            Unit::Seconds,
            m.last_alert,
        );
        r.register(
            "config_last_reload_successful",
            "1 if the settings that were read last are used, 0 if they were refused",
            m.config_reloaded,
        );
        r.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the settings that are used were read",
            Unit::Seconds,
            m.config_reloaded_at,
        );
        r
    }
}
