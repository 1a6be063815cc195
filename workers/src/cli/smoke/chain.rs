//! One source's canary, from link to link.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::config::Secret;
use tocsin::domain::canary::Link;
use tokio::time::sleep;

use super::report::{Outcome, SourceReport, Step};
use crate::cli::client::Client;
use crate::cli::error::Error;
use crate::cli::fields::{number, text};

/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// How canaries are sent, and what is asked of them.
pub(super) struct Chain<'a> {
    pub(super) client: &'a Client,
    pub(super) token: Option<&'a Secret>,
    pub(super) chat: Option<&'a str>,
    pub(super) operator: Option<&'a str>,
    pub(super) within: Duration,
}

/// Why a link is not in order, and what to do.
struct Broken {
    why: String,
    hint: &'static str,
}

impl Broken {
    fn of(error: &Error, hint: &'static str) -> Self {
        Self {
            why: error.to_string(),
            hint,
        }
    }
}

/// What to look at if a link is late.
const fn hint(link: Link) -> &'static str {
    match link {
        Link::Ingress => "check the address, the webhook token, and what stands before Tocsin",
        Link::Queue => {
            "no worker took the alert: run one for the queue ingest; `tocsin queues` says whether it is paused or full"
        }
        Link::Incident => {
            "look for errors of the database in the worker's log, and at `tocsin dead list`"
        }
        Link::Tier => "run a worker for the queue tier; look at `tocsin queues` and its log",
        Link::Message => {
            "run a worker for the queue notify; look at `tocsin queues`, its log and [[routes]]; try `tocsin notify test`"
        }
        Link::Resolve => "look at `tocsin queues` and the log of the worker of the queue ingest",
    }
}

impl Chain<'_> {
    /// Sends a canary as this source does, waits for each link, ends it, and waits for that.
    pub(super) async fn follow(&self, source: &str) -> SourceReport {
        let mut report = SourceReport::new(source);
        if let Err((link, broken)) = self.go(source, &mut report).await {
            report.steps.push(Step {
                link,
                outcome: Outcome::Failed,
                ms: None,
                detail: broken.why,
                hint: Some(broken.hint),
            });
            for later in Link::ALL.into_iter().filter(|later| *later > link) {
                report
                    .steps
                    .push(Step::skipped(later, "an earlier link failed"));
            }
        }
        report
    }

    async fn go(&self, source: &str, report: &mut SourceReport) -> Result<(), (Link, Broken)> {
        let mut body = json!({"source": source});
        if let Some(chat) = self.chat {
            body["channel"] = chat.into();
        }
        if let Some(operator) = self.operator {
            body["operator"] = operator.into();
        }
        let made = self.client.post(&["canaries"], Some(&body), None).await;
        let made = made.map_err(|error| {
            let hint = "an operator token (TOCSIN_API_TOKEN) is needed to make a canary";
            (Link::Ingress, Broken::of(&error, hint))
        })?;
        let id = text(&made, "/id");
        report.canary = Some(id.clone());
        let ms = self
            .send(&made["firing"])
            .await
            .map_err(|b| (Link::Ingress, b))?;
        let path = text(&made, "/firing/path");
        report.done(Link::Ingress, ms, format!("POST {path}"));
        for link in [Link::Queue, Link::Incident, Link::Tier, Link::Message] {
            let found = self.wait(&id, link).await.map_err(|b| (link, b))?;
            report.done(link, found.0, said(link, &found.1));
        }
        if made["resolved"].is_null() {
            let why = "this source's settings have no status for an end";
            report.steps.push(Step::skipped(Link::Resolve, why));
            return Ok(());
        }
        self.send(&made["resolved"])
            .await
            .map_err(|b| (Link::Resolve, b))?;
        let found = self.wait(&id, Link::Resolve).await;
        let (ms, _) = found.map_err(|b| (Link::Resolve, b))?;
        report.done(Link::Resolve, ms, "the incident is resolved".to_owned());
        Ok(())
    }

    /// Posts one of its requests; returns how many milliseconds that took.
    async fn send(&self, request: &Value) -> Result<u64, Broken> {
        let headers = request["headers"].as_object().into_iter().flatten();
        let headers =
            headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let headers: Vec<(String, String)> = headers.collect();
        let body = request["body"].as_str().unwrap_or_default().to_owned();
        let (began, path) = (Instant::now(), text(request, "/path"));
        let sent = self
            .client
            .post_delivery(&path, &headers, body, self.token)
            .await;
        sent.map_err(|error| Broken::of(&error, hint(Link::Ingress)))?;
        let took = began.elapsed();
        match took <= self.within {
            true => Ok(ms(took)),
            false => Err(self.late(Link::Ingress, took)),
        }
    }

    /// Waits until a link is done; returns how long it took by the instance's clock, and the canary.
    async fn wait(&self, id: &str, link: Link) -> Result<(u64, Value), Broken> {
        let began = Instant::now();
        loop {
            let found = self.client.get(&["canaries", id], &[]).await;
            let found = found.map_err(|error| Broken::of(&error, hint(link)))?;
            if text(&found, "/failed_link") == link.name() {
                return Err(Broken {
                    why: text(&found, "/error"),
                    hint: hint(link),
                });
            }
            let links = found["links"].as_array().into_iter().flatten();
            let mut of_link = links.filter(|one| one["link"] == link.name());
            let took = of_link.next().and_then(|one| number(one, "/ms"));
            if let Some(took) = took.and_then(|ms| u64::try_from(ms).ok()) {
                let late = Duration::from_millis(took);
                return match late <= self.within {
                    true => Ok((took, found)),
                    false => Err(self.late(link, late)),
                };
            }
            if began.elapsed() > self.within {
                return Err(Broken {
                    why: format!("not done within {:?}", self.within),
                    hint: hint(link),
                });
            }
            sleep(INTERVAL).await;
        }
    }

    fn late(&self, link: Link, took: Duration) -> Broken {
        Broken {
            why: format!("took {took:.1?}, and may take {:?}", self.within),
            hint: hint(link),
        }
    }
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// What came of a link, for people.
fn said(link: Link, found: &Value) -> String {
    let channels = || {
        let channels = found["channels"].as_array().into_iter().flatten();
        let channels: Vec<&str> = channels.filter_map(Value::as_str).collect();
        channels.join(", ")
    };
    match link {
        Link::Queue => "a worker took it".to_owned(),
        Link::Incident => "it opened an incident".to_owned(),
        Link::Tier => {
            let tier = number(found, "/tier").unwrap_or_default();
            format!("level {}, tier {tier}", text(found, "/level"))
        }
        Link::Message => match text(found, "/sent") {
            sent if sent.is_empty() => format!("rendered for {}; not sent", channels()),
            sent => format!("sent to {}: {sent}", text(found, "/channel")),
        },
        Link::Ingress | Link::Resolve => String::new(),
    }
}
