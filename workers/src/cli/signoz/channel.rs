//! The notification channel: a webhook to Tocsin's SigNoz source.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin::config::Secret;

use super::is_source;
use super::report::{Planned, Request, Step};
use super::server::{CHANNELS, Server};

/// The channel as it should be.
pub(super) struct Channel<'a> {
    pub(super) name: &'a str,
    pub(super) url: String,
    /// What SigNoz presents to Tocsin. None: what it presents already stays.
    pub(super) token: Option<&'a Secret>,
}

impl Channel<'_> {
    /// What to do for the channel to be so.
    ///
    /// # Errors
    /// SigNoz does not answer, or hides a token that would have to be sent again.
    pub(super) async fn plan(&self, server: &Server) -> anyhow::Result<Planned> {
        let what = format!("channel {}", self.name);
        let planned = |step, lines| Planned {
            what: what.clone(),
            step,
            lines,
        };
        let channels = server.list(CHANNELS, "channels").await?;
        let named = |field: &str| channels.iter().find(|channel| channel[field] == self.name);
        let Some(listed) = named("displayName").or_else(|| named("name")) else {
            return Ok(planned(
                Step::Create(self.creation()),
                vec![self.described()],
            ));
        };
        let id = listed["id"].as_str().unwrap_or_default();
        let channel = server.get(&[&CHANNELS[..], &[id]].concat()).await?;
        let (kind, spec) = (&channel["config"]["kind"], &channel["config"]["spec"]);
        let is_ours = kind == "webhook" && spec["url"].as_str().is_some_and(is_source);
        if !is_ours || channel["displayName"] != self.name {
            let why = format!(
                "SigNoz has a channel {} that does not send to Tocsin",
                self.name
            );
            return Ok(planned(Step::Foreign(why), Vec::new()));
        }
        let lines = self.differences(spec);
        if lines.is_empty() {
            return Ok(planned(Step::Same, lines));
        }
        let path = [&CHANNELS[..], &[id]].concat();
        let update = Request {
            method: Method::PUT,
            path: path.into_iter().map(str::to_owned).collect(),
            body: json!({"config": {"kind": "webhook", "spec": self.updated(spec)?}}),
        };
        Ok(planned(Step::Update(update), lines))
    }

    fn creation(&self) -> Request {
        let mut spec = json!({"url": self.url, "sendResolved": true});
        if let Some(token) = self.token {
            spec["bearerToken"] = json!(token.expose());
        }
        Request {
            method: Method::POST,
            path: CHANNELS.map(str::to_owned).to_vec(),
            body: json!({
                "name": self.name,
                "displayName": self.name,
                "config": {"kind": "webhook", "spec": spec},
            }),
        }
    }

    fn described(&self) -> String {
        let token = match self.token {
            Some(_) => "with a token",
            None => "without a token (set TOCSIN_WEBHOOK_TOKEN if Tocsin needs one)",
        };
        format!("webhook {}, {token}", self.url)
    }

    /// What differs from a channel that is there. No token is part of it.
    pub(super) fn differences(&self, spec: &Value) -> Vec<String> {
        let wanted = json!({"url": self.url, "sendResolved": true});
        let mut lines = super::difference::of(spec, &wanted);
        if let Some(token) = self.token {
            match said(spec, "bearerToken") {
                None => lines.push("bearerToken: none -> the webhook token".to_owned()),
                // It may be another one; that it is replaced by itself does no harm.
                Some(there) if is_hidden(there) => {
                    lines.push("bearerToken: hidden -> the webhook token".to_owned());
                }
                Some(there) if there != token.expose() => {
                    lines.push("bearerToken: another -> the webhook token".to_owned());
                }
                Some(_) => {}
            }
            if said(spec, "username").is_some() {
                lines.push("username and password: set -> none".to_owned());
            }
        }
        lines
    }

    /// The channel's part of an update, with what presents it to Tocsin.
    pub(super) fn updated(&self, spec: &Value) -> anyhow::Result<Value> {
        let mut updated = json!({"url": self.url, "sendResolved": true});
        if let Some(token) = self.token {
            updated["bearerToken"] = json!(token.expose());
            return Ok(updated);
        }
        for field in ["bearerToken", "username", "password"] {
            match said(spec, field) {
                Some(there) if is_hidden(there) => anyhow::bail!(
                    "SigNoz does not tell the channel's {field}, which an update must contain: set TOCSIN_WEBHOOK_TOKEN"
                ),
                Some(there) => updated[field] = json!(there),
                None => {}
            }
        }
        Ok(updated)
    }
}

fn said<'a>(spec: &'a Value, field: &str) -> Option<&'a str> {
    spec[field].as_str().filter(|text| !text.is_empty())
}

/// Whether this stands for a secret instead of being it.
fn is_hidden(text: &str) -> bool {
    text == "<secret>" || text.chars().all(|c| matches!(c, '*' | '•'))
}

/// A name that SigNoz takes for a channel: a DNS label.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = text.chars().all(|c| is_plain(c) || c == '-');
    let ends = [text.chars().next(), text.chars().last()];
    let is_label = inner && text.len() <= 63 && ends.iter().all(|end| end.is_some_and(is_plain));
    match is_label {
        true => Ok(text.to_owned()),
        false => Err("must be small letters, digits and -, at most 63".to_owned()),
    }
}
