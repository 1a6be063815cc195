//! `tocsin maintenance`: maintenance windows are planned, listed and ended.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tocsin::ids::new_id;
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::client::{Client, Remote};
use super::fields::{or_dash, text, time};
use super::output::{print, print_json};
use super::table::{self, Terminal, cell, dim};

/// Reason and anomalies give way.
const SHRINK: [(usize, u16); 2] = [(4, 12), (5, 12)];

/// List, plan and end maintenance windows
#[derive(Debug, Args)]
pub struct MaintenanceArgs {
    #[command(subcommand)]
    command: MaintenanceCommand,
}

#[derive(Debug, Subcommand)]
enum MaintenanceCommand {
    /// List maintenance windows
    List(ListArgs),
    /// Plan a maintenance window
    Add(Box<AddArgs>),
    /// End a maintenance window, or call it off before it starts
    End(EndArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Reason
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Service, with * for any part; may be given more than once
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// Namespace, likewise
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,
    /// Alert name, likewise
    #[arg(long, value_name = "NAME")]
    alert_name: Vec<String>,
    /// Start, for example 2026-12-05T22:00:00+01:00; now if it is not given
    #[arg(long, value_name = "TIME")]
    starts: Option<String>,
    /// End, at most 30 days after the start unless it is --weekly
    #[arg(long, value_name = "TIME", conflicts_with = "for")]
    ends: Option<String>,
    /// Duration, for example 30m, 4h or 3d
    #[arg(long, value_name = "SPAN")]
    r#for: Option<String>,
    /// Days of every week on which it begins, for example sat,sun
    #[arg(long, value_name = "DAYS", value_delimiter = ',', requires_all = ["from", "to", "zone"])]
    weekly: Vec<String>,
    /// When it begins on these days, for example 22:00
    #[arg(long, value_name = "TIME", requires = "weekly")]
    from: Option<String>,
    /// When it ends; before --from: on the next day
    #[arg(long, value_name = "TIME", requires = "weekly")]
    to: Option<String>,
    /// Time zone of --from and --to, for example Europe/Berlin
    #[arg(long, value_name = "ZONE", requires = "weekly")]
    zone: Option<String>,
    #[command(flatten)]
    who: WhoArgs,
}

#[derive(Debug, Args)]
struct EndArgs {
    /// ID of the window, as listed
    id: Uuid,
    #[command(flatten)]
    who: WhoArgs,
}

#[derive(Debug, Args)]
struct WhoArgs {
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl MaintenanceArgs {
    /// Sends the request, and prints the answer.
    ///
    /// # Errors
    /// The instance does not answer or refuses the window; or there is no such window.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        match self.command {
            MaintenanceCommand::List(args) => {
                let found = client.whole(&["maintenance"]).await?;
                match (args.json, found.is_empty()) {
                    (true, _) => print_json(&found)?,
                    (false, true) => eprintln!("No maintenance windows."),
                    (false, false) => print(&render(&found, Terminal::of_stdout()))?,
                }
            }
            MaintenanceCommand::Add(args) => {
                let key = new_id(Timestamp::now()).to_string();
                let path = ["maintenance"];
                let planned = client.post(&path, Some(&args.body()), Some(&key)).await?;
                if args.who.json {
                    return print_json(&planned);
                }
                let id = text(&planned, "/id");
                print(&format!(
                    "Maintenance {}.\nTo end it: tocsin maintenance end {id}",
                    state(&planned)
                ))?;
            }
            MaintenanceCommand::End(args) => {
                let id = args.id.to_string();
                let operator = args.who.operator.as_ref().filter(|name| !name.is_empty());
                let body = json!({"operator": operator});
                let ended = client.delete(&["maintenance", &id], &body).await?;
                if args.who.json {
                    return print_json(&ended);
                }
                print(&format!("Maintenance {}.", state(&ended)))?;
            }
        }
        Ok(())
    }
}

impl AddArgs {
    fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("reason".to_owned(), json!(self.reason));
        for (name, texts) in [
            ("service", &self.service),
            ("namespace", &self.namespace),
            ("alert_name", &self.alert_name),
        ] {
            if !texts.is_empty() {
                body.insert(name.to_owned(), json!(texts));
            }
        }
        for (name, text) in [
            ("starts_at", &self.starts),
            ("ends_at", &self.ends),
            ("for", &self.r#for),
            ("operator", &self.who.operator),
        ] {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                body.insert(name.to_owned(), json!(text));
            }
        }
        if !self.weekly.is_empty() {
            let days: Vec<String> = self.weekly.iter().map(|day| day.to_lowercase()).collect();
            let weekly = json!({"days": days, "from": self.from, "to": self.to, "zone": self.zone});
            body.insert("weekly".to_owned(), weekly);
        }
        Value::Object(body)
    }
}

