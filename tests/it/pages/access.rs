//! Roles on the pages: who may see and do what.

mod refused;
mod sessions;
mod visitor;

use serde_json::{Value, json};
use tocsin::config::Tokens;
use tocsin::jobs::IngestAlert;
use tocsin::store::audit;
use tocsin::store::dead_letters::{self, Filter};

use crate::harness::{Harness, On, firing};
use visitor::{OPERATE, READ, Visitor, to};

#[tokio::test(flavor = "multi_thread")]
async fn forms_need_the_own_origin_and_an_operator_token() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.api_token = Tokens::from(OPERATE);
        config.read_token = Tokens::from(READ);
    })
    .await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let ids = tocsin::store::views::changes::newest(h.context.db.read(), 1)
        .await
        .unwrap();
    let page = format!("/incidents/{}", ids[0]);
    let resolve = format!("{page}/resolve");

    let stranger = Visitor::new(&h);
    for path in ["/incidents", "/attention", "/events", "/system", &page] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.status(), 303, "{path}");
        assert!(to(&answer).starts_with("/sign-in?to="), "{path}");
    }
    assert_eq!(stranger.post(&resolve, &[]).await.status(), 303);
    assert_eq!(
        stranger
            .post("/sign-in", &[("token", "wrong")])
            .await
            .status(),
        401
    );

    let operator = Visitor::signed_in(&h, OPERATE).await;
    let csrf = operator.csrf(&page).await;
    let reader = Visitor::signed_in(&h, READ).await;
    let readers = reader.csrf("/incidents").await;
    let sent = [
        (operator.post(&resolve, &[]).await, "without the mark"),
        (
            operator.post(&resolve, &[("csrf", &readers)]).await,
            "with another's mark",
        ),
        (
            operator
                .post_from("http://evil.example", &resolve, &[("csrf", &csrf)])
                .await,
            "from elsewhere",
        ),
        (
            reader.post(&resolve, &[("csrf", &readers)]).await,
            "by who may only look",
        ),
    ];
    for (answer, what) in sent {
        assert_eq!(answer.status(), 403, "{what}");
    }
    assert!(
        !reader
            .get(&page)
            .await
            .text()
            .await
            .unwrap()
            .contains(&resolve)
    );
    let resolved = "SELECT count(*) FROM incidents WHERE status = 'RESOLVED'";
    assert_eq!(h.sql(resolved).await, 0);

    let answer = operator
        .post(&resolve, &[("csrf", &csrf), ("operator", "Ann")])
        .await;
    assert_eq!(to(&answer), format!("{page}?done=resolve"));
    assert_eq!(h.sql(resolved).await, 1);
    let audited = "SELECT count(*) FROM audit WHERE operator = 'Ann' AND actor LIKE 'operate:%'";
    assert_eq!(h.sql(audited).await, 1);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_runs_no_foreign_script() {
    let h = Harness::start(On::Sqlite).await;
    let mut alert = firing("a", h.now());
    alert["annotations"]["summary"] = "<script>alert(1)</script>".into();
    alert["generatorURL"] = "javascript:alert(1)".into();
    h.send_and_drain(vec![alert]).await;
    let visitor = Visitor::new(&h);
    let id = h.incident().await["id"].as_str().unwrap().to_owned();
    for path in [
        "/incidents".to_owned(),
        format!("/incidents/{id}"),
        "/incidents/x".to_owned(),
    ] {
        let answer = visitor.get(&path).await;
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.unwrap();
        for planted in ["<script>alert", "javascript:", " style=", " onclick="] {
            assert!(!page.contains(planted), "{path} has {planted}");
        }
        for part in page.split("/assets/").skip(1) {
            let name = part.split('"').next().unwrap();
            let asset = visitor.get(&format!("/assets/{name}")).await;
            assert_eq!(asset.status(), 200, "{name}");
            let kept = asset.headers()["cache-control"].to_str().unwrap();
            assert!(kept.contains("immutable"), "{name}: {kept}");
        }
    }
    h.finish().await;
}

