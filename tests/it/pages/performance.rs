//! How quick the pages are where there is much: figures, printed. `cargo test --release … -- --ignored
//! --nocapture quick` on a computer that has nothing else to do.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sea_orm::DbBackend;

use crate::browser::Browser;
use crate::harness::{Harness, On, alert};

/// Anomalies, incidents, occurrences.
const MANY: (u32, u32, u32) = (5_000, 100_000, 1_000_000);
/// Requests of one kind, where it has a bound and where it has none.
const TIMES: (usize, usize) = (300, 50);
/// Open pages.
const OPEN: usize = 200;

/// What PostgreSQL and SQLite say differently: numbers from 1 to `n` as `g(n)`, and an id in time's order.
fn dialect(backend: DbBackend, sql: &str) -> String {
    let postgres = backend == DbBackend::Postgres;
    let mut sql = sql.to_owned();
    while let Some(at) = sql.find("SERIES(") {
        let end = at + sql[at..].find(')').unwrap();
        let n = &sql[at + 7..end];
        let series = if postgres {
            format!("generate_series(1, {n}) AS g(n)")
        } else {
            format!(
                "(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {n}) \
                 SELECT n FROM g) AS g"
            )
        };
        sql.replace_range(at..=end, &series);
    }
    let id = if postgres {
        "(lpad(to_hex(@T), 12, '0') || '70008000' || lpad(to_hex(g.n::bigint), 12, '0'))::uuid"
    } else {
        "unhex(printf('%012x70008000%012x', @T, g.n))"
    };
    let (json, key) = if postgres {
        ("::jsonb", "lpad((1 + g.n % 5000)::text, 32, '0')")
    } else {
        ("", "printf('%032d', 1 + g.n % 5000)")
    };
    sql.replace("ID()", id)
        .replace("KEY()", key)
        .replace("JSON", json)
}

/// What there is.
struct Picture {
    name: &'static str,
    /// Of 10,000 incidents.
    unresolved: u32,
    /// Whether any anomaly has a level.
    levels: bool,
}

const PICTURES: [Picture; 3] = [
    Picture {
        name: "10 unresolved, most without a level",
        unresolved: 1,
        levels: true,
    },
    Picture {
        name: "2,000 unresolved, none with a level",
        unresolved: 200,
        levels: false,
    },
    Picture {
        name: "all unresolved, most without a level",
        unresolved: 10_000,
        levels: true,
    },
];

