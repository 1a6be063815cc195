//! Silences that Tocsin makes: one for each mute, found again by what its comment says.

use serde::{Deserialize, Serialize};

use super::{Alertmanager, ApiError, api};
use crate::time::Timestamp;

/// Who makes them.
const AUTHOR: &str = "tocsin";

/// A silence to make, or to change.
#[derive(Clone, Debug)]
pub struct NewSilence<'a> {
    /// The one to change; none makes one.
    pub id: Option<&'a str>,
    /// Labels, and what each must be.
    pub matchers: &'a [(String, String)],
    /// Since when it holds.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// What it is found again by.
    pub mark: &'a str,
    /// Why.
    pub why: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    matchers: Vec<PostedMatcher<'a>>,
    starts_at: String,
    ends_at: String,
    created_by: &'a str,
    comment: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostedMatcher<'a> {
    name: &'a str,
    value: &'a str,
    is_regex: bool,
    is_equal: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(rename = "silenceID")]
    silence_id: String,
}

impl Alertmanager {
    /// Makes or changes a silence. Returns its id, which another one has if a changed one had expired.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn silence(&self, new: &NewSilence<'_>) -> Result<String, ApiError> {
        let matchers = new.matchers.iter().map(|(name, value)| PostedMatcher {
            name,
            value,
            is_regex: false,
            is_equal: true,
        });
        let posted = Posted {
            id: new.id,
            matchers: matchers.collect(),
            starts_at: new.starts_at.to_rfc3339(),
            ends_at: new.ends_at.to_rfc3339(),
            created_by: AUTHOR,
            comment: format!("{} ({})", new.why, new.mark),
        };
        let url = api::address(&self.url, "silences");
        let made: Made = api::answer(self.http.post(url).json(&posted)).await?;
        Ok(made.silence_id)
    }

    /// The silence with this mark that Tocsin made and that is not over, if there is one.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn silence_marked(&self, mark: &str) -> Result<Option<String>, ApiError> {
        let silences: Vec<api::Silence> = api::ask(&self.http, &self.url, "silences", &[]).await?;
        let end = format!("({mark})");
        let ours = silences.into_iter().find(|silence| {
            silence.status.state != "expired"
                && silence.created_by == AUTHOR
                && silence.comment.ends_with(&end)
        });
        Ok(ours.map(|silence| silence.id))
    }

    /// Expires a silence. One that is gone or over is none any more.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn expire(&self, id: &str) -> Result<(), ApiError> {
        let what = format!("silence/{id}");
        let url = api::address(&self.url, &what);
        let refused = match api::done(self.http.delete(url)).await {
            Err(ApiError::Refused(status)) => ApiError::Refused(status),
            answered => return answered.map(drop),
        };
        // It refuses to expire what has expired.
        match api::ask::<api::Silence>(&self.http, &self.url, &what, &[]).await {
            Ok(silence) if silence.status.state == "expired" => Ok(()),
            Err(ApiError::Refused(status)) if status == reqwest::StatusCode::NOT_FOUND => Ok(()),
            _ => Err(refused),
        }
    }
}
