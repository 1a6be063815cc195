//! What each statement reads where much is stored. A database that has been used for long is filled,
//! alerts are let through it, and every statement that their way, their tiers, their messages and a
//! recount came to is explained: on SQLite none may scan a table that grows, on PostgreSQL none may read
//! more than so many pages. Nothing here depends on time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, Statement};
use serde_json::Value;
use tocsin::entity::notifications as rows;
use tocsin::store::{cards, digests, incidents, notifications};
use tocsin_workers::{recount, workers};
use uuid::Uuid;

use crate::harness::{Harness, QUEUED, alert, firing, resolved};
use crate::on_both;

/// What is stored: anomalies, occurrences of each, messages.
const STORED: (i64, i64, i64) = (10_000, 20, 100_000);
const DAY_MS: i64 = 86_400_000;
/// Pages of 8 KB that one statement may read on PostgreSQL: a hundred anomalies are looked at together, of
/// each of which twenty occurrences are stored.
const PAGES: i64 = 5_000;
/// Rows that one step of it may read and pass over.
const PASSED_OVER: f64 = 2_000.0;
/// Tables that it may not read as a whole.
const LARGE: [&str; 3] = ["occurrences", "notifications", "incidents"];
/// Tables that a statement may read as a whole: they are as large as what people configured, or as the
/// anomalies are many, which the look for changes reads once a minute.
const MAY_SCAN: [&str; 10] = [
    "jsonb_each",
    "r",
    "anomalies",
    "a",
    "marks",
    "channels",
    "schedules",
    "losses",
    "refusals",
    "ended_sessions",
];

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
    async fn fill(&self) {
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
    async fn fill_incident(&self, of_it: i64) {
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

    /// So many messages of the one incident there is are owed to this channel since a moment ago.
    async fn owe(&self, channel: &str, messages: i64) {
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
    async fn a_message(&self) -> rows::Model {
        let found = rows::Entity::find().one(self.context.db.read());
        found.await.unwrap().unwrap()
    }

    /// Asks what a digest asks while it is put together.
    async fn gather(&self) {
        let (now, digest) = (self.now(), Uuid::nil());
        let tx = self.context.db.begin().await.unwrap();
        digests::gather(&tx, "telegram:-100", digest, now)
            .await
            .unwrap();
        digests::mute(&tx, digest, now).await.unwrap();
        digests::lock_anomalies(&tx, digest).await.unwrap();
        digests::figures(&tx, digest).await.unwrap();
        digests::worst(&tx, digest, 5).await.unwrap();
        digests::tells(&tx, digest).await.unwrap();
        tx.rollback().await.unwrap();
    }

    /// The plan of a statement: of SQLite its lines, of PostgreSQL what running it read.
    async fn explain(&self, statement: &Statement) -> Vec<String> {
        let db = &self.context.db;
        let explained = Statement {
            sql: match db.backend() {
                DbBackend::Postgres => {
                    format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}", statement.sql)
                }
                _ => format!("EXPLAIN QUERY PLAN {}", statement.sql),
            },
            ..statement.clone()
        };
        let tx = db.begin().await.unwrap();
        let rows = tx.query_all_raw(explained).await.unwrap();
        tx.rollback().await.unwrap();
        match db.backend() {
            DbBackend::Postgres => {
                let plan: Value = rows[0].try_get_by_index(0).unwrap();
                let top = &plan[0]["Plan"];
                let read = top["Shared Hit Blocks"].as_i64().unwrap()
                    + top["Shared Read Blocks"].as_i64().unwrap();
                vec![read.to_string(), plan.to_string()]
            }
            _ => rows
                .iter()
                .map(|row| row.try_get("", "detail").unwrap())
                .collect(),
        }
    }
}

/// The first step of a plan of PostgreSQL, from the top, that reads a large table as a whole, or passes
/// over many rows.
fn step_that_is_wrong(step: &Value) -> Option<String> {
    let of = step["Relation Name"].as_str().unwrap_or_default();
    let kind = step["Node Type"].as_str().unwrap_or_default();
    if kind == "Seq Scan" && LARGE.contains(&of) {
        return Some(format!("scans {of}"));
    }
    let passed = step["Rows Removed by Filter"].as_f64().unwrap_or_default()
        * step["Actual Loops"].as_f64().unwrap_or(1.0);
    if LARGE.contains(&of) && passed > PASSED_OVER {
        return Some(format!("passes over {passed} rows of {of}"));
    }
    let below = step["Plans"].as_array();
    below.into_iter().flatten().find_map(step_that_is_wrong)
}

/// What is wrong with a plan, if anything is.
fn wrong(backend: DbBackend, plan: &[String]) -> Option<String> {
    if backend == DbBackend::Postgres {
        let read: i64 = plan[0].parse().unwrap();
        let explained: Value = serde_json::from_str(&plan[1]).unwrap();
        let wrong = step_that_is_wrong(&explained[0]["Plan"]);
        let pages = (read > PAGES).then(|| format!("reads {read} pages"));
        return wrong.or(pages);
    }
    // A query within the query is what its own lines say.
    let is_within = |what: &str| {
        let names = ["CO-ROUTINE", "MATERIALIZE"].map(|how| format!("{how} {what}"));
        plan.iter().any(|line| names.contains(line))
    };
    let scans = |line: &&String| {
        let what = line
            .strip_prefix("SCAN ")
            .map(|rest| rest.split(' ').next().unwrap_or(""));
        let is_all = what.is_some_and(|what| {
            !MAY_SCAN.contains(&what)
                && !what.starts_with('(')
                && !is_within(what)
                // Of what is not resolved alone.
                && !line.contains("USING INDEX incidents_unresolved")
                && !line.contains("VIRTUAL TABLE")
        });
        // One channel is all messages there are, and all of them are from before now.
        let is_channel = ["(channel=?)", "(channel=? AND owed_since<?)"]
            .iter()
            .any(|read| line.ends_with(read))
            && !line.contains("notifications_waiting")
            && !line.contains("channels");
        (is_all && !line.contains("CONSTANT ROW")) || is_channel
    };
    plan.iter().find(scans).cloned()
}

on_both! {
    async fn no_statement_reads_more_the_more_is_stored(on) {
        let mut h = Harness::without_workers(on, |config| {
            // So that resolving edits cards.
            config.telegram.fold = tocsin::config::Span(Duration::ZERO);
        }).await;
        h.fill().await;
        let told: Arc<Mutex<BTreeMap<String, Statement>>> = Arc::default();
        let hear = Arc::clone(&told);
        h.context.db.observe(move |statement| {
            hear.lock().unwrap().insert(statement.sql.clone(), statement.clone());
        });
        h.work(workers(&h.context));
        h.recount().await;
        let now = h.now();
        let pods: Vec<Value> = (0..12).map(|pod| firing(&format!("pod-{pod}"), now)).collect();
        h.send_and_drain(pods.clone()).await;
        h.send_and_drain(pods.clone()).await;
        h.send_and_drain(vec![alert("Other", "1", now)]).await;
        let over = pods.into_iter().map(|pod| resolved(pod, h.now())).collect();
        h.send_and_drain(over).await;
        h.advance(Duration::from_secs(2 * 3600));
        h.recount().await;
        recount::push_overdue(&h.context, false).await.unwrap();
        h.gather().await;
        h.stop_working().await;

        let heard = std::mem::take(&mut *told.lock().unwrap());
        assert!(heard.len() > 40, "only {} statements", heard.len());
        let backend = h.context.db.backend();
        // What asks for none of an empty list asks nothing; a plain insert reads nothing, and cannot be
        // run again to be explained.
        let is_read = |sql: &str| {
            let inserts = sql.starts_with("INSERT") && !sql.contains("ON CONFLICT");
            !inserts && !sql.ends_with("WHERE ? = ?") && !sql.ends_with("WHERE $1 = $2") &&
            ["SELECT", "UPDATE", "DELETE", "WITH", "INSERT"].iter().any(|verb| sql.starts_with(verb))
        };
        let mut found = Vec::new();
        for (sql, statement) in heard.iter().filter(|(sql, _)| is_read(sql) && *sql != QUEUED) {
            let plan = h.explain(statement).await;
            if let Some(wrong) = wrong(backend, &plan) {
                found.push(format!("{wrong}\n    {sql}\n    {plan:#?}"));
            }
        }
        assert!(found.is_empty(), "{} of {}:\n{}", found.len(), heard.len(), found.join("\n\n"));
        h.work(workers(&h.context));
        h.finish().await;
    }
    async fn what_a_message_stands_among_is_read_of_its_own_chat_alone(on) {
        let mut h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.owe("telegram:-200", 20_000).await;
        h.owe("telegram:-300", 5).await;
        let told: Arc<Mutex<Vec<Statement>>> = Arc::default();
        let hear = Arc::clone(&told);
        h.context.db.observe(move |statement| hear.lock().unwrap().push(statement.clone()));
        let (chat, now, message) = (["telegram:-300".to_owned()], h.now(), h.a_message().await);
        let tx = h.context.db.begin().await.unwrap();
        let row = rows::Model {
            id: Uuid::max(),
            owed_since: now,
            ..message
        };
        let ahead = notifications::ahead(&tx, &chat, &row, now).await.unwrap();
        assert_eq!((ahead.waiting, ahead.lately), (5, 5));
        let edits = cards::ahead(&tx, &chat, now, now).await.unwrap();
        assert_eq!(edits, (1, 0));
        let both = ["telegram:-200".to_owned(), "telegram:-300".to_owned()];
        let ahead = notifications::ahead(&tx, &both, &row, now).await.unwrap();
        assert_eq!((ahead.waiting, ahead.lately), (notifications::COUNTED, notifications::COUNTED));
        tx.rollback().await.unwrap();

        let asked = std::mem::take(&mut *told.lock().unwrap());
        let asked = asked.iter().filter(|statement| statement.sql.contains("AS r"));
        let asked: Vec<&Statement> = asked.take(2).collect();
        assert_eq!(asked.len(), 2);
        for statement in asked {
            let plan = h.explain(statement).await;
            let wrong = wrong(h.context.db.backend(), &plan);
            assert!(wrong.is_none(), "{wrong:?}: {plan:#?}");
            if h.context.db.backend() == DbBackend::Postgres {
                let read: i64 = plan[0].parse().unwrap();
                assert!(read < 50, "reads {read} pages: {plan:#?}");
            }
        }
        h.execute("DELETE FROM notifications WHERE kind = 'escalated'").await;
        h.finish().await;
    }

    async fn how_long_an_incident_lasts_is_read_of_its_open_episodes_alone(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        h.fill_incident(50_000).await;
        let told: Arc<Mutex<Vec<Statement>>> = Arc::default();
        let hear = Arc::clone(&told);
        h.context.db.observe(move |statement| hear.lock().unwrap().push(statement.clone()));
        let escalation = &h.context.config.escalation;
        let keys = ["hot".to_owned()];
        let found = incidents::lasting(h.context.db.read(), &keys, escalation, h.now()).await;
        assert!(found.unwrap().contains_key("hot"));

        let asked = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(asked.len(), 1);
        let plan = h.explain(&asked[0]).await;
        match h.context.db.backend() {
            DbBackend::Postgres => {
                let read: i64 = plan[0].parse().unwrap();
                assert!(read < 50, "reads {read} pages: {plan:#?}");
            }
            _ => assert!(plan.iter().any(|line| line.contains("occurrences_open")), "{plan:#?}"),
        }
        h.finish().await;
    }
}