async fn fill(h: &Harness, picture: &Picture) {
    let backend = h.context.db.backend();
    let (now, month) = (h.now().0, 30 * 86_400_000_i64);
    let run = |sql: &str| {
        dialect(backend, sql).replace(
            "@T",
            &format!("(CAST({now} AS bigint) - {month} + g.n * CAST({month} AS bigint) / @N)"),
        )
    };
    let level = match picture.levels {
        true => {
            "CASE WHEN g.n % 100 = 0 THEN 'PERMANENT_FIX' WHEN g.n % 30 = 0 THEN 'ESCALATE' \
             WHEN g.n % 10 = 0 THEN 'REPEAT' ELSE 'NONE' END"
        }
        false => "'NONE'",
    };
    let anomalies = run(&format!(
        "INSERT INTO anomalies (key, alert_name, service, namespace, error_type, first_seen, last_seen, total, level, newest_number) \
        SELECT KEY(), 'KubePodCrashLooping', 'service-' || (g.n % 50), 'team-' || (g.n % 20), '', @T, @T, 200, {level}, 20 \
        FROM SERIES(5000)"
    ));
    h.execute(&anomalies.replace("@N", &MANY.0.to_string()))
        .await;
    let incidents = run(&format!(
        "INSERT INTO incidents (id, anomaly_key, number, title, severity, status, labels, annotations, source, tier, tier_reason, frequency_stats, \
            aggregated_count, aggregation_window_start, open_episodes, last_firing_at, opened_at, updated_at, severity_order, level_order) \
        SELECT ID(), KEY(), 1 + g.n / 5000, 'Pod of service-' || (g.n % 50) || ' is crash looping', 'critical', \
            CASE WHEN g.n % 10000 < {} THEN 'OPEN' ELSE 'RESOLVED' END, \
            '{{\"alertname\": \"KubePodCrashLooping\", \"namespace\": \"prod\", \"pod\": \"checkout-6c9f7d\"}}'JSON, '{{\"summary\": \"Pod is crash looping\"}}'JSON, 'alertmanager', 1, '{{\"rule\":\"default\"}}', \
            ('{{\"anomaly_key\": \"k\", \"count_1h\": 1, \"count_24h\": ' || (g.n % 90) || ', \"count_7d\": 90, \"count_30d\": 200, \"first_seen\": null, \"last_seen\": null, \"escalation_level\": \"NONE\"}}')JSON, \
            3, @T, 1, @T, @T, @T, 10, 0 FROM SERIES(100000)",
        picture.unresolved
    ));
    h.execute(&incidents.replace("@N", &MANY.1.to_string()))
        .await;
    h.execute(
        "UPDATE incidents SET level_order = (SELECT CASE a.level WHEN 'PERMANENT_FIX' THEN 3 WHEN 'ESCALATE' THEN 2 \
             WHEN 'REPEAT' THEN 1 ELSE 0 END FROM anomalies a WHERE a.key = incidents.anomaly_key)",
    )
    .await;
    h.execute("UPDATE anomalies SET newest_incident = (SELECT i.id FROM incidents i WHERE i.anomaly_key = anomalies.key ORDER BY i.number DESC LIMIT 1)").await;
    let occurrences = run(
        "INSERT INTO occurrences (id, counted_id, episode, anomaly_key, source, fingerprint, series, starts_at, occurred_at, last_seen_at, deliveries, labels) \
        SELECT ID(), ID(), ID(), KEY(), 'alertmanager', 'f', g.n, @T, @T, @T, 1, '{}'JSON FROM SERIES(1000000)",
    );
    h.execute(&occurrences.replace("@N", &MANY.2.to_string()))
        .await;
    // PostgreSQL does so by itself within a minute.
    if backend == DbBackend::Postgres {
        h.analyze().await;
    }
}

/// The slowest but one of a hundred, and the middle.
async fn measure(h: &Harness, path: &str, times: usize) -> (Duration, Duration, usize) {
    let (mut took, mut bytes) = (Vec::with_capacity(times), 0);
    for n in 0..times + 20 {
        let began = Instant::now();
        let answer = h.http.get(format!("{}{path}", h.url)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        bytes = answer.text().await.unwrap().len();
        if n >= 20 {
            took.push(began.elapsed());
        }
    }
    took.sort_unstable();
    (took[times * 99 / 100], took[times / 2], bytes)
}

/// What `/proc` says of a process: its parent, and the seconds of a core that it used itself, and its ended
/// children.
fn process(id: &str) -> Option<(u32, f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap() / 100.0;
    let parent = fields[1].parse().unwrap();
    Some((parent, ticks(11) + ticks(12), ticks(13) + ticks(14)))
}

/// Seconds of a core that this process has used, and PostgreSQL, if it has one.
async fn used(h: &Harness) -> (f64, f64) {
    let here = process("self").unwrap().1;
    if h.context.db.backend() != DbBackend::Postgres {
        return (here, 0.0);
    }
    let backend = h
        .sql("SELECT CAST(pg_backend_pid() AS bigint)")
        .await
        .to_string();
    let (server, ..) = process(&backend).unwrap();
    let (_, itself, ended) = process(&server.to_string()).unwrap();
    let running = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let (parent, used, _) = process(entry.ok()?.file_name().to_str()?)?;
        (parent == server).then_some(used)
    });
    (here, itself + ended + running.sum::<f64>())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures, and takes minutes"]
