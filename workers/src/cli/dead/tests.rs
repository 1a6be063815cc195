use clap::Parser;
use serde_json::{Value, json};
use tocsin::time::Timestamp;
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    args: DeadArgs,
}

const NOW: Timestamp = Timestamp(1_795_382_909_102);
const ID: &str = "019aad2e-6d5e-7000-8000-00000000000a";

async fn run(server: &MockServer, line: &[&str]) -> anyhow::Result<()> {
    let uri = server.uri();
    let line = [&["dead", "--url", uri.as_str()], line].concat();
    let cli = Cli::try_parse_from(line)?;
    cli.args.run(&cli.remote).await
}

#[test]
fn an_invalid_id_is_refused_with_a_hint() {
    let refused = Cli::try_parse_from(["dead", "show", "1"]).unwrap_err();
    let message = refused.to_string();
    assert!(
        message.contains("not a dead letter's ID: see tocsin dead list"),
        "{message}"
    );
}

fn letters() -> Vec<Value> {
    vec![
        json!({
            "id": ID, "queue": "ingest", "state": "dead", "attempts": 1, "replay": 0,
            "reason": "the alert has no alertname", "died_at": "2026-11-22T21:25:29.102Z",
        }),
        json!({
            "id": "019aad2e-6d5e-7000-8000-00000000000b", "queue": "notify", "state": "replayed",
            "attempts": 200, "died_at": "2026-11-20T21:25:29.102Z",
            "reason": "failed 200 times, the last time: the provider\u{1b}[2J does not answer: it took too long",
        }),
    ]
}

fn look(width: u16) -> Terminal {
    Terminal {
        width,
        colour: false,
    }
}

