//! Lists: printed as a table or as JSON, or drawn again in place.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tocsin::time::Timestamp;

use super::client::Client;
use super::error::Error;
use super::output::{print, print_json};
use super::table::Terminal;
use super::watch;

/// Arguments that refresh a list.
#[derive(Debug, Default, Args)]
pub(super) struct WatchArgs {
    /// Refresh every SECS seconds, until Ctrl-C
    #[arg(
        long,
        value_name = "SECS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3600),
        conflicts_with = "json"
    )]
    pub(super) watch: Option<u64>,
}

/// A list of the API, as it is asked for.
pub(super) struct List<'a> {
    pub(super) client: &'a Client,
    /// Where it is below `/api/v1`.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'static str, String)],
    /// Maximum number of results.
    pub(super) limit: usize,
    /// What is said where there is nothing.
    pub(super) none: &'a str,
}

impl List<'_> {
    /// Prints it once, or draws it until Ctrl-C. A list that ends at its limit says so, aside from what
    /// programs read.
    ///
    /// # Errors
    /// The instance does not answer; or there is no terminal to draw on.
    pub(super) async fn show(
        &self,
        json: bool,
        again: &WatchArgs,
        render: impl Fn(&[Value], Timestamp, Terminal) -> String,
    ) -> anyhow::Result<()> {
        let table = |items: &[Value]| match items {
            [] => self.none.to_owned(),
            items => render(items, Timestamp::now(), Terminal::of_stdout()),
        };
        if let Some(secs) = again.watch {
            let ask = async || self.ask().await;
            let every = Duration::from_secs(secs);
            return watch::watch(&self.client.instance(), every, ask, table).await;
        }
        let items = self.ask().await?;
        if json {
            print_json(&items)?;
        } else if items.is_empty() {
            eprintln!("{}", self.none);
        } else {
            print(&table(&items))?;
        }
        if let Some(cut) = cut(items.len(), self.limit) {
            eprintln!("{cut}");
        }
        Ok(())
    }

    async fn ask(&self) -> Result<Vec<Value>, Error> {
        self.client.list(self.path, self.query, self.limit).await
    }
}

/// Reads how many results are wanted: 0 would show nothing.
///
/// # Errors
/// It is no number, or 0.
pub(super) fn limit(text: &str) -> Result<usize, &'static str> {
    let limit = text.parse().ok().filter(|limit| *limit > 0);
    limit.ok_or("give a number of at least 1")
}

/// That a list may go on behind its limit, if it may.
fn cut(items: usize, limit: usize) -> Option<String> {
    let cut = || match limit {
        1 => "Only the first is shown; for more: --limit N".to_owned(),
        limit => format!("Only the first {limit} are shown; for more: --limit N"),
    };
    (items > 0 && items >= limit).then(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_nothing_is_not_asked_for() {
        assert_eq!(limit("1"), Ok(1));
        for none in ["0", "-1", "", "x"] {
            assert!(limit(none).is_err(), "{none}");
        }
    }

    #[test]
    fn a_list_that_ends_at_its_limit_says_so() {
        assert_eq!(cut(0, 50), None);
        assert_eq!(cut(49, 50), None);
        let note = "Only the first 50 are shown; for more: --limit N";
        assert_eq!(cut(50, 50).as_deref(), Some(note));
    }
}
