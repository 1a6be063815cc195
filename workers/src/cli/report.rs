//! `tocsin report`: the report of a period.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tocsin::report::said::{self, number, sentences, trend};
use tocsin::report::{Report, markdown};
use tocsin::text::Lang;
use tocsin::time::Timestamp;

use super::client::{Client, Remote};
use super::fields::{or_dash, plain};
use super::output::{print, print_json};
use super::table::{self, Terminal, cell};

/// Show the report of a period: what came in, what came of it, what came back, and what helped
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Start of the period (RFC 3339), brought back to the full hour
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// End of the period (RFC 3339), brought back to the full hour; default: now
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Length of the period in days, 1 to 31, unless --from says its start
    #[arg(long, value_name = "N", default_value_t = 7, conflicts_with = "from",
          value_parser = clap::value_parser!(u64).range(1..=31))]
    days: u64,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time = Timestamp::parse(text);
    time.ok_or_else(|| "not a time: write it as 2026-11-30T09:00:00Z".to_owned())
}

impl ReportArgs {
    /// Asks the instance and prints what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or refuses the token or the period.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let to = self.to.unwrap_or_else(Timestamp::now);
        let days = Duration::from_secs(self.days * 86_400);
        let from = self.from.unwrap_or_else(|| to.before(days));
        let mut query = vec![("from", from.to_rfc3339())];
        // Where only the start is given, the instance knows the end.
        if self.to.is_some() || self.from.is_none() {
            query.push(("to", to.to_rfc3339()));
        }
        let found = client.get(&["report"], &query).await?;
        if self.json {
            return print_json(&found);
        }
        let report = read(found)?;
        if self.markdown {
            return Ok(print(markdown(&report, Lang::English).trim_end())?);
        }
        Ok(print(&render(&report, Terminal::of_stdout()))?)
    }
}

fn read(found: Value) -> anyhow::Result<Report> {
    use anyhow::Context as _;
    serde_json::from_value(found)
        .context("the instance is of another version: print its report with --json")
}

fn render(report: &Report, look: Terminal) -> String {
    let lang = Lang::English;
    let mut out = format!("{}\n\n", said::period(lang, report.from, report.to));
    let said = sentences(report, lang);
    let width = said.iter().map(|one| one.name.chars().count()).max();
    for one in said {
        let width = width.unwrap_or(0);
        out.push_str(&format!("{:width$}  {}\n", one.name, one.says));
    }
    for sentence in said::incomplete(report, lang) {
        out.push_str(&format!("\n{sentence}\n"));
    }
    if report.returning.is_empty() {
        return out.trim_end().to_owned();
    }
    let mut table = look.table(&["ANOMALY", "SERVICE", "LEVEL", "COUNT", "BEFORE", "TREND"]);
    table::align_right(&mut table, [3, 4]);
    for one in &report.returning {
        table.add_row(table::line(vec![
            cell(&or_dash(plain(&one.alert_name))),
            cell(&or_dash(plain(&one.service))),
            cell(one.level.name()),
            cell(&number(one.occurrences.count)),
            cell(&or_dash(
                one.occurrences.before.map(number).unwrap_or_default(),
            )),
            cell(&or_dash(trend(lang, one.occurrences).unwrap_or_default())),
        ]));
    }
    format!(
        "{out}\nCame back most\n{}",
        look.render(table, &[(0, 16), (1, 12)])
    )
}