#[test]
fn the_list_reads_well_at_80_and_at_120_columns() {
    insta::assert_snapshot!(list::render(&letters(), NOW, false, look(80)), @"
    FAILED  QUEUE   ATTEMPTS  REASON            ID
    ────────────────────────────────────────────────────────────────────────────────
    3m      ingest         1  the alert has n…  019aad2e-6d5e-7000-8000-00000000000a
    2d      notify       200  the provider [2…  019aad2e-6d5e-7000-8000-00000000000b
    ");
    insta::assert_snapshot!(list::render(&letters(), NOW, true, look(120)), @"
    FAILED  STATE     QUEUE   ATTEMPTS  REASON                                          ID
    ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    3m      dead      ingest         1  the alert has no alertname                      019aad2e-6d5e-7000-8000-00000000000a
    2d      replayed  notify       200  the provider [2J does not answer: it took too…  019aad2e-6d5e-7000-8000-00000000000b
    ");
}

#[test]
fn a_letter_says_what_happened_and_what_can_be_done() {
    let mut letter = letters()[0].clone();
    letter["trace_id"] = json!("4bf92f3577b34da6a3ce929d0e0e4736");
    letter["enqueued_at"] = json!("2026-11-22T21:25:29.100Z");
    letter["replay"] = json!(1);
    letter["attempts"] = json!(2);
    letter["decided_at"] = json!("2026-11-22T21:25:29.100Z");
    letter["decided_by"] = json!("ann");
    letter["errors"] = json!([
        {"at": "2026-11-22T19:25:29.102Z", "error": "the alert has no alertname"},
        {"at": "2026-11-22T21:25:29.102Z", "error": "the alert has no alertname", "replay": 1},
    ]);
    letter["payload"] = json!({
        "source": "alertmanager",
        "content": {"rejected": {"raw": "{\"labels\":{\"job\":\"checkout\\u001b\"}}", "reason": "the alert has no alertname"}},
    });
    insta::assert_snapshot!(show::render(&letter, NOW, look(80)), @r#"
    the alert has no alertname
      id        019aad2e-6d5e-7000-8000-00000000000a
      queue     ingest
      state     dead again; last decision by ann, 2026-11-22T21:25:29.100Z (3m ago)
      enqueued  2026-11-22T21:25:29.100Z (3m ago)
      failed    2026-11-22T21:25:29.102Z (3m ago)
      replays   1
      trace     4bf92f3577b34da6a3ce929d0e0e4736
      attempts  2

    WHEN                      AGO  REPLAY  ERROR
    ─────────────────────────────────────────────────────────────────
    2026-11-22T19:25:29.102Z  2h        -  the alert has no alertname
    2026-11-22T21:25:29.102Z  3m        1  the alert has no alertname

    payload
    {
      "source": "alertmanager",
      "content": {
        "rejected": {
          "raw": "{\"labels\":{\"job\":\"checkout\\u001b\"}}",
          "reason": "the alert has no alertname"
        }
      }
    }

    received
    {
      "labels": {
        "job": "checkout\u001b"
      }
    }

    Replay with an edited payload: tocsin dead edit 019aad2e-6d5e-7000-8000-00000000000a
    Discard: tocsin dead discard 019aad2e-6d5e-7000-8000-00000000000a
    "#);
    letter["payload"]["content"] = json!({"alert": {}});
    let shown = show::render(&letter, NOW, look(80));
    for way in ["replay", "edit", "discard"] {
        assert!(
            shown.contains(&format!("tocsin dead {way} {ID}")),
            "{shown}"
        );
    }
}

/// What stands for three alerts of one request.
fn together() -> Value {
    let rejected = json!({"reason": "3 alerts of one request cannot be used", "raw": "[1,\"x\",{}]", "alerts": 3});
    json!({"id": ID, "state": "dead", "replay": 0, "payload": {"content": {"rejected": rejected}}})
}

#[test]
fn a_dead_letter_of_several_alerts_is_corrected_and_posted_again() {
    let shown = show::render(&together(), NOW, look(80));
    let (_, ways) = shown.rsplit_once("\n\n").unwrap();
    insta::assert_snapshot!(ways, @"
    Show the content as received, to correct it and send it again: tocsin dead show 019aad2e-6d5e-7000-8000-00000000000a --sent
    Discard: tocsin dead discard 019aad2e-6d5e-7000-8000-00000000000a
    ");
    assert_eq!(
        show::sent(&together()),
        Some(json!({"alerts": [1, "x", {}]}))
    );
    let mut one = together();
    one["payload"]["content"]["rejected"] = json!({"reason": "no labels", "raw": "[1]"});
    assert_eq!(show::sent(&one), Some(json!({"alerts": [[1]]})));
    assert_eq!(show::sent(&letters()[0]), None);
}

#[tokio::test]
async fn a_dead_letter_of_several_alerts_is_not_edited_into_one() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(format!("/api/v1/dead-letters/{ID}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(together()))
        .expect(1)
        .mount(&server)
        .await;
    let message = run(&server, &["edit", ID, "--payload", "/dev/null"]).await;
    let message = message.unwrap_err().to_string();
    assert!(
        message.contains("3 rejected alerts") && message.contains("--sent"),
        "{message}"
    );
}

#[test]
fn a_letter_that_is_no_json_is_shown_as_far_as_it_can_be_read() {
    let letter = json!({
        "id": ID, "queue": "tier", "state": "discarded", "decided_by": "bob", "reason": "the payload cannot be read",
        "decided_at": "2026-11-22T21:25:29.102Z", "attempts": 0, "errors": [],
        "payload_text": "\u{fffd}\u{1b}x", "payload_base64": "/xt4",
    });
    insta::assert_snapshot!(show::render(&letter, NOW, look(80)), @"
    the payload cannot be read
      id        019aad2e-6d5e-7000-8000-00000000000a
      queue     tier
      state     discarded by bob, 2026-11-22T21:25:29.102Z (3m ago)
      attempts  0

    payload (not JSON; use --json for its bytes)
    ��x
    ");
}

#[tokio::test]
async fn replay_by_filter_repeats_until_no_letter_is_left() {
    let server = MockServer::start().await;
    let (at, asked) = (
        "2026-11-22T21:25:29.102Z",
        json!({"queue": "ingest", "younger_than": "1h"}),
    );
    let answer = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    let request = || Mock::given(method("POST")).and(path("/api/v1/dead-letters/replay"));
    request()
        .and(body_partial_json(json!({"dry_run": true})))
        .and(body_partial_json(asked.clone()))
        .respond_with(answer(json!({"matching": 3, "as_of": at})))
        .expect(1)
        .mount(&server)
        .await;
    let going_on = json!({"as_of": at, "operator": "kim", "all": false});
    request()
        .and(body_partial_json(going_on.clone()))
        .and(body_partial_json(asked))
        .respond_with(answer(json!({"changed": 2, "more": true, "as_of": at})))
        .up_to_n_times(1)
        .expect(1)
        .mount(&server)
        .await;
    request()
        .and(body_partial_json(going_on))
        .respond_with(answer(json!({"changed": 1, "more": false})))
        .expect(1)
        .mount(&server)
        .await;
    let line = [
        "replay",
        "--queue",
        "ingest",
        "--since",
        "1h",
        "--operator",
        "kim",
        "--json",
    ];
    run(&server, &line).await.unwrap();
}

#[tokio::test]
async fn discard_needs_a_selection_and_a_confirmation() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_partial_json(json!({"dry_run": true})))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"matching": 3, "as_of": "x"})),
        )
        .expect(1)
        .mount(&server)
        .await;
    let message = run(&server, &["discard", "--queue", "ingest"])
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "cannot ask for confirmation without a terminal: pass --yes to discard 3 dead letters"
    );
    let message = run(&server, &["replay"]).await.unwrap_err().to_string();
    assert!(message.starts_with("nothing selected"), "{message}");
    let message = run(&server, &["replay", ID, "--queue", "ingest"])
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(message, "give IDs or filters, not both, to replay");
    let message = run(
        &server,
        &["discard", "--all", "--text", "x", "--since", "1h"],
    )
    .await;
    let message = message.unwrap_err().to_string();
    assert_eq!(
        message,
        "--all selects every dead letter, --text, --since only some: give one or the other"
    );
    assert!(run(&server, &["replay", "--queue", "ingst"]).await.is_err());
}

#[tokio::test]
async fn an_edited_payload_is_sent_with_the_number_of_what_was_read() {
    let server = MockServer::start().await;
    let letter = json!({"id": ID, "state": "dead", "replay": 2, "payload": {"incident": 7}});
    Mock::given(method("GET"))
        .and(path(format!("/api/v1/dead-letters/{ID}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(&letter))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path(format!("/api/v1/dead-letters/{ID}/replay")))
        .and(body_partial_json(
            json!({"replay": 2, "payload": {"incident": 8}}),
        ))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"id": ID, "changed": true})))
        .expect(1)
        .mount(&server)
        .await;
    let file = std::env::temp_dir().join(format!("tocsin-test-{}.json", Uuid::now_v7()));
    std::fs::write(&file, "{\"incident\": 8}").unwrap();
    let name = file.to_str().unwrap();
    run(&server, &["edit", ID, "--payload", name, "--json"])
        .await
        .unwrap();
    std::fs::write(&file, "{").unwrap();
    let message = run(&server, &["edit", ID, "--payload", name])
        .await
        .unwrap_err();
    assert!(
        format!("{message:#}").starts_with("the payload is not valid JSON"),
        "{message:#}"
    );
    std::fs::remove_file(file).unwrap();
}