/// A payload that an ingest job can have.
fn usable(h: &Harness) -> String {
    let body = json!({"alerts": [firing("usable", h.now())]}).to_string();
    let config = tocsin::config::Config::default();
    let taken =
        (tocsin::sources::SOURCES[0].translate)(&tocsin::sources::Delivery::of(body), &config)
            .unwrap();
    let job = IngestAlert {
        source: "alertmanager".to_owned(),
        received_at: h.now(),
        content: taken.alerts.into_iter().next().unwrap(),
    };
    json!(job).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_on_the_pages_records_its_operator() {
    let mut h = Harness::start_with(On::Sqlite, |config| {
        config.api_token = Tokens::from(OPERATE);
    })
    .await;
    let unusable = json!({"status": "firing"});
    for alert in [&firing("a", h.now()), &unusable, &unusable, &unusable] {
        let sent = json!({"alerts": [alert]});
        assert_eq!(h.post("/api/v1/alertmanager", sent).await.0, 200);
    }
    h.drain().await;
    let db = h.context.db.read();
    let incident = tocsin::store::views::changes::newest(db, 1).await.unwrap()[0];
    let key = "SELECT CAST(max(key) AS text) FROM anomalies";
    let key = h.sql_text(key).await;
    let letters = dead_letters::list(db, &Filter::default(), None, 3).await;
    let letters: Vec<_> = letters.unwrap().iter().map(|letter| letter.id).collect();
    let ann = Visitor::called(&h, "Ann").await;
    let (csrf, payload) = (ann.csrf("/incidents").await, usable(&h));
    // What was rejected is not run as it is, and its page says so.
    let page = format!("/dead-letters/{}", letters[0]);
    let offers = async || ann.get(&page).await.text().await.unwrap();
    let shown = offers().await;
    let replay = format!("action=\"{page}/replay\"");
    assert!(shown.contains("rejected again on replay"), "{shown}");
    assert!(!shown.contains("Replay</button>"), "{shown}");
    let begins = "&quot;labels&quot;: {\n        &quot;alertname&quot;: &quot;&quot;";
    assert!(
        shown.contains(begins),
        "it is edited as the alert that it could be: {shown}"
    );
    h.execute(&format!(
        "UPDATE dead_letters SET payload = CAST('{payload}' AS blob) WHERE id = X'{}'",
        letters[0].simple()
    ))
    .await;
    let shown = offers().await;
    assert!(
        shown.contains(&replay) && shown.contains("Replay</button>"),
        "{shown}"
    );
    let form = [
        ("csrf", &*csrf),
        ("action", "restart_pod"),
        ("success", "yes"),
        ("for", "1h"),
        ("payload", &payload),
    ];
    for (path, action) in [
        (
            format!("/incidents/{incident}/acknowledge"),
            "incident.acknowledge",
        ),
        (
            format!("/incidents/{incident}/take-over"),
            "incident.take_over",
        ),
        (format!("/incidents/{incident}/repair"), "incident.repair"),
        (format!("/incidents/{incident}/resolve"), "incident.resolve"),
        (format!("/anomalies/{key}/fix"), "anomaly.fix"),
        (format!("/anomalies/{key}/unfix"), "anomaly.unfix"),
        (format!("/anomalies/{key}/mute"), "anomaly.mute"),
        (format!("/anomalies/{key}/unmute"), "anomaly.unmute"),
        ("/queues/recount/pause".to_owned(), "queue.pause"),
        (
            format!("/dead-letters/{}/replay", letters[0]),
            "dead_letter.replay",
        ),
        (
            format!("/dead-letters/{}/edit", letters[1]),
            "dead_letter.replay",
        ),
        (
            format!("/dead-letters/{}/discard", letters[2]),
            "dead_letter.discard",
        ),
        ("/queues/recount/resume".to_owned(), "queue.resume"),
    ] {
        let answer = ann.post(&path, &form).await;
        assert_eq!(answer.status(), 303, "{path}");
        let newest = audit::list(db, &audit::Filter::default(), None, 1).await;
        let newest = newest.unwrap().remove(0);
        assert_eq!(
            (newest.action.as_str(), newest.operator.as_deref()),
            (action, Some("Ann"))
        );
        if action == "queue.pause" {
            let page = ann.get("/queues").await.text().await.unwrap();
            assert!(page.contains("Ann"), "{page}");
            let asked = h
                .http
                .get(format!("{}/api/v1/queues", h.url))
                .bearer_auth(OPERATE);
            let queues: Value =
                serde_json::from_str(&asked.send().await.unwrap().text().await.unwrap()).unwrap();
            let mut queues = queues["items"].as_array().unwrap().iter();
            let paused = queues.find(|queue| queue["name"] == "recount").unwrap();
            assert_eq!(paused["paused_by"], "Ann");
        }
    }
    h.drain().await;
    let by_ann = "SELECT count(*) FROM repairs WHERE operator = 'Ann'";
    assert_eq!(h.sql(by_ann).await, 1);
    let by_ann = "SELECT count(*) FROM dead_letters WHERE decided_by = 'Ann'";
    assert!(h.sql(by_ann).await >= 1);
    h.finish_with_dead_letters().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_is_clicked_twice_is_one() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let visitor = Visitor::new(&h);
    let page = format!("/incidents/{}", h.incident().await["id"].as_str().unwrap());
    let path = format!("{page}/repair");
    let (csrf, once) = (
        visitor.csrf(&page).await,
        visitor.hidden(&page, "once").await,
    );
    let form = |once, action| {
        [
            ("csrf", &*csrf),
            ("once", once),
            ("action", action),
            ("success", "no"),
        ]
    };
    let counts = async || {
        h.drain().await;
        let audited = "SELECT count(*) FROM audit WHERE action = 'incident.repair'";
        (
            h.sql("SELECT count(*) FROM repairs").await,
            h.sql(audited).await,
        )
    };
    let first = form(&once, "restart_pod");
    let (a, b) = tokio::join!(visitor.post(&path, &first), visitor.post(&path, &first));
    for answer in [a, b, visitor.post(&path, &first).await] {
        assert_eq!(to(&answer), format!("{page}?done=repair"));
    }
    assert_eq!(counts().await, (1, 1));
    // Another repair in the same form, and the same one in a new form, are repairs of their own.
    visitor.post(&path, &form(&once, "scale_up")).await;
    assert_eq!(counts().await, (2, 2));
    let again = visitor.hidden(&page, "once").await;
    visitor.post(&path, &form(&again, "restart_pod")).await;
    assert_eq!(counts().await, (3, 3));
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_incidents_are_changed_by_one_form() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.api_token = Tokens::from(OPERATE);
    })
    .await;
    let alerts = ["A", "B", "C"].map(|name| crate::harness::alert(name, "p", h.now()));
    let sent = json!({"alerts": alerts}).to_string();
    let sent = h
        .http
        .post(format!("{}/api/v1/alertmanager", h.url))
        .body(sent);
    assert_eq!(sent.send().await.unwrap().status(), 200);
    h.drain().await;
    let ann = Visitor::called(&h, "Ann").await;
    let list = "/incidents?severity=critical";
    let page = ann.get(list).await.text().await.unwrap();
    let ids: Vec<&str> = page
        .split("name=\"id\" value=\"")
        .skip(1)
        .map(|rest| &rest[..32])
        .collect();
    assert_eq!(ids.len(), 3, "{page}");
    let (csrf, once) = (ann.csrf(list).await, ann.hidden(list, "once").await);
    let form = |what| {
        [
            ("csrf", &*csrf),
            ("once", &*once),
            ("id", ids[0]),
            ("id", ids[1]),
            ("do", what),
            ("for", "1h"),
            ("note", "deploy"),
        ]
    };
    // Somebody else's form changes nothing.
    let form_of = form("resolve");
    let forged = ann.post_from("http://evil.example", list, &form_of).await;
    assert_eq!(forged.status(), 403);
    for what in ["acknowledge", "mute", "note", "resolve"] {
        let done = ann.post(list, &form(what)).await;
        assert_eq!(to(&done), format!("{list}&changed=2&asked=2"), "{what}");
        // Sent twice by a double click.
        let again = ann.post(list, &form(what)).await;
        assert_eq!(to(&again), to(&done));
    }
    let shown = ann.get(&format!("{list}&changed=1&asked=2")).await;
    let shown = shown.text().await.unwrap();
    assert!(shown.contains("1 of 2 changed."), "{shown}");
    let nothing = ann.post(list, &[("csrf", &*csrf), ("do", "resolve")]).await;
    assert_eq!(to(&nothing), format!("{list}&changed=0&asked=0"));
    h.drain().await;
    let by_ann = "SELECT count(*) FROM incidents WHERE status = 'RESOLVED' AND operator = 'Ann'";
    assert_eq!(h.sql(by_ann).await, 2);
    assert_eq!(h.sql("SELECT count(*) FROM notes").await, 8);
    let muted = "SELECT count(*) FROM anomalies WHERE muted_why = 'deploy' AND muted_by = 'Ann'";
    assert_eq!(h.sql(muted).await, 2);
    h.finish().await;
}
