use serde_json::json;
use tocsin::config::Secret;

use super::channel::{Channel, name};
use super::difference;
use super::rules::{Found, find, read, replacement};

#[test]
fn differences_are_what_ours_has_otherwise() {
    let theirs = json!({
        "id": "7", "evaluation": {"spec": {"evalWindow": "5m0s", "frequency": "1h0m0s"}},
        "spec": [{"name": "b", "target": 2.0}, {"name": "a", "target": 1}], "list": ["x"],
    });
    let same = json!({
        "evaluation": {"spec": {"evalWindow": "5m", "frequency": "1h"}},
        "spec": [{"name": "a", "target": 1}, {"name": "b", "target": 2}], "list": ["x"],
    });
    assert_eq!(difference::of(&theirs, &same), [""; 0]);
    let other = json!({"spec": [{"name": "a", "target": 3}, {"name": "c"}], "list": ["x", "y"], "new": true});
    assert_eq!(
        difference::of(&theirs, &other),
        [
            "spec[a].target: 1 -> 3",
            "spec[c].name: \"a\" -> \"c\"",
            "list: [\"x\"] -> [\"x\",\"y\"]",
            "new: none -> true",
        ]
    );
}

#[test]
fn long_texts_are_shown_from_where_they_differ() {
    let text = |end: &str| json!({"query": format!("{}{end}", "SELECT é ".repeat(20))});
    let lines = difference::of(&text("FROM a"), &text("FROM b"));
    assert_eq!(lines, [r#"query: …" a" -> …" b""#]);
}

#[test]
fn a_rule_is_ours_by_its_label_and_of_several_the_oldest() {
    let rule = |id: &str, created: &str, owner: &str| json!({"id": id, "alert": "A", "createdAt": created, "labels": {"managed_by": owner}});
    let there = [
        rule("1", "3", "tocsin"),
        rule("2", "2", "tocsin"),
        rule("3", "1", "kim"),
    ];
    assert_eq!(find("A", &there, false), Found::Ours { id: "2", others: 1 });
    assert_eq!(find("B", &there, false), Found::None);
    assert!(matches!(find("A", &there[2..], false), Found::Foreign(_)));
    assert_eq!(
        find("A", &there[2..], true),
        Found::Ours { id: "3", others: 0 }
    );
    let two = [there[2].clone(), there[2].clone()];
    assert!(matches!(find("A", &two, true), Found::Foreign(_)));
}

#[test]
fn shipped_rules_notify_the_channel_and_name_their_owner() {
    let rules = read(None, "shop").unwrap();
    assert_eq!(rules.len(), 4);
    for rule in rules {
        assert_eq!(rule["labels"]["managed_by"], "tocsin");
        let thresholds = rule["condition"]["thresholds"]["spec"].as_array().unwrap();
        assert!(!thresholds.is_empty());
        assert!(
            thresholds
                .iter()
                .all(|one| one["channels"] == json!(["shop"]))
        );
    }
}

#[test]
fn a_replaced_rule_keeps_what_people_added() {
    let ours = json!({"alert": "A", "labels": {"reason": "R"}});
    let stored =
        json!({"disabled": true, "labels": {"reason": "old", "team": "shop"}, "state": "x"});
    let expected =
        json!({"alert": "A", "labels": {"reason": "R", "team": "shop"}, "disabled": true});
    assert_eq!(replacement(&ours, &stored), expected);
}

#[test]
fn without_a_token_the_one_that_is_there_stays() {
    let token = Secret::from("planted");
    let channel = |token| Channel {
        name: "tocsin",
        url: "http://h/api/v1/signoz".to_owned(),
        token,
    };
    let stored =
        json!({"url": "http://old/api/v1/signoz", "sendResolved": true, "bearerToken": "there"});
    let hidden =
        json!({"url": "http://h/api/v1/signoz", "sendResolved": true, "bearerToken": "********"});
    assert_eq!(
        channel(None).updated(&stored).unwrap()["bearerToken"],
        "there"
    );
    assert!(channel(None).updated(&hidden).is_err());
    // It may be another one: it is sent again.
    assert_eq!(
        channel(Some(&token)).differences(&hidden),
        ["bearerToken: hidden -> the webhook token"]
    );
    let lines = channel(Some(&token)).differences(&stored);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(!lines.concat().contains("there"), "{lines:?}");
}

#[test]
fn names_of_channels_are_dns_labels() {
    assert!(["tocsin", "a-1"].into_iter().all(|text| name(text).is_ok()));
    let bad = ["", "-a", "a-", "Tocsin", "a_b", "ü"];
    assert!(bad.into_iter().all(|text| name(text).is_err()));
}
