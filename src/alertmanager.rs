//! The Alertmanager that sends here, asked: which alerts it still has, and what is silenced there.
//!
//! Nothing on the way of an alert waits for it, and it is never asked while a lock or a transaction is
//! held. It is asked for 5 s at most, and what it answers is bounded; silences are shared for 30 s by all
//! callers, and no caller waits for them longer than a second.

mod api;
mod created;
mod silence;
mod survey;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use moka::future::Cache;
use reqwest::{Client, Url, redirect};

pub use api::FiringAlert;
pub use created::{NewSilence, OwnSilence};

use crate::config::Secret;
use crate::domain::verdict::TimeSpan;
use crate::time::Timestamp;
use silence::KnownSilence;
pub use silence::Silence;
use survey::Heard;
pub use survey::{Outage, Silences, Survey};

/// Connecting, asking and the answer together.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Silences are asked for no more often than this.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// How long a caller waits for silences, at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why it did not say what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// It cannot be reached, or takes too long.
    #[error("Alertmanager does not respond: {0}")]
    Unreachable(String),
    /// It refused.
    #[error("Alertmanager responded with {0}")]
    Refused(reqwest::StatusCode),
    /// It said more than is read.
    #[error("Alertmanager responded with more than {0} bytes")]
    TooLong(usize),
    /// It said something else than an Alertmanager does.
    #[error("cannot parse the response of Alertmanager: {0}")]
    Senseless(String),
}

/// A handle to it, cheap to clone.
#[derive(Clone)]
pub struct Alertmanager {
    http: Client,
    /// With user and password, if it has them.
    url: Url,
    silences: Cache<(), Option<Arc<Vec<KnownSilence>>>>,
    heard: Arc<Mutex<Heard>>,
}

impl Alertmanager {
    /// For the one at this URL; nothing is asked yet.
    ///
    /// # Errors
    /// What is wrong with the URL; its text is not in it.
    pub fn new(url: &Secret) -> Result<Self, String> {
        let url = Url::parse(url.expose()).map_err(|error| error.to_string())?;
        let http = crate::tls::client()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        let silences = Cache::builder()
            .max_capacity(1)
            .time_to_live(GOOD_FOR)
            .build();
        Ok(Self {
            http,
            url,
            silences,
            heard: Arc::default(),
        })
    }

    /// The fingerprints of all alerts that it has, silenced and inhibited ones included.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn fingerprints(&self) -> Result<HashSet<String>, ApiError> {
        let alerts = self.alerts().await?;
        Ok(alerts.into_iter().map(|alert| alert.fingerprint).collect())
    }

    async fn alerts(&self) -> Result<Vec<api::Alert>, ApiError> {
        let query = [
            ("active", "true"),
            ("silenced", "true"),
            ("inhibited", "true"),
            ("unprocessed", "true"),
        ];
        api::ask(&self.http, &self.url, "alerts", &query).await
    }

    /// What fires there for this receiver, without what is silenced or inhibited.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn firing(&self, receiver: &str) -> Result<Vec<FiringAlert>, ApiError> {
        // It reads the name as a pattern of the whole.
        let receiver = regex::escape(receiver);
        let query = [
            ("active", "true"),
            ("silenced", "false"),
            ("inhibited", "false"),
            ("unprocessed", "false"),
            ("receiver", &*receiver),
        ];
        api::ask(&self.http, &self.url, "alerts", &query).await
    }

    /// Since when it runs: what fires reaches one that just started only when its sender sends it again.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn started_at(&self) -> Result<Timestamp, ApiError> {
        let server: api::Server = api::ask(&self.http, &self.url, "status", &[]).await?;
        let started = Timestamp::parse(&server.uptime);
        started.ok_or_else(|| ApiError::Senseless(format!("uptime is {:?}", server.uptime)))
    }

    /// The silences that hold now for an alert with these labels, those that last longest first; `None`
    /// if it does not answer in time.
    pub async fn silences(&self, labels: &serde_json::Value) -> Option<Vec<Silence>> {
        let kept = self.kept_silences().await?;
        let matching = kept
            .iter()
            .filter(|kept| kept.holds() && kept.silences(labels));
        let mut found: Vec<Silence> = matching
            .map(|kept| kept.silence(&page_of(&self.url)))
            .collect();
        found.sort_by_key(|silence| std::cmp::Reverse(silence.ends_at));
        Some(found)
    }

    /// When an alert with these labels is silenced, or was as far as Alertmanager remembers it, from and to; `None` if it
    /// does not answer in time.
    pub async fn silenced(&self, labels: &serde_json::Value) -> Option<Vec<TimeSpan>> {
        let kept = self.kept_silences().await?;
        let matching = kept.iter().filter(|kept| kept.silences(labels));
        let spans = matching.map(KnownSilence::span);
        // One that was withdrawn before it began never held.
        Some(spans.filter(|(from, to)| from < to).collect())
    }

    async fn kept_silences(&self) -> Option<Arc<Vec<KnownSilence>>> {
        let this = self.clone();
        // Who gives up waiting does not end the look: the next one finds what came of it.
        let look = tokio::spawn(async move {
            let look = async { this.look().await };
            this.silences.get_with((), look).await
        });
        tokio::time::timeout(PATIENCE, look).await.ok()?.ok()?
    }

    async fn look(&self) -> Option<Arc<Vec<KnownSilence>>> {
        match api::ask::<Vec<api::Silence>>(&self.http, &self.url, "silences", &[]).await {
            Ok(silences) => Some(Arc::new(
                silences.into_iter().filter_map(KnownSilence::of).collect(),
            )),
            Err(error) => {
                tracing::warn!("cannot show silences: {error}");
                None
            }
        }
    }
}

impl std::fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Alertmanager")
            .field(&page_of(&self.url))
            .finish()
    }
}

/// The source of what comes from an Alertmanager. One of its family may send what it has, too.
pub const SOURCE: &str = "alertmanager";

/// Where people reach the Alertmanager at `url`: without user and password, and without a slash at the end.
#[must_use]
pub fn page(url: &Secret) -> Option<String> {
    Some(page_of(&Url::parse(url.expose()).ok()?))
}

fn page_of(url: &Url) -> String {
    let mut url = url.clone();
    // What has a host can have its user taken away; the settings allow nothing else.
    let is_clean = url.set_username("").is_ok() && url.set_password(None).is_ok();
    if !is_clean {
        return String::new();
    }
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_led_there_without_user_and_password() {
        for (url, expected) in [
            ("http://am:9093", "http://am:9093"),
            ("http://am:9093/", "http://am:9093"),
            (
                "https://tocsin:planted@am.example/alerts/?planted#planted",
                "https://am.example/alerts",
            ),
        ] {
            let url = Secret::from(url);
            assert_eq!(page(&url).as_deref(), Some(expected));
            let shown = format!("{:?}", Alertmanager::new(&url).unwrap());
            assert!(!shown.contains("planted"), "{shown}");
        }
    }
}
