//! Doing something to all that match: how many there are is asked for first, and then for what is to be done,
//! until no more is left.

use serde_json::{Value, json};

use super::client::Client;
use super::error::Error;
use super::fields::number;

/// A request that is about many.
pub(super) struct Many<'a> {
    pub(super) client: &'a Client,
    pub(super) path: &'a [&'a str],
    /// Which ones, as the API spells it.
    pub(super) body: Value,
}

/// What matched.
pub(super) struct Matches {
    /// How many match.
    pub(super) matching: i64,
    /// As of when.
    as_of: Value,
}

impl Many<'_> {
    /// How many match; nothing is done yet.
    pub(super) async fn find(&self) -> Result<Matches, Error> {
        let mut asking = self.body.clone();
        asking["dry_run"] = json!(true);
        let mut found = self.client.post(self.path, Some(&asking), None).await?;
        Ok(Matches {
            matching: number(&found, "/matching").unwrap_or_default(),
            as_of: found["as_of"].take(),
        })
    }

    /// Does it to those that were found, and to none that matched later. `note` is given each answer, and says
    /// how far it is.
    pub(super) async fn finish(
        mut self,
        found: Matches,
        mut note: impl FnMut(&Value) -> String,
    ) -> Result<(), Error> {
        self.body["as_of"] = found.as_of;
        loop {
            let done = self.client.post(self.path, Some(&self.body), None).await?;
            let so_far = note(&done);
            if done["more"] != true {
                return Ok(());
            }
            eprintln!("{so_far}, going on …");
        }
    }
}
