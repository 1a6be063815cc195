//! A database that has been used for long.

use sea_orm::{DbBackend, EntityTrait as _};
use tocsin::domain::window::Matchers;
use tocsin::entity::notifications as rows;
use tocsin::entity::windows::Model;
use tocsin::store::digests;
use uuid::Uuid;

use crate::harness::Harness;

/// What is stored: anomalies, occurrences of each, messages.
const STORED: (i64, i64, i64) = (10_000, 20, 100_000);
const DAY_MS: i64 = 86_400_000;

/// The numbers `n` from 1 on, as a relation.
fn series(backend: DbBackend, n: i64) -> String {
    match backend {
        DbBackend::Postgres => format!("(SELECT generate_series(1, {n}::bigint) AS n) AS s"),
        _ => format!(
            "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {n}) \
              SELECT n FROM s) AS s"
        ),
    }
}

impl Harness {
    /// Fills the store as long use does: what is sent, resolved, and old.
    pub(super) async fn fill(&self) {
        let (anomalies, of_each, messages) = STORED;
        let now = self.now().0;
        let days_ago = |days: i64| now - days * DAY_MS;
        let (two, lately, before, long_ago) =
            (days_ago(2), days_ago(22), days_ago(25), days_ago(300));
        let series = |n: i64| series(self.context.db.backend(), n);
        let (id, key, json) = match self.context.db.backend() {
            DbBackend::Postgres => (
                "(lpad(to_hex(at), 12, '0') || '7000' || '8000' || lpad(to_hex(n), 12, '0'))::uuid",
                "md5('key' || a)",
                "'{}'::jsonb",
            ),
            // The same bytes; a hash is a hash.
            _ => (
                "unhex(printf('%012x70008000%012x', at, n))",
                "printf('%08x%08x%08x%08x', (a * 2654435761) % 4294967296, a, a, a)",
                "'{}'",
            ),
        };
        let rows = anomalies * of_each;
        let step = 20 * DAY_MS / rows;
        for sql in [
            format!(
                "INSERT INTO anomalies (key, alert_name, service, namespace, error_type, first_seen, \
                     last_seen, total, newest_number) \
                 SELECT {key}, 'Stored', 's' || a, 'n', '', {before}, \
                     {two}, {of_each}, 1 \
                 FROM (SELECT n AS a FROM {}) AS t",
                series(anomalies)
            ),
            // From 22 to two days ago, so that nothing leaves a window while this is looked at.
            format!(
                "INSERT INTO occurrences (id, counted_id, episode, anomaly_key, incident_id, source, \
                     fingerprint, series, starts_at, ended_at, occurred_at, last_seen_at, deliveries, \
                     labels) \
                 SELECT id, id, id, {key}, NULL, 'alertmanager', 'f', n, at, at + 60000, at, at, 1, \
                     {json} \
                 FROM (SELECT n, a, at, {id} AS id FROM (SELECT n, n % {anomalies} + 1 AS a, \
                     {lately} + n * {step} AS at FROM {}) AS t) AS u",
                series(rows)
            ),
            format!(
                "INSERT INTO incidents (id, anomaly_key, number, title, severity, status, resolved_by, \
                     labels, annotations, source, aggregated_count, aggregation_window_start, \
                     open_episodes, last_firing_at, opened_at, updated_at, resolved_at) \
                 SELECT {id}, {key}, 1, 't', 'warning', 'RESOLVED', 'itself', {json}, {json}, \
                     'alertmanager', {of_each}, at, 0, at, at, at, at \
                 FROM (SELECT n, n AS a, {before} AS at FROM {}) AS t",
                series(anomalies)
            ),
            "UPDATE anomalies SET newest_incident = (SELECT i.id FROM incidents i \
                 WHERE i.anomaly_key = anomalies.key)"
                .to_owned(),
            format!(
                "INSERT INTO notifications (id, incident_id, kind, sequence, channel, state, \
                     owed_since, sent_at, message_id, shown) \
                 SELECT {id}, {id}, 'opened', 0, 'telegram:-100', 'sent', at, at, '1', 'x' \
                 FROM (SELECT n, {long_ago} + n * 200000 AS at FROM {}) AS t",
                series(messages)
            ),
        ] {
            self.execute(&sql).await;
        }
        if self.context.db.backend() == DbBackend::Postgres {
            self.analyze().await;
        }
    }

