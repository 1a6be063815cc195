//! The pages and their forms, asked what no browser asks.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, header};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tocsin::web::{Ingress, router};

use super::api::part;
use super::webhooks::ask;
use super::{runner, wait};
use crate::harness::{Harness, firing};
use crate::on_all;

#[derive(Clone, Debug)]
struct PageRequest {
    method: Method,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    form: String,
}

/// What the parts between two slashes are, where something is known.
fn known(incident: &str, anomaly: &str, letter: &str) -> Vec<&'static str> {
    let leak = |text: &str| &*Box::leak(text.to_owned().into_boxed_str());
    let ours = [incident, anomaly, letter].map(leak);
    [&ours[..], &["ingest", "page.css"]].concat()
}

fn pages(known: &[&'static str]) -> impl Strategy<Value = (Method, String)> + use<> {
    let pages = select(vec![
        "/",
        "/incidents",
        "/incidents/{}",
        "/incidents/{}/firings",
        "/anomalies",
        "/anomalies/{}",
        "/services/{}",
        "/repairs",
        "/report",
        "/maintenance",
        "/playbooks",
        "/playbooks/{}",
        "/queues",
        "/dead-letters",
        "/dead-letters/{}",
        "/system",
        "/api",
        "/sign-in",
        "/assets/{}",
    ]);
    let names = vec![
        "status",
        "level",
        "severity",
        "service",
        "namespace",
        "q",
        "sort",
        "after",
        "queue",
        "state",
        "reason",
        "to",
        "done",
    ];
    let values = [known, &["open", "1", "50"]].concat();
    let query = vec((part(names), part(values)), 0..4).prop_map(|pairs| {
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    });
    let filled = (pages, part(known.to_vec())).prop_map(|(page, part)| page.replace("{}", &part));
    let method = select(vec![Method::GET, Method::GET, Method::GET, Method::HEAD]);
    (method, filled, query).prop_map(|(method, page, query)| (method, format!("{page}?{query}")))
}

fn forms(known: &[&'static str]) -> impl Strategy<Value = (Method, String)> + use<> {
    let forms = select(vec![
        "/incidents/{}/acknowledge",
        "/incidents/{}/take-over",
        "/incidents/{}/resolve",
        "/incidents/{}/note",
        "/incidents?service={}",
        "/incidents/{}/repair",
        "/anomalies/{}/fix",
        "/anomalies/{}/unfix",
        "/anomalies/{}/mute",
        "/anomalies/{}/unmute",
        "/maintenance",
        "/maintenance/{}/end",
        "/playbooks",
        "/playbooks/{}/set",
        "/playbooks/{}/withdraw",
        "/playbooks/{}/restore",
        "/playbooks/{}/accept",
        "/queues/{}/pause",
        "/queues/{}/resume",
        "/dead-letters/{}/replay",
        "/dead-letters/{}/discard",
        "/dead-letters/{}/edit",
        "/queues/ingest/{}",
        "/language",
        "/sign-in",
        "/sign-out",
    ]);
    let filled = (forms, part(known.to_vec())).prop_map(|(form, part)| form.replace("{}", &part));
    filled.prop_map(|path| (Method::POST, path))
}

fn fields(mark: &str, known: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    let names = vec![
        "operator",
        "note",
        "action",
        "success",
        "reference",
        "for",
        "own",
        "why",
        "once",
        "payload",
        "to",
        "language",
        "token",
        "name",
        "incident",
    ];
    let values = [known, &["yes", "1h", "restart_pod", "/incidents"]].concat();
    let mark = format!("csrf={mark}");
    vec((part(names), part(values)), 0..6).prop_map(move |pairs| {
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        let fields: Vec<_> = std::iter::once(mark.clone()).chain(pairs).collect();
        fields.join("&")
    })
}

/// What a browser says about itself, said otherwise.
fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let names = select(vec![
        "cookie",
        "accept",
        "accept-language",
        "content-type",
        "content-encoding",
        "range",
        "if-none-match",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
        "traceparent",
        "sec-fetch-site",
    ]);
    let odd = select(vec![
        "",
        "tocsin_session=e30.AAAA",
        "tocsin_session=.; tocsin_language=;;=",
        "zh-TW;q=NaN, en;q=1e400, *;q=-1",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=x",
        "bytes=0-18446744073709551615,-1",
        "gzip, gzip",
        "text/html",
        "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff",
        "same-origin",
    ]);
    let bytes = vec(prop_oneof![32..127_u8, 128..=255_u8], 0..40);
    let value = prop_oneof![3 => odd.prop_map(|text| text.as_bytes().to_vec()), 1 => bytes];
    vec((names, value), 0..4)
}

fn visits(mark: &str, known: &[&'static str]) -> impl Strategy<Value = PageRequest> + use<> {
    let page = (pages(known), headers(), Just(String::new()));
    let form = (forms(known), headers(), fields(mark, known));
    prop_oneof![page.boxed(), form.boxed()].prop_map(|((method, path), headers, form)| {
        PageRequest {
            method,
            path,
            headers,
            form,
        }
    })
}

fn request(visit: PageRequest) -> Result<Request<Body>, TestCaseError> {
    let mut request = Request::builder()
        .method(visit.method)
        .uri(&visit.path)
        .header(header::HOST, "127.0.0.1");
    let says = |name| visit.headers.iter().any(|(said, _)| *said == name);
    if !says("content-type") {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    for (name, value) in &visit.headers {
        request = request.header(*name, value.as_slice());
    }
    // Not every text is an address.
    let request = request.body(Body::from(visit.form));
    request.map_err(|_| TestCaseError::reject("no address"))
}

on_all! {
    async fn any_page_request_gets_a_response(on) {
        let mut h = Harness::start(on).await;
        let alerts = json!({"alerts": [firing("a", h.now()), {"labels": {"job": "x"}}]});
        assert_eq!(h.post("/api/v1/alertmanager", alerts).await.0, 200);
        h.drain().await;
        let incident = h.incident().await;
        let letter = h.get("/api/v1/dead-letters").await["items"][0]["id"].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let id = text(&incident["id"]);
        let known = known(&id, &text(&incident["anomaly_key"]), &text(&letter));
        let router = router(&Ingress::new(h.context.clone(), Arc::clone(&h.gate)));
        let page = h.http.get(format!("{}/incidents/{id}", h.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        let (_, mark) = page.split_once("name=\"csrf\" value=\"").unwrap();
        let mark = mark.split('"').next().unwrap();
        let try_one = |visit: PageRequest| {
            let (response, answer) = wait(ask(&router, request(visit)?));
            let (status, shown) = (response.status(), String::from_utf8_lossy(&answer));
            prop_assert!(status.as_u16() < 500, "{}: {}", status, shown);
            Ok(())
        };
        let visits = visits(mark, &known);
        tokio::task::block_in_place(|| runner(400).run(&visits, try_one).unwrap());
        for queue in tocsin::jobs::QUEUES {
            h.context.queues.store().set_paused(queue, false).await.unwrap();
        }
        h.finish_with_dead_letters().await;
    }
}