async fn a_hundred_thousand_incidents_and_two_hundred_open_pages_on_sqlite() {
    figures(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures, and takes minutes"]
async fn a_hundred_thousand_incidents_and_two_hundred_open_pages_on_postgres() {
    figures(On::Postgres).await;
}

/// Lists that are looked at all day, whatever there is.
const LISTS: [&str; 13] = [
    "/incidents",
    "/incidents?sort=level",
    "/incidents?sort=newest",
    "/incidents?sort=oldest",
    "/incidents?severity=critical",
    "/incidents?since=24h&namespace=team-7",
    "/incidents?level=PERMANENT_FIX",
    "/incidents?level=NONE",
    "/incidents?service=service-7&severity=critical",
    "/api/v1/incidents",
    "/api/v1/incidents?status=OPEN",
    "/api/v1/incidents?sort=worst",
    "/api/v1/incidents?level=ESCALATE",
];
/// What looks at everything that is unresolved.
const ALL_UNRESOLVED: [&str; 3] = [
    "/incidents?sort=often",
    "/incidents?sort=fired",
    "/incidents?status=acknowledged",
];
/// What looks at more.
const OTHERS: [&str; 14] = [
    "/incidents?status=all",
    "/incidents?status=all&sort=often",
    "/incidents?status=all&sort=fired",
    "/incidents?q=crash&service=service-7",
    "/incidents?status=all&q=nothing",
    "/incidents?status=all&q=0badcafe",
    "/api/v1/incidents?q=0badcafe",
    "/api/v1/incidents?q=01940000-0000-7000-8000-00000badcafe",
    "/anomalies",
    "/api/v1/anomalies",
    "/services/service-7",
    "/repairs",
    "/queues",
    "/system",
];
/// The 99th of a hundred requests for such a list takes less.
const BOUND: Duration = Duration::from_millis(30);

/// Per cent of a core that [`OPEN`] pages cost while nothing happens.
const SHARE: f64 = 5.0;
/// Incidents that arrive while a browser looks, and the milliseconds until it shows one.
const ARRIVALS: usize = 20;
const VISIBLE: u64 = 500;

/// What the script of an open page asks for: to be told, and once a minute for itself.
async fn open_page(h: &Harness, path: &str, watch: &str) {
    let events = format!("{}/events?{watch}", h.url);
    let mut events = h.http.get(events).send().await.unwrap();
    let page = format!("{}{path}", h.url);
    // Pages were not all opened at the same moment.
    let offset = rand::random_range(0..60_000);
    let first = tokio::time::Instant::now() + Duration::from_millis(offset);
    let mut minutes = tokio::time::interval_at(first, Duration::from_secs(60));
    loop {
        tokio::select! {
            told = events.chunk() => { told.unwrap().unwrap(); }
            _ = minutes.tick() => {
                let page = h.http.get(&page).send().await.unwrap();
                page.text().await.unwrap();
            }
        }
    }
}

/// The shares of a core that this process and PostgreSQL take for a minute from in a moment on, in per cent.
async fn shares_of_core(h: &Harness) -> (f64, f64) {
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, began) = (used(h).await, Instant::now());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (after, took) = (used(h).await, began.elapsed().as_secs_f64());
    let share = |before: f64, after: f64| (after - before) / took * 100.0;
    (share(before.0, after.0), share(before.1, after.1))
}

/// The shares that they take with open pages of all kinds, what asks for them included.
async fn open_pages(h: &Harness) -> (f64, f64) {
    let page = format!("{}/incidents", h.url);
    let page = h.http.get(page).send().await.unwrap().text().await.unwrap();
    let ids = page
        .split("id=\"i")
        .skip(1)
        .filter_map(|rest| rest.get(..32));
    let ids: Vec<&str> = ids.take(50).collect();
    let list = format!("new=true&ids={}", ids.join(","));
    let one = ids
        .first()
        .map(|id| (format!("/incidents/{id}"), format!("ids={id}")));
    let others = [
        ("/queues", "of=queues"),
        ("/dead-letters", "of=letters"),
        ("/repairs", "of=repairs"),
        ("/anomalies", "of=anomalies"),
        ("/system", "of=system"),
    ];
    let others = others.map(|(path, watch)| (path.to_owned(), watch.to_owned()));
    let kinds: Vec<_> = [("/incidents".to_owned(), list)]
        .into_iter()
        .chain(one)
        .chain(others)
        .collect();
    let open = (0..OPEN).map(|n| {
        let (path, watch) = &kinds[n % kinds.len()];
        open_page(h, path, watch)
    });
    let open = futures::future::join_all(open);
    tokio::select! {
        shares = shares_of_core(h) => shares,
        _ = open => unreachable!("pages stay open"),
    }
}

/// When which text was first on the page, as the browser saw it.
const LOOK: &str = "window.seen = {}; \
    new MutationObserver(() => { \
        for (const title of document.querySelectorAll('.card h2 a')) { \
            window.seen[title.textContent.trim()] ??= Date.now(); \
        } \
    }).observe(document.body, { childList: true, subtree: true });";

/// Milliseconds from a POST to the card in an open page: the middle, and the slowest.
async fn arrivals(h: &Harness) -> (u64, u64) {
    let browser = Browser::start(&h.url).await;
    browser.open("/incidents?sort=newest").await;
    browser.wait_for("● Live").await;
    browser.driver.execute(LOOK, vec![]).await.unwrap();
    let mut took = Vec::new();
    for n in 0..ARRIVALS {
        let name = format!("New{n:02}");
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        h.send(vec![alert(&name, "p", h.now())]).await;
        let ask = format!("return window.seen['{name} in prod'] ?? null");
        let seen = loop {
            let seen = browser.driver.execute(&ask, vec![]).await.unwrap();
            if let Some(seen) = seen.json().as_f64() {
                break seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        took.push(seen as u64 - began.as_millis() as u64);
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..700))).await;
    }
    browser.close().await;
    took.sort_unstable();
    (took[ARRIVALS / 2], took[ARRIVALS - 1])
}