    /// Has the incident `id`, open for two days, fire `of_it` times, and go on firing once.
    pub(super) async fn fill_incident(&self, of_it: i64) {
        let opened = self.now().0 - 2 * DAY_MS;
        let last = self.now().0;
        let backend = self.context.db.backend();
        let series = series(backend, of_it);
        let (id, first, json) = match backend {
            DbBackend::Postgres => (
                "lpad(to_hex(n), 32, '0')::uuid",
                "'00000000-0000-0000-0000-000000000001'::uuid",
                "'{}'::jsonb",
            ),
            _ => (
                "unhex(printf('%032x', n))",
                "x'00000000000000000000000000000001'",
                "'{}'",
            ),
        };
        for sql in [
            format!(
                "INSERT INTO anomalies (key, alert_name, service, namespace, error_type, first_seen, \
                     last_seen, total, newest_number) \
                 VALUES ('hot', 'Hot', 's', 'n', '', {opened}, {last}, {of_it}, 1)"
            ),
            format!(
                "INSERT INTO incidents (id, anomaly_key, number, title, severity, status, labels, \
                     annotations, source, aggregated_count, aggregation_window_start, open_episodes, \
                     last_firing_at, opened_at, updated_at) \
                 VALUES ({first}, 'hot', 1, 't', 'warning', 'OPEN', {json}, {json}, 'alertmanager', \
                     {of_it}, {opened}, 1, {last}, {opened}, {last})"
            ),
            format!(
                "INSERT INTO occurrences (id, counted_id, episode, anomaly_key, incident_id, source, \
                     fingerprint, series, starts_at, ended_at, occurred_at, last_seen_at, deliveries, \
                     labels) \
                 SELECT {id}, {id}, {id}, 'hot', {first}, 'alertmanager', 'f', 1, {opened} + n, \
                     CASE WHEN n < {of_it} THEN {last} END, {opened} + n, {last}, 1, {json} \
                 FROM {series}"
            ),
        ] {
            self.execute(&sql).await;
        }
        if self.context.db.backend() == DbBackend::Postgres {
            self.analyze().await;
        }
    }

    /// So many messages of the one incident there is are pending to this channel since a moment ago.
    pub(super) async fn owe(&self, channel: &str, messages: i64) {
        let backend = self.context.db.backend();
        let id = match backend {
            DbBackend::Postgres => "gen_random_uuid()",
            _ => "randomblob(16)",
        };
        let (now, series) = (self.now().0, series(backend, messages));
        self.execute(&format!(
            "INSERT INTO notifications (id, incident_id, kind, sequence, channel, state, owed_since) \
             SELECT {id}, (SELECT id FROM incidents), 'escalated', n, '{channel}', 'owed', {now} - 1000 \
             FROM {series}"
        ))
        .await;
        if backend == DbBackend::Postgres {
            self.analyze().await;
        }
    }

    /// One of the messages.
    pub(super) async fn a_message(&self) -> rows::Model {
        let found = rows::Entity::find().one(self.context.db.read());
        found.await.unwrap().unwrap()
    }

    /// Asks what a digest asks while it is put together.
    pub(super) async fn gather(&self) {
        let (now, digest) = (self.now(), Uuid::nil());
        let tx = self.context.db.begin().await.unwrap();
        // One that holds, so that what it keeps back is asked for.
        let held = [Model {
            id: digest,
            reason: "a deploy".to_owned(),
            matchers: Matchers::default(),
            starts_at: now,
            ends_at: None,
            weekly: None,
            created_by: None,
            created_at: now,
            ended_at: None,
        }];
        digests::gather(&tx, "telegram:-100", digest, &held, now)
            .await
            .unwrap();
        digests::mute(&tx, digest, &held, now).await.unwrap();
        digests::lock_anomalies(&tx, digest).await.unwrap();
        digests::figures(&tx, digest).await.unwrap();
        digests::worst(&tx, digest, 5).await.unwrap();
        digests::restore(&tx, digest).await.unwrap();
        tx.rollback().await.unwrap();
    }
}
