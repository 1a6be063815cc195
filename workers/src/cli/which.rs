//! Which incident is meant: by its id, or by the last eight digits of it, as messages have them.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::bail;
use serde_json::Value;
use tocsin::domain::id::{IncidentRef, ShortId};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::age;
use super::client::Client;
use super::error::Error;
use super::fields::{or_dash, text, time};

/// An incident as it is named on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct IncidentArg(IncidentRef);

impl FromStr for IncidentArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = IncidentRef::read(text).map(Self);
        named.ok_or("not an incident ID: give the full ID or the 8-character short ID")
    }
}

impl IncidentArg {
    /// Its id: as it was given, or as the instance knows it.
    ///
    /// # Errors
    /// The instance does not answer, or there is none, or several, whose id ends so.
    pub(super) async fn id(self, client: &Client) -> anyhow::Result<Uuid> {
        match self.0 {
            IncidentRef::Whole(id) => Ok(id),
            IncidentRef::Short(short) => the_one(short, &ending_with(client, short).await?),
        }
    }
}

/// The key of an anomaly that is named by it, or by an incident of it. An incident's id has hyphens, or is
/// short; a key has none, and is longer.
///
/// # Errors
/// The instance does not answer, or there is none, or several, whose id ends so.
pub(super) async fn anomaly(client: &Client, name: &str) -> anyhow::Result<String> {
    let id = match ShortId::read(name) {
        Some(short) => the_one(short, &ending_with(client, short).await?)?.to_string(),
        None if name.contains('-') => name.to_owned(),
        None => return Ok(name.to_owned()),
    };
    let incident = client.get(&["incidents", &id], &[]).await?;
    Ok(text(&incident, "/anomaly_key"))
}

/// The incidents whose ids end so.
pub(super) async fn ending_with(client: &Client, short: ShortId) -> Result<Vec<Value>, Error> {
    // Those that have it in a text are found, too, and may be many.
    let query = [("q", short.to_string())];
    let mut found = client.list(&["incidents"], &query, usize::MAX).await?;
    found.retain(|incident| id_of(incident).is_some_and(|id| short.is_of(id)));
    Ok(found)
}

/// The id of the only one of these.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn the_one(short: ShortId, found: &[Value]) -> anyhow::Result<Uuid> {
    match found {
        [] => bail!("no incident has the short ID {short}"),
        [one] => {
            id_of(one).ok_or_else(|| anyhow::anyhow!("the instance sent an incident without an ID"))
        }
        several => bail!(candidates(short, several, Timestamp::now())),
    }
}

fn candidates(short: ShortId, several: &[Value], now: Timestamp) -> String {
    let many = several.len();
    let mut message = format!("{many} incidents have the short ID {short}; give the full ID:");
    for incident in several {
        let opened = time(incident, "/opened_at").map(|at| age::moment(at, now));
        let _ = write!(
            message,
            "\n  {}  {}, opened {}",
            text(incident, "/id"),
            or_dash(text(incident, "/title")),
            or_dash(opened.unwrap_or_default())
        );
    }
    message
}

/// An incident's short id; empty if it has none.
pub(super) fn short_id(incident: &Value) -> String {
    let short = id_of(incident).map(|id| ShortId::of(id).to_string());
    short.unwrap_or_default()
}

fn id_of(incident: &Value) -> Option<Uuid> {
    text(incident, "/id").parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;
    use wiremock::matchers::{method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    pub(in crate::cli) const ID: &str = "01940000-0000-7000-8000-00007fb309c4";
    const OTHER: &str = "01950000-0000-7000-8000-0000000000aa";
    const TWIN: &str = "01960000-0000-7000-8000-00007fb309c4";

    /// A list that has these incidents for 7fb309c4.
    pub(in crate::cli) async fn found(server: &MockServer, ids: &[&str]) {
        let items: Vec<Value> = ids
            .iter()
            .map(|id| {
                json!({"id": id, "title": "Pod 7fb309c4\u{1b}[2J fails", "anomaly_key": "k",
                       "opened_at": "2026-11-22T21:25:29.102Z"})
            })
            .collect();
        let page = json!({"items": items, "next_cursor": null});
        Mock::given(method("GET"))
            .and(path("/api/v1/incidents"))
            .and(query_param("q", "7fb309c4"))
            .respond_with(ResponseTemplate::new(200).set_body_json(page))
            .mount(server)
            .await;
    }

    async fn ask(ids: &[&str], which: &str) -> Result<String, String> {
        let server = MockServer::start().await;
        found(&server, ids).await;
        let which: IncidentArg = which.parse().unwrap();
        let id = which.id(&Client::of(&server.uri())).await;
        id.map(|id| id.to_string())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_unique_short_id_resolves() {
        // The second has it in its title alone.
        assert_eq!(ask(&[OTHER, ID], "7FB309C4").await.unwrap(), ID);
        let nobody = ask(&[OTHER], "7fb309c4").await.unwrap_err();
        assert_eq!(nobody, "no incident has the short ID 7fb309c4");
    }

    #[tokio::test]
    async fn a_whole_id_is_taken_as_it_is() {
        let without_dashes = OTHER.replace('-', "");
        assert_eq!(ask(&[], OTHER).await.unwrap(), OTHER);
        assert_eq!(ask(&[], &without_dashes).await.unwrap(), OTHER);
    }

    #[tokio::test]
    async fn an_ambiguous_short_id_is_rejected() {
        let message = ask(&[TWIN, OTHER, ID], "7fb309c4").await.unwrap_err();
        assert!(message.contains(TWIN) && message.contains(ID) && !message.contains(OTHER));
        let opened = "2026-11-22T21:25:29.102Z";
        let two = [
            json!({"id": TWIN, "title": "Pod\u{1b}[2J fails", "opened_at": opened}),
            json!({"id": ID}),
        ];
        let short = ShortId::read("7fb309c4").unwrap();
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        insta::assert_snapshot!(candidates(short, &two, now), @"
        2 incidents have the short ID 7fb309c4; give the full ID:
          01960000-0000-7000-8000-00007fb309c4  Pod [2J fails, opened 2026-11-22T21:25:29.102Z (3m ago)
          01940000-0000-7000-8000-00007fb309c4  -, opened -
        ");
    }

    #[test]
    fn an_unknown_incident_is_refused() {
        for text in ["", "7", "7fb309c", "7fb309c4a", "7fb309cz", "checkout"] {
            assert!(text.parse::<IncidentArg>().is_err(), "{text}");
        }
    }
}
