//! Giving a dead letter another payload: in an editor, or from a file.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tocsin::sources::draft;
use uuid::Uuid;

use super::super::client::Client;
use super::super::output::{print, print_json};
use super::decide::{Decision, outcome};
use super::show::rejected;

/// Edits the letter's payload and replays it. The letter must still be as it was when the editor opened.
pub(super) async fn edit(
    client: &Client,
    id: Uuid,
    payload: Option<&Path>,
    operator: Option<String>,
    json: bool,
) -> anyhow::Result<()> {
    let name = id.to_string();
    let letter = client.get(&["dead-letters", &name], &[]).await?;
    let state = letter["state"].as_str().unwrap_or_default();
    ensure!(
        state == "dead",
        "{id} is {state}: only a dead letter can be replayed"
    );
    let alerts = rejected(&letter).unwrap_or_default();
    ensure!(
        alerts <= 1,
        "{id} holds {alerts} rejected alerts, and a job takes one. Correct the content as received \
         (tocsin dead show {id} --sent), send it to the webhook again, and then: tocsin dead discard {id}"
    );
    let Some(text) = payload.map_or_else(|| in_editor(&letter, id), read)? else {
        let unchanged = match alerts {
            0 => format!(" To replay it unchanged: tocsin dead replay {id}"),
            _ => String::new(),
        };
        eprintln!("The payload is unchanged, so nothing was replayed.{unchanged}");
        return Ok(());
    };
    match replay(client, &letter, &text.text, operator).await {
        Ok(letter) => {
            text.forget();
            if json {
                return print_json(&letter);
            }
            print(&outcome(Decision::Replay, &letter))?;
            Ok(())
        }
        Err(error) => bail!("{error:#}\n{}", text.kept(id)),
    }
}

async fn replay(
    client: &Client,
    letter: &Value,
    text: &str,
    operator: Option<String>,
) -> anyhow::Result<Value> {
    let payload: Value = serde_json::from_str(text).context("the payload is not valid JSON")?;
    let body = json!({"payload": payload, "operator": operator, "replay": letter["replay"]});
    let id = letter["id"].as_str().unwrap_or_default();
    let path = ["dead-letters", id, "replay"];
    Ok(client.post(&path, Some(&body), None).await?)
}

/// What was written, and where it stays if it is refused.
struct Written {
    text: String,
    file: Option<PathBuf>,
}

impl Written {
    fn forget(&self) {
        if let Some(file) = &self.file {
            // Left behind it does no harm.
            let _ = fs::remove_file(file);
        }
    }

    /// What to do with what was refused.
    fn kept(&self, id: Uuid) -> String {
        match &self.file {
            Some(file) => {
                let file = file.display();
                format!(
                    "Nothing was replayed. Your edit is saved in {file}. Correct it, then run: tocsin \
                     dead edit {id} --payload {file}"
                )
            }
            None => format!(
                "Nothing was replayed. Start from the payload that this opens: tocsin dead edit {id}"
            ),
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Option<Written>> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(Written { text, file: None }))
}

/// What the person makes of it; nothing if that is what it was.
fn in_editor(letter: &Value, id: Uuid) -> anyhow::Result<Option<Written>> {
    let draft = format!("{:#}\n", draft(letter));
    let file = env::temp_dir().join(format!("tocsin-{id}-{}.json", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(&file)
        .and_then(|mut file| file.write_all(draft.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find(|editor| !editor.trim().is_empty())
        .unwrap_or_else(|| "vi".to_owned());
    // It may be a command with arguments, as other programs take it.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(&file)
        .status();
    let ended_well = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    let text = fs::read_to_string(&file).unwrap_or_default();
    let written = Written {
        text,
        file: Some(file),
    };
    if !ended_well || written.text == draft {
        written.forget();
    }
    ensure!(
        ended_well,
        "the editor {editor:?} failed: set EDITOR, or pass --payload FILE"
    );
    Ok(Some(written).filter(|written| written.text != draft))
}

/// What the editor opens with: the payload; or, for what was rejected, the alert that it could be.
fn draft(letter: &Value) -> Value {
    let text = || letter["payload_text"].clone();
    let payload = letter.get("payload").cloned().unwrap_or_else(text);
    draft::of(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_alert_is_edited_as_an_alert() {
        let raw = json!({
            "status": "firing", "labels": {"job": "checkout", "n": 7}, "startsAt": "2026-11-22T21:25:28Z",
            "endsAt": "0001-01-01T00:00:00Z", "annotations": {"summary": "5% fail"}, "generatorURL": "",
        });
        let letter = json!({
            "id": "019aad2e-6d5e-7000-8000-00000000000a",
            "payload": {
                "source": "alertmanager", "received_at": "2026-11-22T21:25:29.102Z",
                "content": {"rejected": {"reason": "the alert has no alertname", "raw": raw.to_string()}},
            },
        });
        let draft = draft(&letter);
        insta::assert_snapshot!(format!("{draft:#}"), @r#"
        {
          "source": "alertmanager",
          "received_at": "2026-11-22T21:25:29.102Z",
          "content": {
            "alert": {
              "status": "firing",
              "labels": {
                "job": "checkout",
                "n": "7",
                "alertname": ""
              },
              "annotations": {
                "summary": "5% fail"
              },
              "starts_at": "2026-11-22T21:25:28Z"
            }
          }
        }
        "#);
        let named = draft
            .to_string()
            .replace("\"alertname\":\"\"", "\"alertname\":\"A\"");
        let named = draft::completed("ingest", named.into_bytes());
        tocsin::jobs::check_payload("ingest", &named).unwrap();
        tocsin::jobs::check_payload("ingest", draft.to_string().as_bytes()).unwrap_err();
    }

    #[test]
    fn a_payload_that_is_no_alert_is_edited_unchanged() {
        let payload = json!({"content": {"rejected": {"raw": "7"}}});
        assert_eq!(draft(&json!({"payload": payload})), payload);
        assert_eq!(draft(&json!({"payload_text": "x"})), json!("x"));
    }
}
