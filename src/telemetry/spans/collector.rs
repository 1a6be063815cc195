//! Export of spans to the collector.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::{Client, redirect};
use tokio::runtime::Handle;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Minimum time between two warnings that spans are dropped.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The collector. The exporter's thread waits for it; the requests are made where all others are.
#[derive(Debug)]
pub(super) struct Collector {
    http: Client,
    runtime: Handle,
    logged_at: Mutex<Option<Instant>>,
}

/// The spans were not taken.
#[derive(Debug, thiserror::Error)]
#[error("the collector {0}")]
struct NotTaken(String);

impl Collector {
    pub(super) fn new(endpoint: &str) -> Result<Self, reqwest::Error> {
        let mut http = crate::tls::client()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none());
        if endpoint.starts_with("http://") {
            // A small container may have no certificates, and loading them would fail.
            http = http.tls_certs_only([]);
        }
        Ok(Self {
            http: http.build()?,
            runtime: Handle::current(),
            logged_at: Mutex::default(),
        })
    }

    /// Neither the address nor the response is logged: a password may be in the one, and the
    /// headers that were sent in the other.
    fn warn(&self, why: &str) {
        let now = Instant::now();
        let mut logged_at = self
            .logged_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if logged_at.is_none_or(|logged_at| now.duration_since(logged_at) >= LOG_INTERVAL) {
            *logged_at = Some(now);
            tracing::warn!("dropped spans: the collector {why}");
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)
            .map_err(|_| NotTaken("has an invalid address".to_owned()))?;
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let answer = http.execute(request).await?;
            let status = answer.status();
            // To the end, so that the connection can be used again; it says nothing that is needed.
            answer.bytes().await?;
            Ok::<_, reqwest::Error>(status)
        });
        let status = match sent.await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => {
                let why = if error.is_timeout() {
                    "does not respond in time"
                } else {
                    "cannot be reached"
                };
                self.warn(why);
                return Err(NotTaken(why.to_owned()).into());
            }
            Err(_) => {
                return Err(
                    NotTaken("was not contacted, because the process stops".to_owned()).into(),
                );
            }
        };
        if !status.is_success() {
            self.warn(&format!("answered {status}"));
        }
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = status;
        Ok(answer)
    }
}
