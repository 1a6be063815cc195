//! What each statement reads where much is stored. A database that has been used for long is filled,
//! alerts are let through it, and every statement that their way, their tiers, their messages and a
//! recount came to is explained: on SQLite none may scan a table that grows, on PostgreSQL none may read
//! more than so many pages. Nothing here depends on time.

mod explained;
mod filled;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::{DbBackend, Statement};
use serde_json::Value;
use tocsin::domain::aggregation::Status;
use tocsin::entity::notifications as rows;
use tocsin::report::{self, Period};
use tocsin::store::views::incident_list::{self, Sort, mark};
use tocsin::store::views::lists::{self, Filter};
use tocsin::store::views::timeline;
use tocsin::store::{cards, incidents, notifications};
use tocsin_workers::{recount, workers};
use uuid::Uuid;

use crate::harness::{Harness, QUEUED, alert, firing, resolved};
use crate::on_both;
use explained::wrong;

on_both! {
    async fn no_statement_reads_more_the_more_is_stored(on) {
        let mut h = Harness::without_workers(on, |config| {
            // So that resolving edits cards.
            config.telegram.fold = tocsin::config::Span(Duration::ZERO);
            config.telegram.again = tocsin::config::Span(Duration::from_secs(43_200));
            config.analysis.enabled = true;
            config.flapping.start = 6;
            // So that what held is read for one.
            let playbook = serde_json::json!({"name": "all", "tier_1": "restart_pod"});
            config.playbooks = vec![serde_json::from_value(playbook).unwrap()];
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
    async fn pending_messages_are_counted_for_the_own_chat_only(on) {
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
        assert_eq!((ahead.waiting, ahead.in_last_minute), (5, 5));
        let edits = cards::ahead(&tx, &chat, now, now).await.unwrap();
        assert_eq!(edits, (1, 0));
        let both = ["telegram:-200".to_owned(), "telegram:-300".to_owned()];
        let ahead = notifications::ahead(&tx, &both, &row, now).await.unwrap();
        assert_eq!((ahead.waiting, ahead.in_last_minute), (notifications::COUNTED, notifications::COUNTED));
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

    async fn a_report_reads_its_period_alone(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        h.fill().await;
        let told: Arc<Mutex<Vec<Statement>>> = Arc::default();
        let hear = Arc::clone(&told);
        h.context.db.observe(move |statement| hear.lock().unwrap().push(statement.clone()));
        let ago = |days: u64| Some(h.now().before(Duration::from_secs(days * 86_400)));
        let period = Period::between(ago(6), ago(5), h.now()).unwrap();
        let report = report::make(&h.context, period).await.unwrap();
        assert!(report.occurrences.count > 1_000, "{report:?}");

        let asked = std::mem::take(&mut *told.lock().unwrap());
        assert!(asked.len() > 10, "only {} statements", asked.len());
        let backend = h.context.db.backend();
        for statement in asked.iter().filter(|statement| statement.sql.starts_with("SELECT")) {
            let plan = h.explain(statement).await;
            let wrong = wrong(backend, &plan);
            assert!(wrong.is_none(), "{wrong:?}: {}\n{plan:#?}", statement.sql);
        }
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

    async fn a_services_page_and_a_reply_read_what_they_are_about_alone(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        h.fill().await;
        let told: Arc<Mutex<Vec<Statement>>> = Arc::default();
        let hear = Arc::clone(&told);
        h.context.db.observe(move |statement| hear.lock().unwrap().push(statement.clone()));
        let db = h.context.db.read();
        let of_service = Filter { service: Some("s7".to_owned()), ..Filter::default() };
        let anomalies = lists::anomalies(db, &of_service, None, 26).await.unwrap();
        let keys: Vec<String> = anomalies.into_iter().map(|one| one.key).collect();
        assert_eq!(keys.len(), 1);
        let since = h.now().before(Duration::from_secs(30 * 86_400));
        assert!(timeline::repairs_of(db, &keys, since, 30).await.unwrap().is_empty());
        let unresolved = Filter { unresolved: true, ..of_service };
        incident_list::incidents(db, &unresolved, Sort::Worst, None, 20).await.unwrap();
        lists::count_incidents(db, &unresolved).await.unwrap();
        assert_eq!(cards::incident_of(db, (-100, None), 2, None).await.unwrap(), None);
        let asked = std::mem::take(&mut *told.lock().unwrap());
        // What asks for none of an empty list asks nothing.
        let is_read = |asked: &&Statement| !["WHERE ? = ?", "WHERE $1 = $2"].iter().any(|end| asked.sql.ends_with(end));
        let asked: Vec<&Statement> = asked.iter().filter(is_read).collect();
        assert!(asked.len() >= 5, "{asked:#?}");
        for statement in asked {
            let plan = h.explain(statement).await;
            let wrong = wrong(h.context.db.backend(), &plan);
            assert!(wrong.is_none(), "{wrong:?}: {}\n{plan:#?}", statement.sql);
            match h.context.db.backend() {
                DbBackend::Postgres => {
                    let read: i64 = plan[0].parse().unwrap();
                    assert!(read < 100, "reads {read} pages: {}\n{plan:#?}", statement.sql);
                }
                // Tables that are small elsewhere may be scanned, and this one is not small.
                _ => assert!(!plan.iter().any(|line| line.starts_with("SCAN anomalies")), "{plan:#?}"),
            }
        }
        h.finish().await;
    }

    async fn the_list_is_read_in_the_order_of_an_index(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        h.fill().await;
        h.execute("UPDATE incidents SET status = 'OPEN', severity_order = 6, level_order = 1").await;
        if h.context.db.backend() == DbBackend::Postgres {
            h.analyze().await;
        }
        let told: Arc<Mutex<Vec<Statement>>> = Arc::default();
        let hear = Arc::clone(&told);
        h.context.db.observe(move |statement| hear.lock().unwrap().push(statement.clone()));
        let filters = [
            Filter { unresolved: true, ..Filter::default() },
            Filter { status: Some(Status::Open), ..Filter::default() },
            Filter { severity: Some("warning".to_owned()), ..Filter::default() },
        ];
        let db = h.context.db.read();
        for filter in &filters {
            let page = incident_list::incidents(db, filter, Sort::Worst, None, 51).await.unwrap();
            let last = page.last().map(|last| mark(Sort::Worst, last));
            let next = incident_list::incidents(db, filter, Sort::Worst, last, 51).await.unwrap();
            assert_eq!((page.len(), next.len()), (51, 51), "{filter:?}");
        }
        let asked = std::mem::take(&mut *told.lock().unwrap());
        let asked: Vec<_> = asked.iter().filter(|asked| asked.sql.contains("level_order")).collect();
        assert!(asked.len() >= 6);
        for statement in asked {
            let plan = h.explain(statement).await;
            if h.context.db.backend() == DbBackend::Postgres {
                let read: i64 = plan[0].parse().unwrap();
                assert!(read < 200, "reads {read} pages: {}\n{plan:#?}", statement.sql);
            } else {
                let is_by_index = plan.iter().any(|line| line.contains("incidents_unresolved_order"));
                let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE"));
                assert!(is_by_index && !sorts, "{}\n{plan:#?}", statement.sql);
            }
        }
        h.finish().await;
    }
}
