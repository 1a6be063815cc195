//! The API, asked what nobody asks.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, header};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use tocsin::web::{Ingress, router};

use super::json::{anything, damaged, object, text};
use super::webhooks::ask;
use super::{runner, wait};
use crate::harness::{Harness, firing};
use crate::on_all;

#[derive(Clone, Debug)]
struct Question {
    method: Method,
    path: String,
    idempotency_key: Option<Vec<u8>>,
    body: Vec<u8>,
}

/// As bytes of an address.
fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").unwrap();
        text
    })
}

/// What may stand between two slashes, or behind an equals sign.
pub fn part(known: Vec<&'static str>) -> impl Strategy<Value = String> {
    let odd = select(vec![
        "%00",
        "%ff",
        "%ED%A0%80",
        "%",
        "%zz",
        "..",
        "%2F",
        "+",
        "%25",
        "_",
        "%5C",
        "0",
        "-1",
        "201",
        "1e3",
        "9223372036854775808",
        "0.%00",
        "9223372036854775807.x",
        "-9223372036854775808.x",
        "OPEN",
        "ESCALATE",
        "00000000-0000-0000-0000-000000000000",
        "ffffffffffffffffffffffffffffffff",
        "urn:uuid:x",
        "%7B01a20f8d-b24b-788f-8346-44d977859706%7D",
    ]);
    prop_oneof![
        3 => select(known).prop_map(ToOwned::to_owned),
        3 => odd.prop_map(ToOwned::to_owned),
        1 => vec(any::<u8>(), 0..20).prop_map(|bytes| encoded(&bytes)),
        1 => (1..2000_usize).prop_map(|n| "a".repeat(n)),
    ]
}

fn questions(incident: &str, anomaly: &str) -> impl Strategy<Value = Question> + use<> {
    let known: &'static str = Box::leak(incident.to_owned().into_boxed_str());
    let key: &'static str = Box::leak(anomaly.to_owned().into_boxed_str());
    let path = prop_oneof![
        Just("incidents".to_owned()),
        Just("anomalies".to_owned()),
        select(vec![
            "incidents/bulk",
            "queues",
            "audit",
            "repairs",
            "repairs/actions",
            "playbooks",
            "maintenance",
            "maintenance/x",
            "playbooks/pods",
            "playbooks/pods/restore",
            "dead-letters",
            "dead-letters/discard",
            "recount/verify",
            "telegram",
        ])
        .prop_map(ToOwned::to_owned),
        part(vec![known, key]).prop_map(|name| format!("trace/{name}")),
        (
            part(vec![known]),
            select(vec![
                "",
                "/occurrences",
                "/repairs",
                "/acknowledge",
                "/take-over",
                "/resolve",
                "/notes"
            ])
        )
            .prop_map(|(id, what)| format!("incidents/{id}{what}")),
        (part(vec![key]), select(vec!["", "/permanent-fix", "/mute"]))
            .prop_map(|(key, what)| format!("anomalies/{key}{what}")),
        (
            part(vec!["ingest", "notify"]),
            select(vec!["/pause", "/resume", ""])
        )
            .prop_map(|(name, what)| format!("queues/{name}{what}")),
        (
            part(vec!["dead-letters", "alertmanager"]),
            part(vec![known, "replay"])
        )
            .prop_map(|(a, b)| format!("{a}/{b}")),
    ];
    let names = vec![
        "status",
        "level",
        "service",
        "namespace",
        "q",
        "cursor",
        "limit",
        "muted",
        "resolved_by",
        "queue",
        "state",
        "older_than",
        "anomaly",
        "actor",
        "source",
        "success",
    ];
    let query = vec(
        (
            part(names),
            part(vec!["prod", "checkout", "1", "50", known]),
        ),
        0..3,
    );
    let query = query.prop_map(|pairs| {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    });
    let name = prop_oneof![
        8 => select(vec![
            "\"action\"", "\"success\"", "\"operator\"", "\"note\"", "\"duration_ms\"", "\"reference\"",
            "\"for\"", "\"why\"", "\"reason\"", "\"ids\"", "\"service\"", "\"weekly\"", "\"ends_at\"", "\"callback_query\"",
        ])
        .prop_map(ToOwned::to_owned),
        1 => text(),
    ];
    let value = prop_oneof![
        2 => text(),
        2 => select(vec!["true", "false", "5", "\"restart_pod\"", "\"a\\u0000b\""]).prop_map(ToOwned::to_owned),
        1 => anything(),
    ];
    let repair =
        value.prop_map(|note| format!(r#"{{"action":"scale","success":true,"note":{note}}}"#));
    let body = prop_oneof![
        2 => Just(String::new()),
        3 => object(name.boxed(), anything(), 3),
        2 => repair,
        1 => anything(),
    ];
    let body = body.prop_map(String::into_bytes);
    let body =
        prop_oneof![4 => body, 1 => damaged(Just(br#"{"operator":"anna"}"#.to_vec()).boxed())];
    let method = select(vec![
        Method::GET,
        Method::GET,
        Method::POST,
        Method::POST,
        Method::DELETE,
        Method::PUT,
    ]);
    let key = weighted(0.3, vec(prop_oneof![32..127_u8, 128..=255_u8], 0..40));
    (method, path, query, key, body).prop_map(|(method, path, query, idempotency_key, body)| {
        Question {
            method,
            path: format!("/api/v1/{path}?{query}"),
            idempotency_key,
            body,
        }
    })
}

on_all! {
    async fn any_api_request_gets_a_response(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incident = h.incident().await;
        let text = |name: &str| incident[name].as_str().unwrap().to_owned();
        let ingress = Ingress::new(h.context.clone(), Arc::clone(&h.gate));
        let router = router(&ingress);
        let try_one = |question: Question| {
            let mut request = Request::builder().method(question.method).uri(&question.path);
            if let Some(key) = &question.idempotency_key {
                request = request.header("idempotency-key", key.as_slice());
            }
            // Not every text is an address.
            let Ok(request) = request.body(Body::from(question.body)) else {
                return Err(TestCaseError::reject("no address"));
            };
            let (response, answer) = wait(ask(&router, request));
            let status = response.status();
            let shown = String::from_utf8_lossy(&answer);
            prop_assert!(status.is_success() || status.is_client_error(), "{}: {}", status, shown);
            if status.is_client_error() {
                let kind = response.headers().get(header::CONTENT_TYPE);
                prop_assert_eq!(kind.unwrap(), "application/problem+json", "{}: {}", status, shown);
            }
            prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok(), "{}: {}", status, shown);
            Ok(())
        };
        let questions = questions(&text("id"), &text("anomaly_key"));
        tokio::task::block_in_place(|| runner(400).run(&questions, try_one).unwrap());
        for queue in tocsin::jobs::QUEUES {
            h.context.queues.store().set_paused(queue, false).await.unwrap();
        }
        h.finish().await;
    }
}
