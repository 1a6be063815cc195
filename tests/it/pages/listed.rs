//! The list of incidents: whole in every order, and small.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tocsin::store::views::hourly_counts;
use tocsin::store::views::incident_list::{self, Sort, mark};
use tocsin::store::views::lists::Filter;

use crate::harness::{Harness, alert, levels_by_counts};
use crate::on_both;

/// What the bars of each card of the list say in words.
async fn bars(h: &Harness, path: &str) -> Vec<String> {
    let page = h.http.get(format!("{}{path}", h.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    let says = page
        .match_indices("aria-label=\"24 hours: ")
        .map(|(at, found)| {
            let rest = &page[at + found.len()..];
            rest[..rest.find('"').unwrap()].to_owned()
        });
    says.collect()
}

on_both! {
    async fn each_of_two_incidents_of_one_anomaly_has_its_bars(on) {
        let h = Harness::start(on).await;
        let pods = |from: u32, n: u32| {
            (from..from + n).map(|pod| alert("A", &format!("p{pod}"), h.now())).collect::<Vec<_>>()
        };
        h.send_and_drain(pods(0, 3)).await;
        h.send_and_drain(vec![alert("B", "p", h.now())]).await;
        // Past the window: another incident of the same anomaly.
        h.advance(Duration::from_secs(2 * 3600));
        h.send_and_drain(pods(10, 2)).await;
        assert_eq!(h.incidents().await.len(), 3);
        let listed = bars(&h, "/incidents?sort=newest").await;
        assert_eq!(listed, ["5, at most 3 an hour", "1, at most 1 an hour", "5, at most 3 an hour"]);
        let db = h.context.db.read();
        let key = h.sql_text("SELECT key FROM anomalies WHERE alert_name = 'A'").await;
        let unit = h.context.config.counting.unit;
        let twice = || vec![key.clone(), key.clone()];
        let day = hourly_counts::last_day(db, unit, twice(), h.now()).await.unwrap();
        assert_eq!(day[&key].iter().sum::<i64>(), 5);
        let hour = Duration::from_secs(3600);
        let before = hourly_counts::before(db, unit, twice(), hour, h.now().after(hour)).await.unwrap();
        assert_eq!(before[&key], 2, "counted once each");
        h.finish().await;
    }

    async fn every_order_shows_every_incident_once_over_its_pages(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        // Of four levels, some of them twice as often as others.
        for (name, times) in [("A", 1), ("B", 3), ("C", 5), ("D", 10), ("E", 1), ("F", 3), ("G", 12)] {
            let alerts = (0..times).map(|n| alert(name, &format!("p{n}"), h.now()));
            h.send_and_drain(alerts.collect()).await;
        }
        let db = h.context.db.read();
        // Narrow or not, the same must come out.
        let wide = Filter { unresolved: true, ..Filter::default() };
        let narrow = Filter { text: Some("in prod".to_owned()), ..wide.clone() };
        let both = [wide, narrow];
        for (sort, filter) in Sort::ALL.into_iter().flat_map(|s| both.iter().map(move |f| (s, f))) {
            let (mut seen, mut figures, mut after) = (BTreeSet::new(), Vec::new(), None);
            loop {
                let page = incident_list::incidents(db, filter, sort, after, 2).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some(mark(sort, last));
                for entry in &page {
                    figures.push(mark(sort, entry));
                    assert!(seen.insert(entry.0.id), "{sort:?} shows one twice");
                }
            }
            assert_eq!(seen.len(), 7, "{sort:?}");
            let mut ordered = figures.clone();
            match sort {
                Sort::Oldest => ordered.sort_by_key(|m| m.1),
                Sort::Worst | Sort::Level | Sort::Newest | Sort::Often | Sort::Fired => {
                    ordered.sort_by_key(|m| std::cmp::Reverse((m.0, m.1)));
                }
            }
            assert_eq!(figures, ordered, "{sort:?}");
        }
        let overview = incident_list::overview(db).await.unwrap();
        assert_eq!((overview.unresolved, overview.any), ([2, 2, 1, 2], true));
        h.finish().await;
    }

    async fn incidents_of_one_level_are_ordered_by_severity(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        let severe = |name: &str, severity: &str| {
            let mut alert = alert(name, "p", h.now());
            alert["labels"]["severity"] = severity.into();
            alert
        };
        for (name, severity) in [
            ("Critical1", "critical"), ("Warning1", "warning"), ("Urgent", "urgent"), ("Info", "info"),
            ("Page", "PAGE"), ("Warning2", "Warn"), ("None", ""), ("Rises", "info"),
        ] {
            h.send_and_drain(vec![severe(name, severity)]).await;
        }
        let mut worse = severe("Rises", "critical");
        worse["labels"]["pod"] = "q".into();
        worse["fingerprint"] = "q".into();
        h.send_and_drain(vec![worse]).await;
        // A higher level goes before any severity.
        h.execute("UPDATE anomalies SET level = 'REPEAT' WHERE alert_name = 'Info'").await;
        let db = h.context.db.read();
        let wide = Filter { unresolved: true, ..Filter::default() };
        let narrow = Filter { namespace: Some("prod".to_owned()), ..wide.clone() };
        for filter in [wide, narrow, Filter::default()] {
            let (mut names, mut after) = (Vec::new(), None);
            loop {
                let page = incident_list::incidents(db, &filter, Sort::Level, after, 3).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some(mark(Sort::Level, last));
                names.extend(page.iter().map(|(_, anomaly)| anomaly.alert_name.clone()));
            }
            assert_eq!(
                names,
                ["Info", "Rises", "Page", "Critical1", "Warning2", "Warning1", "Urgent", "None"],
                "{filter:?}"
            );
        }
        h.finish().await;
    }

    async fn the_worst_comes_first_page_by_page(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        for (name, severity, times) in [
            ("Warning", "warning", 1), ("WarningOften", "warning", 10), ("Page", "page", 1), ("CriticalRepeat", "critical", 3),
            ("CriticalTaken", "critical", 12), ("Info", "info", 5), ("Urgent", "urgent", 1), ("PageLater", "P1", 1),
            ("Over", "critical", 1),
        ] {
            let alerts = (0..times).map(|n| {
                let mut alert = alert(name, &format!("{name}{n}"), h.now());
                alert["labels"]["severity"] = severity.into();
                alert
            });
            h.send_and_drain(alerts.collect()).await;
        }
        for (name, what) in [("CriticalTaken", "acknowledge"), ("Over", "resolve")] {
            let found = h.get(&format!("/api/v1/incidents?q={name}")).await;
            let id = found["items"][0]["id"].as_str().unwrap();
            h.post(&format!("/api/v1/incidents/{id}/{what}"), json!({"operator": "ann"})).await;
        }
        h.drain().await;
        let open = ["CriticalRepeat", "PageLater", "Page", "WarningOften", "Warning", "Urgent", "Info"];
        let critical = ["CriticalRepeat", "PageLater", "Page", "CriticalTaken"];
        let table: [(&str, Vec<&str>); 7] = [
            ("", [&open[..], &["CriticalTaken", "Over"]].concat()),
            ("unresolved=true", [&open[..], &["CriticalTaken"]].concat()),
            ("status=OPEN", open.to_vec()),
            ("status=ACKNOWLEDGED", vec!["CriticalTaken"]),
            ("unresolved=true&severity=critical", critical.to_vec()),
            ("service=checkout&severity=P1&unresolved=true", critical.to_vec()),
            ("since=1h&until=0&severity=urgent", vec!["Urgent"]),
        ];
        for (query, expected) in table {
            let (mut names, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = h.get(&format!("/api/v1/incidents?sort=worst&limit=2&{query}&cursor={cursor}")).await;
                let items = page["items"].as_array().unwrap().iter();
                names.extend(items.map(|item| item["alert_name"].as_str().unwrap().to_owned()));
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = next.to_owned();
            }
            assert_eq!(names, expected, "{query}");
        }
        // The level beside the incident is its anomaly's, also after it opened again.
        let wrong = "SELECT count(*) FROM incidents i JOIN anomalies a ON a.key = i.anomaly_key \
                     WHERE i.status <> 'RESOLVED' AND i.level_order <> CASE a.level \
                         WHEN 'PERMANENT_FIX' THEN 3 WHEN 'ESCALATE' THEN 2 WHEN 'REPEAT' THEN 1 ELSE 0 END";
        assert_eq!(h.sql(wrong).await, 0);
        h.advance(Duration::from_secs(600));
        let again = alert("Over", "Over0", h.now());
        h.send_and_drain(vec![again]).await;
        let reopened = "SELECT count(*) FROM incidents WHERE status <> 'RESOLVED'";
        assert_eq!((h.sql(reopened).await, h.sql(wrong).await), (9, 0));
        let counts = incident_list::overview(h.context.db.read()).await.unwrap().severities;
        assert_eq!(counts, [0, 1, 0, 2, 0, 5], "Urgent is of no rank");
        h.finish().await;
    }

    async fn fifty_cards_are_less_than_sixty_kilobytes(on) {
        let h = Harness::start(on).await;
        let alerts = (0..55).map(|n| {
            let name = format!("KubePodCrashLoopingInProduction{n:02}");
            let mut alert = alert(&name, &format!("checkout-api-6c9f7d-{n}"), h.now());
            alert["labels"]["job"] = "checkout-api".into();
            alert["annotations"]["summary"] = "A pod of checkout-api is crash looping".into();
            alert
        });
        h.send_and_drain(alerts.collect()).await;
        // Each came back in every hour, and in every one as often as in no other.
        let hours: Vec<String> = (0..23).map(|n| format!("SELECT {n} AS n")).collect();
        let id = match h.context.db.backend() {
            sea_orm::DbBackend::Postgres => "gen_random_uuid()",
            _ => "randomblob(16)",
        };
        // All that a card says is as long as it gets.
        let until = h.now().after(Duration::from_secs(59 * 60 + 30)).0;
        h.execute(&format!("UPDATE anomalies SET level = 'PERMANENT_FIX', muted_until = {until}")).await;
        h.execute("UPDATE incidents SET aggregated_count = 1000, open_episodes = 900, tier = 4").await;
        let now = h.now().0;
        h.execute(&format!(
            "INSERT INTO occurrences (id, counted_id, episode, anomaly_key, source, fingerprint, \
                 starts_at, occurred_at, last_seen_at, deliveries, labels) \
             SELECT {id}, {id}, o.id, o.anomaly_key, o.source, o.fingerprint, o.starts_at, \
                 {now} - CAST(3600000 AS bigint) * g.n, o.last_seen_at, 1, o.labels \
             FROM occurrences o JOIN ({}) g ON 1 = 1 JOIN ({}) m ON m.n <= g.n * 5 % 19",
            hours.join(" UNION ALL "),
            hours.join(" UNION ALL "),
        ))
        .await;
        for lang in ["en", "zh-TW"] {
            let request = h.http.get(format!("{}/incidents", h.url));
            let page = request.header("accept-language", lang).send().await.unwrap();
            let page = page.text().await.unwrap();
            assert_eq!(page.matches("<li class=\"card").count(), 50);
            assert_eq!(page.matches("<b class=\"mu\">").count(), 50);
            assert_eq!(page.matches("</a> <code>KubePodCrashLoopingInProduction").count(), 50);
            let bytes = page.len();
            eprintln!("{lang}: {bytes} bytes");
            assert!(bytes < 60_000, "{lang}: {bytes} bytes");
        }
        h.finish().await;
    }
}
