//! Requests that are refused as a whole: bodies, tokens, addresses, a full queue.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tocsin::config::Tokens;

use super::WEBHOOK;
use crate::harness::{Harness, firing};
use crate::on_all;

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

    async fn unknown_ids_and_invalid_values_return_problem_documents(on) {
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