/// Whether a window holds, and until when or from when on.
fn state(window: &Value) -> String {
    let at = |field| time(window, field).unwrap_or_default();
    match text(window, "/state").as_str() {
        "now" => format!("holds until {}", at("/until")),
        "planned" => format!("is planned for {}", at("/since")),
        _ => "is over".to_owned(),
    }
}

/// When it holds every week; nothing if it is once.
fn weekly(window: &Value) -> String {
    let Some(days) = window.pointer("/weekly/days").and_then(Value::as_array) else {
        return String::new();
    };
    let days: Vec<&str> = days.iter().filter_map(Value::as_str).collect();
    let [from, to, zone] =
        ["/weekly/from", "/weekly/to", "/weekly/zone"].map(|field| text(window, field));
    format!("{} {from}-{to} {zone}", days.join(","))
}

/// What it is about.
fn about(window: &Value) -> String {
    let of = |name: &str| {
        let texts = window.pointer(&format!("/matchers/{name}"))?.as_array()?;
        let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
        Some(format!("{name}={}", texts.join("|")))
    };
    let all = ["service", "namespace", "alert_name"];
    all.into_iter().filter_map(of).collect::<Vec<_>>().join(" ")
}

fn render(windows: &[Value], look: Terminal) -> String {
    let mut table = look.table(&["ID", "STATE", "EVERY WEEK", "BY", "FOR", "REASON"]);
    for window in windows {
        table.add_row(table::line(vec![
            dim(&text(window, "/id")),
            cell(&state(window)),
            cell(&or_dash(weekly(window))),
            cell(&or_dash(text(window, "/created_by"))),
            cell(&about(window)),
            cell(&text(window, "/reason")),
        ]));
    }
    look.render(table, &SHRINK)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: MaintenanceArgs,
    }

    fn body(line: &[&str]) -> Result<Value, clap::Error> {
        let fixed = [
            "maintenance",
            "add",
            "--operator",
            "ann",
            "--reason",
            "a deploy",
        ];
        let cli = Cli::try_parse_from(fixed.iter().chain(line))?;
        match cli.args.command {
            MaintenanceCommand::Add(args) => Ok(args.body()),
            _ => Ok(Value::Null),
        }
    }

    #[test]
    fn a_window_of_every_week_needs_its_times_and_their_zone() {
        assert!(body(&["--service", "a", "--weekly", "sat", "--from", "22:00"]).is_err());
        assert!(body(&["--service", "a", "--from", "22:00"]).is_err());
        let times = ["--from", "22:00", "--to", "02:00", "--zone", "Asia/Taipei"];
        let line = [&["--service", "a", "--weekly", "Sat,sun"], &times[..]].concat();
        let expected = json!({
            "reason": "a deploy", "operator": "ann", "service": ["a"],
            "weekly": {"days": ["sat", "sun"], "from": "22:00", "to": "02:00", "zone": "Asia/Taipei"},
        });
        assert_eq!(body(&line).unwrap(), expected);
    }

    #[test]
    fn a_window_is_listed_with_when_it_holds_and_for_what() {
        let window = json!({
            "id": "01940000-0000-7000-8000-000000000001", "state": "planned", "since": "2026-12-05T14:00:00.000Z",
            "weekly": {"days": ["sat"], "from": "22:00", "to": "02:00", "zone": "Asia/Taipei"},
            "matchers": {"service": ["a", "b*"], "namespace": ["prod"]}, "reason": "a deploy", "created_by": "ann",
        });
        assert_eq!(state(&window), "is planned for 2026-12-05T14:00:00.000Z");
        assert_eq!(weekly(&window), "sat 22:00-02:00 Asia/Taipei");
        assert_eq!(about(&window), "service=a|b* namespace=prod");
        let look = Terminal {
            width: 200,
            colour: false,
        };
        let shown = render(&[window], look);
        for part in ["service=a|b*", "a deploy", "22:00-02:00", "ann"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
