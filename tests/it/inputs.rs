//! Bad input: a clear answer, no harm to what is good in the same request, and nothing lost.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tocsin::config::Tokens;
use tocsin::jobs::IngestAlert;
use tocsin::sources::alertmanager::SOURCE;
use tocsin::time::Timestamp;

use crate::harness::{Harness, body, firing, number, resolved};
use crate::on_all;

const WEBHOOK: &str = "/api/v1/alertmanager";

impl Harness {
    async fn post_raw(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.http.post(format!("{}{WEBHOOK}", self.url)).body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if status != 200 {
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
        }
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        if status != 200 {
            assert_eq!(body["status"], status);
            assert!(!body["detail"].as_str().unwrap().is_empty());
        }
        (status, body)
    }

    /// Pushes alerts as an ingress did that received them at that moment, and lets everything run.
    pub async fn push_received(&self, alerts: Vec<Value>, received_at: Timestamp) {
        let translated =
            (SOURCE.translate)(body(&alerts).to_string().as_bytes(), &self.context.config);
        for content in translated.unwrap().alerts {
            let job = IngestAlert {
                source: SOURCE.name.to_owned(),
                received_at,
                content,
            };
            self.context.queues.push(&job).await.unwrap();
        }
        self.drain().await;
    }
}

on_all! {
    async fn a_body_that_is_no_webhook_is_refused_and_nothing_is_stored(on) {
        let h = Harness::start(on).await;
        let bodies: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"alerts=1".to_vec(),
            b"[1,2]".to_vec(),
            b"{\"alerts\":{}}".to_vec(),
            b"{\"groupKey\":1}".to_vec(),
            b"{\"alerts\":[\"\0\"]}".to_vec(),
            b"{\"alerts\":[\"\xff\xfe\"]}".to_vec(),
            b"{\"alerts\":[{}".to_vec(),
            "[".repeat(100_000).into_bytes(),
        ];
        for body in bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert_eq!(h.post_raw(body).await.0, 400, "{shown}");
        }
        assert_eq!(h.queued().await, 0);
        h.finish().await;
    }

    async fn bodies_and_addresses_are_taken_as_people_and_their_tools_write_them(on) {
        let h = Harness::start(on).await;
        let alert = |name: &str| json!({"alerts": [{"labels": {"alertname": name}}]}).to_string();
        let marked = format!("\u{feff}{}", alert("Marked"));
        assert_eq!(h.post_raw(marked).await.0, 200);

        let post = |path: &str| h.http.post(format!("{}{path}", h.url));
        let squeezed = |body: &str| {
            let mut squeezed = GzEncoder::new(Vec::new(), Compression::fast());
            squeezed.write_all(body.as_bytes()).unwrap();
            squeezed.finish().unwrap()
        };
        let send = |encoding: &'static str, body: Vec<u8>| {
            let request = post(WEBHOOK).header("content-encoding", encoding).body(body);
            async move {
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                assert!(status == 200 || answer.headers()["content-type"] == "application/problem+json");
                status
            }
        };
        assert_eq!(send("gzip", squeezed(&alert("Squeezed"))).await, 200);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(alert("Deflated").as_bytes()).unwrap();
        assert_eq!(send("deflate", zlib.finish().unwrap()).await, 200);
        let large = h.context.config.limits.body * 3;
        assert_eq!(send("gzip", squeezed(&" ".repeat(large))).await, 413, "it is bounded as it inflates");
        assert_eq!(send("gzip", alert("Plain").into_bytes()).await, 400);
        let plain = h.http.post(format!("{}/api/v1/alertmanager", h.url)).header("content-encoding", "gzip");
        let plain = plain.body(alert("Plain")).send().await.unwrap().text().await.unwrap();
        assert!(plain.contains("cannot decompress the request body"), "{plain}");
        assert_eq!(send("br", alert("Plain").into_bytes()).await, 415);

        for path in ["/api/v1/alertmanager/", "//api/v1/alertmanager"] {
            let answer = post(path).body(alert("Slash")).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "{path}");
        }
        for method in [Method::GET, Method::HEAD] {
            let request = h.http.request(method.clone(), format!("{}{WEBHOOK}", h.url));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 405, "{method}");
            assert_eq!(answer.headers()["allow"], "POST");
            if method == Method::GET {
                let told = answer.text().await.unwrap();
                assert!(told.contains("webhook for Prometheus' Alertmanager"), "{told}");
            }
        }
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies").await, 4);
        h.finish().await;
    }

    async fn a_body_may_be_in_another_character_set_that_it_names(on) {
        let h = Harness::start(on).await;
        let alert = |name: &str| json!({"alerts": [{"labels": {"alertname": name}}]}).to_string();
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let latin = |text: &str| text.chars().map(|c| u8::try_from(c).unwrap()).collect::<Vec<u8>>();
        let send = async |kind: &str, body: Vec<u8>| {
            let request = h.http.post(format!("{}{WEBHOOK}", h.url)).header("content-type", kind);
            let (status, said) = crate::harness::answer(request.body(body).send().await.unwrap()).await;
            (status, said["detail"].as_str().unwrap_or_default().to_owned())
        };
        let json_in = |name: &str| format!("application/json; charset={name}");
        for (kind, body) in [
            (json_in("utf-16"), utf_16(&alert("Größe"))),
            ("application/json".to_owned(), [vec![0xff, 0xfe], utf_16(&alert("Größe 2"))].concat()),
            (json_in("iso-8859-1"), latin(&alert("Größe 3"))),
            (json_in("\"Windows-1252\""), latin(&alert("Größe 4"))),
            (json_in("UTF-8"), alert("Größe 5").into_bytes()),
        ] {
            assert_eq!(send(&kind, body).await.0, 200, "{kind}");
        }
        // What is UTF-8 is taken as that, whatever it is called.
        assert_eq!(send(&json_in("iso-8859-1"), alert("Größe 7").into_bytes()).await.0, 200);
        let (status, detail) = send(&json_in("utf-32"), vec![0xff, 0x7b]).await;
        assert_eq!((status, detail.as_str()), (415, "unknown character set \"utf-32\": use UTF-8"));
        // What takes more bytes in UTF-8 is bounded in UTF-8.
        let large = vec![0xe9; h.context.config.limits.body / 2 + 1];
        assert_eq!(send(&json_in("iso-8859-1"), large).await.0, 413);
        let mut squeezed = GzEncoder::new(Vec::new(), Compression::fast());
        squeezed.write_all(&utf_16(&alert("Größe 6"))).unwrap();
        let request = h.http.post(format!("{}{WEBHOOK}", h.url));
        let request = request.header("content-type", json_in("utf-16")).header("content-encoding", "gzip");
        let answer = request.body(squeezed.finish().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), 200);

        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE alert_name LIKE 'Größe%'").await, 7);
        let refused = "SELECT count(*) FROM refusals WHERE reason = 'encoding' AND detail LIKE '%utf-32%'";
        h.until(refused, 1).await;
        h.finish().await;
    }

    async fn too_much_at_once_is_refused_as_too_large(on) {
        let h = Harness::start(on).await;
        let many = vec![json!({"labels": {"alertname": "A"}}); 10_001];
        let (status, problem) = h.post_raw(json!({"alerts": many}).to_string()).await;
        assert_eq!(status, 413, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("10001"));
        let large = json!({"alerts": [], "padding": "x".repeat(5 << 20)}).to_string();
        assert_eq!(h.post_raw(large).await.0, 413);
        h.finish().await;
    }

    async fn bad_alerts_are_dead_letters_and_good_ones_beside_them_are_incidents(on) {
        let mut h = Harness::start(on).await;
        let deep = "[".repeat(100_000) + "]".repeat(100_000).as_str();
        let good = firing("good", h.now()).to_string();
        let nul = r#"{"labels":{"alertname":"Nul\u0000","job":"x"},"startsAt":"0001-01-01T00:00:00Z"}"#;
        let long = format!(
            r#"{{"startsAt":"soon","labels":{{"alertname":"Long","x":"{}"}}}}"#,
            "x".repeat(1 << 20)
        );
        let offset = r#"{"labels":{"alertname":"Offset"},"startsAt":"2026-01-01T00:00:00+05:45","new":{"a":[1]}}"#;
        let alerts = [
            good.as_str(),
            nul,
            &long,
            offset,
            "7",
            r#"{"labels":{}}"#,
            r#"{"labels":{"job":"nameless"}}"#,
            r#"{"labels":{"alertname":["Half"],"x":"\ud800"},"annotations":{"hosts":["a"],"values":{"B":22}}}"#,
            &deep,
        ];
        let body = format!(
            r#"{{"version":"3","groupKey":12,"truncatedAlerts":4,"alerts":[{}]}}"#,
            alerts.join(",")
        );
        let (status, taken) = h.post_raw(body).await;
        assert_eq!(status, 200, "{taken}");
        let expected = json!({"status": "ok", "processed": 9, "enqueued": 5, "rejected": 4});
        assert_eq!(taken, expected);
        h.drain().await;

        let mut names: Vec<String> = h
            .incidents()
            .await
            .iter()
            .map(|incident| incident["alert_name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["CrashLooping", "Long", "Nul\u{fffd}", "Offset", "[\"Half\"]"]);
        let together = "SELECT count(*) FROM dead_letters WHERE queue = 'ingest' \
                        AND reason LIKE '4 unusable alerts in one request: %'";
        assert_eq!(h.sql(together).await, 1);
        assert_eq!(h.telegram.taken().len(), 5);
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_truncated_total{source=\"alertmanager\"} 4"));
        assert!(metrics.contains("tocsin_alerts_misdated_total{source=\"alertmanager\"} 1"));
        assert!(metrics.contains("tocsin_alerts_received_total{source=\"alertmanager\"} 9"));
        assert!(metrics.contains("tocsin_alerts_total{source=\"alertmanager\",outcome=\"rejected\"} 4"));
        h.finish_with_dead_letters().await;
    }

    async fn a_dead_letter_keeps_what_was_sent(on) {
        let mut h = Harness::start(on).await;
        let (_, taken) = h.post_raw(r#"{"alerts":[{"labels":{"job":"näme\u0000less"}}]}"#).await;
        assert_eq!(taken["rejected"], 1);
        h.drain().await;
        let query = "SELECT count(*) FROM dead_letters WHERE reason = 'the alert has no alertname'";
        assert_eq!(number(&h.context, query).await, 1);
        use sea_orm::EntityTrait;
        let letters = tocsin::entity::dead_letters::Entity::find();
        let letter = letters.one(h.context.db.read()).await.unwrap().unwrap();
        let payload: Value = serde_json::from_slice(&letter.payload).unwrap();
        assert_eq!(payload["content"]["rejected"]["raw"], r#"{"labels":{"job":"näme\u0000less"}}"#);
        h.finish_with_dead_letters().await;
    }

    async fn what_an_alert_is_called_does_not_depend_on_how_much_of_it_is_kept(on) {
        let h = Harness::start(on).await;
        let alert = |namespace: &str| {
            let mut alert = json!({"labels": {"alertname": "Broker", "namespace": namespace,
                "service": "kafka", "severity": "critical"}, "startsAt": h.now().to_rfc3339()});
            for n in 0..70 {
                alert["labels"][format!("app_label_{n:02}")] = json!("x");
            }
            alert
        };
        h.send_and_drain(vec![alert("pay"), alert("shop")]).await;
        let mut found: Vec<_> = h.incidents().await;
        found.sort_by_key(|incident| incident["namespace"].to_string());
        assert_eq!(found.len(), 2);
        for (incident, namespace) in found.iter().zip(["pay", "shop"]) {
            assert_eq!(incident["namespace"], namespace);
            assert_eq!(incident["service"], "kafka");
            assert_eq!(incident["severity"], "critical");
            assert_eq!(incident["labels"]["tocsin_left_out"], "10");
        }
        h.finish().await;
    }

    async fn an_empty_label_and_none_are_one_series(on) {
        let h = Harness::start(on).await;
        let start = h.now().to_rfc3339();
        let firing = json!({"status": "firing", "startsAt": start,
            "labels": {"alertname": "Disk", "job": "storage", "instance": ""}});
        let over = json!({"status": "resolved", "startsAt": start, "endsAt": h.now().to_rfc3339(),
            "labels": {"alertname": "Disk", "job": "storage"}});
        h.send_and_drain(vec![firing]).await;
        h.send_and_drain(vec![over]).await;
        assert_eq!(h.incident().await["status"], "RESOLVED");
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        h.finish().await;
    }

    async fn equal_alerts_of_two_clusters_are_told_apart_and_a_pair_of_one_is_not(on) {
        let h = Harness::start(on).await;
        let start = h.now();
        let post = async |path: &str, url: &str, alert: Value| {
            let body = json!({"externalURL": url, "alerts": [alert]});
            let (status, taken) = h.post(&format!("{WEBHOOK}{path}"), body).await;
            assert_eq!((status, &taken["enqueued"]), (200, &json!(1)), "{taken}");
            h.drain().await;
        };
        let series = "SELECT count(*) FROM occurrences WHERE series IS NOT NULL";
        // The two of a pair, by the addresses that they make up.
        post("", "http://alertmanager-main-0:9093", firing("a", start)).await;
        post("?x=1", "http://alertmanager-main-1:9093", firing("a", start)).await;
        assert_eq!(h.sql(series).await, 1);
        let eu = "https://am-1.eu.example.com";
        post("", "https://am-0.eu.example.com", firing("a", start)).await;
        post("", eu, firing("a", start)).await;
        post("?cluster=us", eu, firing("a", start)).await;
        assert_eq!(h.sql(series).await, 3);
        post("?cluster=us", eu, resolved(firing("a", start), h.now())).await;
        let open = "SELECT count(*) FROM occurrences WHERE ended_at IS NULL AND series IS NOT NULL";
        assert_eq!(h.sql(open).await, 2);
        assert_eq!(h.incident().await["status"], "OPEN");

        let traced = async |asked: &str| {
            let trace = h.get(&format!("/api/v1/trace/CrashLooping-a{asked}")).await;
            let found = trace["occurrences"].as_array().unwrap().iter();
            let mut sources: Vec<String> =
                found.map(|row| row["source"].as_str().unwrap().to_owned()).collect();
            sources.sort();
            sources
        };
        let (eu, us) = ("alertmanager@am.eu.example.com", "alertmanager@us");
        assert_eq!(traced("?source=alertmanager@us").await, [us]);
        assert_eq!(traced("?source=alertmanager@am.eu.example.com").await, [eu]);
        assert_eq!(h.incident().await["source"], "alertmanager");
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_total{source=\"alertmanager\",outcome=\"counted\"} 3"));
        assert!(!metrics.contains("source=\"other\",outcome=\"counted\"} 1"));

        // With an incident of its own, a cluster is found without being named.
        h.advance(std::time::Duration::from_secs(3600));
        post("?cluster=us", "", firing("a", h.now())).await;
        assert_eq!(traced("").await, ["alertmanager", us, us]);
        h.finish().await;
    }

    async fn a_fingerprint_is_asked_for_by_the_name_that_was_sent(on) {
        let mut h = Harness::start(on).await;
        let long = "web-01.rack7.dc2.example:".repeat(8);
        let alert = |fingerprint: &str| json!({"labels": {"alertname": "Long", "job": fingerprint},
            "fingerprint": fingerprint, "startsAt": h.now().to_rfc3339()});
        let rejected = json!({"labels": {}, "fingerprint": long});
        h.pause("ingest", true).await;
        h.post(WEBHOOK, json!({"alerts": [alert(&long), alert("f\u{0}"), rejected]})).await;
        let trace = h.get(&format!("/api/v1/trace/{long}")).await;
        assert_eq!(trace["jobs"].as_array().unwrap().len(), 2, "{trace:#}");
        h.pause("ingest", false).await;
        h.drain().await;
        for (name, dead) in [(&*long, 1), ("f%00", 0), ("f%EF%BF%BD", 0)] {
            let trace = h.get(&format!("/api/v1/trace/{name}")).await;
            assert_eq!(trace["occurrences"].as_array().unwrap().len(), 1, "{name}: {trace:#}");
            assert_eq!(trace["dead_letters"].as_array().unwrap().len(), dead, "{name}");
        }
        h.finish_with_dead_letters().await;
    }

    async fn a_start_in_the_future_is_counted_as_a_wrong_time(on) {
        let h = Harness::start(on).await;
        let soon = h.now().after(std::time::Duration::from_secs(30));
        let later = h.now().after(std::time::Duration::from_secs(8 * 3600));
        h.send_and_drain(vec![firing("soon", soon)]).await;
        let metrics = h.metrics().await;
        assert!(!metrics.contains("tocsin_alerts_misdated_total{source=\"alertmanager\"} 1"));
        h.send_and_drain(vec![firing("later", later)]).await;
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_misdated_total{source=\"alertmanager\"} 1"));
        h.finish().await;
    }

    async fn what_an_ingress_whose_clock_is_ahead_received_was_received_now(on) {
        let h = Harness::start(on).await;
        let ahead = h.now().after(std::time::Duration::from_secs(8 * 3600));
        h.push_received(vec![firing("a", h.now())], ahead).await;
        let now = h.now().0;
        for column in ["opened_at", "aggregation_window_start", "last_firing_at"] {
            let found = h.sql(&format!("SELECT {column} FROM incidents")).await;
            assert!(found <= now, "{column} is {} s ahead", (found - now) / 1000);
        }
        assert!(h.sql("SELECT occurred_at FROM occurrences").await <= now);
        assert!(h.sql("SELECT last_seen FROM anomalies").await <= now);
        // Its incident cannot be joined for as long as that clock is ahead.
        h.advance(std::time::Duration::from_secs(11 * 60));
        h.send_and_drain(vec![firing("b", h.now())]).await;
        assert_eq!(h.sql("SELECT newest_number FROM anomalies").await, 2);
        h.finish().await;
    }

    async fn what_acts_unseen_is_shown_nowhere_and_long_addresses_are_no_links(on) {
        let h = Harness::start(on).await;
        let mut hostile = firing("a", h.now());
        hostile["annotations"]["summary"] = json!("before\u{202e}evil\u{2066} after\u{2028}more");
        hostile["generatorURL"] = json!(format!("https://example.com/{}", "x".repeat(3_000)));
        h.send_and_drain(vec![hostile]).await;
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let page = h.http.get(format!("{}/incidents/{id}", h.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains("beforeevil after"), "{page}");
        assert!(!page.contains("https://example.com/x"), "it is no link");
        let (_, listed) = h.tocsin(&["incidents"]);
        let told = h.telegram.taken().join("\n");
        for shown in [&page, &listed, &told] {
            assert!(!shown.contains(['\u{202e}', '\u{2066}']), "{shown}");
        }
        assert!(!listed.contains('\u{2028}'), "{listed}");
        h.finish().await;
    }

    async fn an_anomaly_says_which_labels_it_was_called_by(on) {
        let h = Harness::start(on).await;
        let alert = json!({"labels": {"alertname": "KubePodCrashLooping", "container": "api",
            "job": "kube-state-metrics", "namespace": "prod", "pod": "api-6c9f7d8b5c-x2x7z"}});
        h.send_and_drain(vec![alert]).await;
        let key = h.incident().await["anomaly_key"].as_str().unwrap().to_owned();
        let anomaly = h.get(&format!("/api/v1/anomalies/{key}")).await;
        assert_eq!(anomaly["service"], "api");
        let made_of = json!({"alert_name": "alertname", "service": "container",
            "namespace": "namespace", "error_type": ""});
        assert_eq!(anomaly["made_of"], made_of);
        let page = h.http.get(format!("{}/anomalies/{key}", h.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains("api <small>from label container</small>"), "{page}");
        // The same four fields of another label: the anomaly is the same, and says so.
        let alert = json!({"labels": {"alertname": "KubePodCrashLooping", "job": "api",
            "namespace": "prod"}});
        h.send_and_drain(vec![alert]).await;
        let anomaly = h.get(&format!("/api/v1/anomalies/{key}")).await;
        assert_eq!(anomaly["made_of"]["service"], "job");
        assert_eq!(anomaly["total"], 2);
        h.finish().await;
    }

    async fn a_wrong_or_missing_token_is_refused(on) {
        let h = Harness::start_with(on, |config| {
            config.webhook_token = Tokens::from("hook");
            config.api_token = Tokens::from("api");
        })
        .await;
        let webhook = || h.http.post(format!("{}{WEBHOOK}", h.url)).body(r#"{"alerts":[]}"#);
        let list = || h.http.get(format!("{}/api/v1/incidents", h.url));
        let table = [
            (webhook(), StatusCode::UNAUTHORIZED),
            (webhook().bearer_auth("hoo"), StatusCode::UNAUTHORIZED),
            (webhook().bearer_auth("api"), StatusCode::UNAUTHORIZED),
            (webhook().basic_auth("x", Some("wrong")), StatusCode::UNAUTHORIZED),
            (webhook().bearer_auth("hook"), StatusCode::OK),
            (webhook().basic_auth("prometheus", Some("hook")), StatusCode::OK),
            (list(), StatusCode::UNAUTHORIZED),
            (list().bearer_auth("hook"), StatusCode::UNAUTHORIZED),
            (list().basic_auth("x", Some("api")), StatusCode::UNAUTHORIZED),
            (list().bearer_auth("api"), StatusCode::OK),
            (h.http.get(format!("{}/healthz", h.url)), StatusCode::OK),
        ];
        for (request, expected) in table {
            let shown = format!("{request:?}");
            assert_eq!(request.send().await.unwrap().status(), expected, "{shown}");
        }
        h.finish().await;
    }

    async fn what_does_not_exist_and_what_cannot_be_is_told_as_a_problem(on) {
        let h = Harness::start(on).await;
        let unknown = "00000000-0000-7000-8000-000000000000";
        let table = [
            ("GET", "/nowhere".to_owned(), 404),
            ("DELETE", "/api/v1/incidents".to_owned(), 405),
            ("GET", format!("/api/v1/incidents/{unknown}"), 404),
            ("GET", "/api/v1/incidents/7".to_owned(), 404),
            ("GET", format!("/api/v1/incidents/{unknown}/occurrences"), 404),
            ("POST", format!("/api/v1/incidents/{unknown}/acknowledge"), 404),
            ("POST", format!("/api/v1/incidents/{unknown}/repairs"), 400),
            ("GET", "/api/v1/incidents?limit=0".to_owned(), 400),
            ("GET", "/api/v1/incidents?limit=201".to_owned(), 400),
            ("GET", "/api/v1/incidents?status=BROKEN".to_owned(), 400),
            ("GET", "/api/v1/incidents?cursor=x".to_owned(), 400),
            ("GET", "/api/v1/incidents?colour=red".to_owned(), 400),
            ("GET", "/api/v1/anomalies/x".to_owned(), 404),
            ("POST", "/api/v1/anomalies/x/permanent-fix".to_owned(), 404),
            ("POST", "/api/v1/queues/x/pause".to_owned(), 404),
        ];
        for (method, path, expected) in table {
            let request = h.http.request(method.parse().unwrap(), format!("{}{path}", h.url));
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), expected, "{method} {path}");
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        }
        h.finish().await;
    }

    async fn a_full_queue_is_answered_with_503_and_retry_after(on) {
        let h = Harness::start_with(on, |config| config.queue.max_depth = 10).await;
        h.context.queues.store().set_paused("ingest", true).await.unwrap();
        let alerts = (0..20).map(|n| firing(&n.to_string(), h.now())).collect();
        h.send(alerts).await;
        h.gate.look(&h.context).await.unwrap();
        let request = h.http.post(format!("{}{WEBHOOK}", h.url)).body(r#"{"alerts":[]}"#);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
        h.context.queues.store().set_paused("ingest", false).await.unwrap();
        h.drain().await;
        h.gate.look(&h.context).await.unwrap();
        h.send_and_drain(vec![firing("later", h.now())]).await;
        assert_eq!(h.incident().await["aggregated_count"], 21);
        h.finish().await;
    }
}
