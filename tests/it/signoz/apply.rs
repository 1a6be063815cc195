//! `tocsin signoz apply` against a stand-in that holds to the published schema.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::server::{KEY, SigNoz};
use crate::process;

const WEBHOOK: &str = "http://tocsin.test:9099/api/v1/signoz";
const TOKEN: &str = "planted-webhook-token";

/// Whether the command succeeds, and its output, which has no secret.
async fn apply(signoz: &SigNoz, arguments: &[&str]) -> (bool, String) {
    with_key(signoz, KEY, arguments).await
}

async fn with_key(signoz: &SigNoz, key: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = std::process::Command::new(process::program());
    command
        .args(["signoz", "apply", "--url", &signoz.url])
        .args(["--webhook", WEBHOOK])
        .args(arguments)
        .env("SIGNOZ_API_KEY", key)
        .env("TOCSIN_WEBHOOK_TOKEN", TOKEN)
        .env("RUST_BACKTRACE", "0");
    let ended = tokio::task::spawn_blocking(move || command.output());
    let ended = ended.await.unwrap().unwrap();
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(!said.contains(key) && !said.contains(TOKEN), "{said}");
    (ended.status.success(), said)
}

fn names(rules: &[Value]) -> Vec<&str> {
    let names = rules.iter().map(|rule| rule["alert"].as_str().unwrap());
    names.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_channel_and_the_rules_are_made_once_and_then_left() {
    let _turn = process::beside_others().await;
    let signoz = SigNoz::start().await;
    let (well, said) = apply(&signoz, &["--dry-run"]).await;
    assert!(well, "{said}");
    assert!(
        said.contains("rule ServiceErrorRateHigh: would be created"),
        "{said}"
    );
    assert_eq!((signoz.writes(), signoz.rules().len()), (0, 0), "{said}");

    let (well, said) = apply(&signoz, &[]).await;
    assert!(well, "{said}");
    assert!(said.contains("5 created, 0 updated"), "{said}");
    assert_eq!(names(&signoz.rules()).len(), 4, "{said}");
    let channel = &signoz.channels()[0];
    let spec = json!({"url": WEBHOOK, "sendResolved": true, "bearerToken": TOKEN});
    assert_eq!(channel["config"], json!({"kind": "webhook", "spec": spec}));

    let (well, said) = apply(&signoz, &[]).await;
    assert!(well, "{said}");
    assert!(said.contains("0 created, 0 updated, 5 the same"), "{said}");
    assert_eq!(signoz.writes(), 5, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_updated_and_a_dry_run_shows_it() {
    let _turn = process::beside_others().await;
    let signoz = SigNoz::start().await;
    apply(&signoz, &[]).await;
    signoz.edit("ServiceErrorRateHigh", |rule| {
        rule["condition"]["thresholds"]["spec"][0]["target"] = json!(7);
        rule["labels"]["team"] = json!("shop");
        rule["disabled"] = json!(true);
    });
    signoz.edit_channel(|channel| channel["config"]["spec"]["sendResolved"] = json!(false));
    let (well, said) = apply(&signoz, &["--dry-run"]).await;
    assert!(well, "{said}");
    for line in [
        "channel tocsin: would be updated\n    sendResolved: false -> true\n",
        "rule ServiceErrorRateHigh: would be updated\n    condition.thresholds.spec[warning].target: 7 -> 2\n",
        "0 created, 2 updated, 3 the same, 0 not touched. Dry run: nothing was changed.",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(signoz.writes(), 5);

    let (well, said) = apply(&signoz, &[]).await;
    assert!(well && said.contains("2 updated, 3 the same"), "{said}");
    let rules = signoz.rules();
    let rule = rules
        .iter()
        .find(|rule| rule["alert"] == "ServiceErrorRateHigh");
    let rule = rule.unwrap();
    assert_eq!(rule["condition"]["thresholds"]["spec"][0]["target"], 2);
    assert_eq!(
        (&rule["labels"]["team"], &rule["disabled"]),
        (&json!("shop"), &json!(true))
    );
    let (_, said) = apply(&signoz, &[]).await;
    assert!(said.contains("0 updated, 5 the same"), "{said}");

    // A token that SigNoz does not tell may be an older one: it is sent again.
    signoz.edit_channel(|channel| channel["config"]["spec"]["bearerToken"] = json!("<secret>"));
    let (well, said) = apply(&signoz, &[]).await;
    assert!(well, "{said}");
    assert!(
        said.contains("    bearerToken: hidden -> the webhook token\n"),
        "{said}"
    );
    let spec = &signoz.channels()[0]["config"]["spec"];
    assert_eq!(spec["bearerToken"], TOKEN, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_not_touched() {
    let _turn = process::beside_others().await;
    let signoz = SigNoz::of_version(true).await;
    let theirs = json!({"alert": "ServiceErrorRateHigh", "labels": {"team": "shop"}});
    signoz.add_rule(theirs);
    let (well, said) = apply(&signoz, &[]).await;
    assert!(well, "{said}");
    assert!(
        said.contains("rule ServiceErrorRateHigh: not touched: "),
        "{said}"
    );
    assert!(said.contains("pass --adopt"), "{said}");
    assert_eq!(signoz.rules()[0]["condition"], Value::Null, "{said}");
    assert_eq!(signoz.rules().len(), 4, "{said}");

    let (well, said) = apply(&signoz, &["--adopt"]).await;
    assert!(well && said.contains("1 updated"), "{said}");
    assert_eq!(signoz.rules()[0]["labels"]["managed_by"], "tocsin");
    assert_eq!(signoz.rules()[0]["labels"]["team"], "shop");

    let signoz = SigNoz::start().await;
    let slack = json!({"kind": "slack", "spec": {"apiUrl": "https://hooks.test/x"}});
    signoz.add_channel(json!({"name": "tocsin", "displayName": "tocsin", "config": slack}));
    let (well, said) = apply(&signoz, &["--dry-run"]).await;
    assert!(
        well && said.contains("channel tocsin: not touched"),
        "{said}"
    );
    let (well, said) = apply(&signoz, &[]).await;
    assert!(!well && said.contains("--channel"), "{said}");
    assert_eq!(signoz.writes(), 0, "{said}");
    let (well, said) = apply(&signoz, &["--channel", "tocsin-2"]).await;
    assert!(well, "{said}");
    let thresholds = &signoz.rules()[0]["condition"]["thresholds"]["spec"];
    assert_eq!(thresholds[0]["channels"], json!(["tocsin-2"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_cause_and_remedy_and_what_was_done_stays() {
    let _turn = process::beside_others().await;
    let signoz = SigNoz::start().await;
    let (well, said) = with_key(&signoz, "planted-wrong-key", &[]).await;
    assert!(!well, "{said}");
    assert!(said.contains("SigNoz refuses the key (HTTP 401)"), "{said}");
    assert!(said.contains("SIGNOZ_API_KEY"), "{said}");

    let folder = process::folder();
    let file = folder.join("rule.json");
    let rule = json!({"alert": "Odd", "schemaVersion": "v2alpha1", "evalWindow": "5m"});
    std::fs::write(&file, rule.to_string()).unwrap();
    let rules = file.parent().unwrap().to_str().unwrap();
    let (well, said) = apply(&signoz, &["--rules", rules]).await;
    assert!(!well, "{said}");
    assert!(said.contains("channel tocsin: created"), "{said}");
    assert!(
        said.contains("SigNoz refuses api/v2/rules (HTTP 400)"),
        "{said}"
    );
    assert!(said.contains("unknown field `evalWindow`"), "{said}");

    // Even what SigNoz repeats of a secret is not printed.
    let repeats = format!("cannot store {KEY} and {TOKEN}");
    signoz.fail_next(StatusCode::SERVICE_UNAVAILABLE, repeats);
    let (well, said) = apply(&signoz, &[]).await;
    assert!(
        !well && said.contains("run the command again later"),
        "{said}"
    );
    let (well, said) = apply(&signoz, &[]).await;
    assert!(
        well && said.contains("4 created, 0 updated, 1 the same"),
        "{said}"
    );

    let nobody = SigNoz::nowhere();
    let (well, said) = apply(&nobody, &["--dry-run"]).await;
    assert!(!well && said.contains("check --url"), "{said}");
}