async fn figures(on: On) {
    let mut slow = Vec::new();
    for picture in PICTURES {
        let mut h = Harness::start(on).await;
        fill(&h, &picture).await;
        eprintln!(
            "{on:?}: {MANY:?} anomalies, incidents, occurrences; {}",
            picture.name
        );
        let id = h
            .sql_text(match h.context.db.backend() {
                DbBackend::Postgres => {
                    "SELECT CAST(id AS text) FROM incidents ORDER BY id DESC LIMIT 1"
                }
                _ => "SELECT lower(hex(id)) FROM incidents ORDER BY id DESC LIMIT 1",
            })
            .await;
        let one = format!("/incidents/{id}");
        let lists = LISTS.into_iter().chain(ALL_UNRESOLVED);
        for path in lists.chain(OTHERS).chain([one.as_str()]) {
            let is_bound = LISTS.contains(&path)
                || (ALL_UNRESOLVED.contains(&path) && picture.unresolved <= 200);
            let times = if is_bound { TIMES.0 } else { TIMES.1 };
            let (p99, middle, bytes) = measure(&h, path, times).await;
            eprintln!("  {path}: p50 {middle:.1?}, p99 {p99:.1?}, {bytes} bytes");
            if is_bound && p99 > BOUND {
                slow.push(format!("{}: {path}: {p99:?}", picture.name));
            }
        }
        let (idle, open) = (shares_of_core(&h).await, open_pages(&h).await);
        let share = open.0 + open.1 - idle.0 - idle.1;
        eprintln!(
            "  idle: {:.1} % of a core and {:.1} % in PostgreSQL; with {OPEN} open pages: {:.1} % and {:.1} %",
            idle.0, idle.1, open.0, open.1
        );
        let (middle, slowest) = arrivals(&h).await;
        eprintln!(
            "  a new incident, from its POST to the open page of a browser: p50 {middle} ms, \
             slowest of {ARRIVALS} {slowest} ms"
        );
        if share > SHARE {
            slow.push(format!("{}: {OPEN} open pages: {share:.1} %", picture.name));
        }
        if slowest > VISIBLE {
            slow.push(format!("{}: visible after {slowest} ms", picture.name));
        }
        h.execute("UPDATE incidents SET tier_due_since = NULL")
            .await;
        h.finish_with_dead_letters().await;
    }
    assert!(slow.is_empty(), "{slow:#?}");
}
