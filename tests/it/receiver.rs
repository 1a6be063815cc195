//! Somebody who takes webhooks, and checks the signature of each as the specification says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tocsin::config::{Payload, Secret, Webhook};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// 24 bytes, as base64.
pub const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[derive(Clone)]
pub struct Receiver {
    state: Arc<Mutex<Received>>,
    is_held: Arc<watch::Sender<bool>>,
    pub url: String,
}

#[derive(Default)]
struct Received {
    deliveries: Vec<Delivery>,
    answers: VecDeque<(StatusCode, &'static str)>,
}

/// What arrived, in the right shape and rightly signed.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: String,
    /// `Idempotency-Key`, of a request to an executor.
    pub key: Option<String>,
    /// In seconds since 1970.
    pub at: i64,
    pub body: Value,
    pub status: StatusCode,
    pub arrived: Instant,
}

impl Receiver {
    /// On a free port, for as long as the test runs.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self {
            state: Arc::default(),
            is_held: Arc::new(watch::Sender::new(false)),
            url,
        };
        let app = Router::new()
            .route("/hook", post(take))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    /// The settings that lead here.
    pub fn settings(&self) -> Webhook {
        Webhook {
            url: Secret::from(self.url.as_str()),
            secret: Some(Secret::from(SECRET)),
            payload: Payload::Event,
        }
    }

    /// The next delivery is answered like this.
    pub fn answer_next(&self, status: u16, body: &'static str) {
        let answer = (StatusCode::from_u16(status).unwrap(), body);
        self.state.lock().unwrap().answers.push_back(answer);
    }

    /// From now on nothing is answered, or everything again.
    pub fn hold(&self, is_held: bool) {
        self.is_held.send_replace(is_held);
    }

    /// Waits until so many have arrived, answered or not.
    pub async fn has(&self, deliveries: usize) {
        while self.deliveries().len() < deliveries {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Every delivery, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.lock().unwrap().deliveries.clone()
    }
}

async fn take(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let key = STANDARD.decode(&SECRET["whsec_".len()..]).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    for part in [id.as_bytes(), b".", at.as_bytes(), b".", &body] {
        mac.update(part);
    }
    let signatures = header("webhook-signature");
    let signature = signatures.strip_prefix("v1,").unwrap();
    mac.verify_slice(&STANDARD.decode(signature).unwrap())
        .expect("the signature is right");
    assert_eq!(header("content-type"), "application/json");
    let answer = {
        let mut seen = receiver.state.lock().unwrap();
        let next = seen.answers.pop_front();
        let answer = next.unwrap_or((StatusCode::NO_CONTENT, ""));
        seen.deliveries.push(Delivery {
            id,
            key: headers
                .contains_key("idempotency-key")
                .then(|| header("idempotency-key")),
            at: at.parse().unwrap(),
            body: serde_json::from_slice(&body).unwrap(),
            status: answer.0,
            arrived: Instant::now(),
        });
        answer
    };
    let mut held = receiver.is_held.subscribe();
    held.wait_for(|is_held| !is_held).await.unwrap();
    answer
}
