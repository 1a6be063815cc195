//! A language model behind an interface like OpenAI's (`POST …/chat/completions`). It contributes a text and
//! nothing else; whatever goes wrong, the analysis is made without it.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::RETRY_AFTER;
use tocsin::config::{Config, Secret};
use tocsin::context::Context;
use tocsin::domain::analysis::prompt::{self, Facts};
use tocsin::domain::analysis::redaction::Redaction;
use tocsin::domain::analysis::{Generated, NotGenerated};
use tocsin::entity::incidents;
use tocsin::http_client::{builder, causes, read};
use tocsin::store::{analysis, maintenance};
use tocsin::text::Lang;

/// So much of an answer is read.
const ANSWER: usize = 256 << 10;

/// Where the model is, and how it is asked.
#[derive(Debug)]
pub struct Model {
    client: Client,
    url: String,
    name: String,
    key: Option<Secret>,
    per_hour: u32,
    instructions: Option<String>,
    redaction: Redaction,
}

/// Why the model contributed nothing.
#[derive(Clone, Debug)]
pub struct ModelError {
    /// In a word.
    pub why: NotGenerated,
    /// What happened, without the key and the address.
    pub detail: String,
}

impl Model {
    /// The one that the settings name, if they do.
    ///
    /// # Errors
    /// It cannot be asked as they say.
    pub fn of(config: &Config) -> Result<Option<Self>, String> {
        let settings = &config.analysis.model;
        let (Some(url), Some(name)) = (&settings.url, &settings.name) else {
            return Ok(None);
        };
        let instructions = settings.prompt.as_ref().map(|file| {
            let read = std::fs::read_to_string(file);
            read.map_err(|error| format!("{}: {error}", file.display()))
        });
        let client = builder().timeout(settings.timeout.0).build();
        Ok(Some(Self {
            client: client.map_err(|error| causes(&error))?,
            url: format!("{}/chat/completions", url.trim_end_matches('/')),
            name: name.clone(),
            key: settings.key.clone(),
            per_hour: settings.per_hour,
            instructions: instructions.transpose()?,
            redaction: Redaction::new(&settings.redact).map_err(|error| error.to_string())?,
        }))
    }

    /// Asks what the model makes of an incident, if there is budget left for that.
    ///
    /// # Errors
    /// It contributes nothing.
    pub async fn ask(
        &self,
        context: &Context,
        incident: &incidents::Model,
        sentences: &[String],
    ) -> Result<Generated, ModelError> {
        let no_budget = |detail: String| ModelError {
            why: NotGenerated::Budget,
            detail,
        };
        let db = context.db.write();
        let taken = async {
            let now = context.clock.of_store(maintenance::now(db).await?);
            analysis::take_request(db, self.per_hour, now).await
        };
        match taken.await {
            Ok(true) => {}
            Ok(false) => {
                let detail = format!("{} requests were made within the hour", self.per_hour);
                return Err(no_budget(detail));
            }
            // What cannot be counted is not asked.
            Err(error) => return Err(no_budget(error.to_string())),
        }
        let facts = Facts {
            sentences,
            labels: &incident.labels,
            annotations: &incident.annotations,
            language: match context.config.language {
                Lang::English => "English",
                Lang::Chinese => "Traditional Chinese as written in Taiwan",
            },
        };
        let body = prompt::request(
            &self.name,
            self.instructions.as_deref(),
            facts,
            &self.redaction,
        );
        let text = self.post(&body).await?;
        Ok(Generated {
            text,
            model: self.name.clone(),
        })
    }

    async fn post(&self, body: &serde_json::Value) -> Result<String, ModelError> {
        let mut request = self.client.post(&self.url).json(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            let again = response.headers().get(RETRY_AFTER);
            let again = again.and_then(|value| value.to_str().ok()?.parse().ok());
            let again = again.map(|after| format!(", again in {:?}", Duration::from_secs(after)));
            return Err(ModelError {
                why: NotGenerated::Refused,
                detail: format!("it answered {status}{}", again.unwrap_or_default()),
            });
        }
        let (answer, broken) = read(response, ANSWER).await;
        if let Some(error) = broken {
            return Err(failed(error));
        }
        prompt::answer(&answer).map_err(|why| ModelError {
            why,
            detail: "its answer has no text, or is no JSON".to_owned(),
        })
    }
}

fn failed(error: reqwest::Error) -> ModelError {
    let why = match error.is_timeout() {
        true => NotGenerated::Timeout,
        false => NotGenerated::Unreachable,
    };
    ModelError {
        why,
        detail: causes(&error.without_url()),
    }
}
