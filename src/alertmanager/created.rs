//! Silences that Tocsin makes: one for each mute, found again by what its comment says. One that is changed is another one,
//! with another id, as soon as it begins at another time: Alertmanager expires the first.

use reqwest::StatusCode;
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

/// A silence that Tocsin made, and that is not over.
#[derive(Clone, Debug)]
pub struct OwnSilence {
    /// Its id.
    pub id: String,
    comment: String,
}

impl OwnSilence {
    /// Whether it was made with this mark.
    #[must_use]
    pub fn is_marked(&self, mark: &str) -> bool {
        self.comment.ends_with(&format!("({mark})"))
    }
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
    /// Makes or changes a silence; one that is gone is made. Returns the id that it has now.
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
        let mut posted = Posted {
            id: new.id,
            matchers: matchers.collect(),
            starts_at: new.starts_at.to_rfc3339(),
            ends_at: new.ends_at.to_rfc3339(),
            created_by: AUTHOR,
            comment: format!("{} ({})", new.why, new.mark),
        };
        let url = api::address(&self.url, "silences");
        let post = |posted: &Posted<'_>| self.http.post(url.clone()).json(posted);
        let made: Made = match api::answer(post(&posted)).await {
            Err(ApiError::Refused(StatusCode::NOT_FOUND)) if posted.id.is_some() => {
                posted.id = None;
                api::answer(post(&posted)).await?
            }
            answered => answered?,
        };
        Ok(made.silence_id)
    }

    /// The silences that Tocsin made, and that are not over.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn own_silences(&self) -> Result<Vec<OwnSilence>, ApiError> {
        let silences: Vec<api::Silence> = api::ask(&self.http, &self.url, "silences", &[]).await?;
        let own = silences
            .into_iter()
            .filter(|silence| silence.status.state != "expired" && silence.created_by == AUTHOR);
        let own = own.map(|silence| OwnSilence {
            id: silence.id,
            comment: silence.comment,
        });
        Ok(own.collect())
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
            Err(ApiError::Refused(status)) if status == StatusCode::NOT_FOUND => Ok(()),
            _ => Err(refused),
        }
    }
}
