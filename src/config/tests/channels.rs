//! Channels: their language, and webhooks beside Telegram.

use super::load;
use crate::config::*;
use crate::domain::notification::Kind;

#[test]
fn messages_are_written_in_a_language_that_there_is() {
    let language = |set| load("", &[("TOCSIN_LANGUAGE", set)]).map(|config| config.language);
    assert_eq!(language("zh-TW").unwrap(), Lang::Chinese);
    assert_eq!(Config::default().language, Lang::English);
    for unknown in ["zh", "de", ""] {
        let error = language(unknown).unwrap_err().to_string();
        assert!(error.contains("TOCSIN_LANGUAGE"), "{error}");
    }
}

#[test]
fn webhooks_are_channels_beside_telegram() {
    let folder = std::env::temp_dir().join(format!("tocsin-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("secret");
    std::fs::write(&file, "0123\n").unwrap();
    let set = [
        ("TOCSIN_WEBHOOKS__OPS__URL", "https://ops.example/planted"),
        ("TOCSIN_WEBHOOKS__OPS__SECRET_FILE", file.to_str().unwrap()),
        ("TOCSIN_WEBHOOKS__MY_CHAT__PAYLOAD", "text"),
    ];
    let chat = "[webhooks.my_chat]\nurl = \"https://chat.example/planted\"";
    let config = load(chat, &set).unwrap();
    assert_eq!(config.channels(), ["webhook:my_chat", "webhook:ops"]);
    assert_eq!(config.webhooks["ops"].key(), Ok(Some(b"0123".to_vec())));
    assert_eq!(config.webhooks["my_chat"].payload, Payload::Text);
    assert_eq!(config.warnings().len(), 1, "{:?}", config.warnings());
    for shown in [toml::to_string(&config).unwrap(), format!("{config:?}")] {
        assert!(
            !shown.contains("planted") && !shown.contains("0123"),
            "{shown}"
        );
        assert!(shown.contains("https://ops.example/***"), "{shown}");
    }
    let with_bot = [
        ("TOCSIN_TELEGRAM_TOKEN", "1:a"),
        ("TOCSIN_TELEGRAM_CHAT", "-1"),
    ];
    let config = load(chat, &with_bot).unwrap();
    assert_eq!(config.channels(), ["telegram:-1", "webhook:my_chat"]);
    assert_eq!(load("", &[]).unwrap().channels(), ["log"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_webhook_that_cannot_be_used_is_refused_by_name_and_without_its_secrets() {
    let url = "url = \"https://example.com/planted\"\n";
    for (wrong, named) in [
        ("webhooks = \"https://h/planted\"".to_owned(), "webhooks"),
        (
            "webhooks.ops = \"https://h/planted\"".to_owned(),
            "ops must be a section",
        ),
        ("[webhooks.ops]\nsecret = \"planted\"".to_owned(), "url"),
        (
            format!("[webhooks.ops]\n{url}sekret = \"planted\""),
            "sekret",
        ),
        (format!("[webhooks.ops]\n{url}payload = \"xml\""), "ops: "),
        (
            format!("[webhooks.ops]\n{url}secret = {{a = \"planted\"}}"),
            "ops: ",
        ),
        (
            format!("[webhooks.ops]\n{url}secret = \"whsec_planted!\""),
            "webhooks.ops.secret",
        ),
        (
            format!("[webhooks.ops]\n{url}secret = \"\""),
            "webhooks.ops.secret",
        ),
        (
            "[webhooks.ops]\nurl = \"planted.example.com\"".to_owned(),
            "webhooks.ops.url",
        ),
        (
            "[webhooks.ops]\nurl = \"ftp://h/planted\"".to_owned(),
            "webhooks.ops.url",
        ),
        (
            "[webhooks.ops]\nurl = \"https://\"".to_owned(),
            "webhooks.ops.url",
        ),
        (format!("[webhooks.\"Ops Team\"]\n{url}"), "Ops Team"),
    ] {
        let error = load(&wrong, &[]).unwrap_err().to_string();
        assert!(error.contains(named), "{wrong}: {error}");
        assert!(!error.contains("planted"), "{wrong}: {error}");
    }
}

#[test]
fn the_channels_of_providers_are_set_by_name_and_told_what_their_sections_say() {
    let folder = std::env::temp_dir().join(format!("tocsin-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("key");
    std::fs::write(&file, "plantedR0123\n").unwrap();
    let set = [
        (
            "TOCSIN_PAGERDUTY__OPS__ROUTING_KEY_FILE",
            file.to_str().unwrap(),
        ),
        (
            "TOCSIN_DISCORD__OPS__URL",
            "https://discord.example/planted",
        ),
        ("TOCSIN_DISCORD__OPS__TELL", "opened, resolved"),
        ("TOCSIN_EMAIL__SERVER", "smtp.example.org"),
        ("TOCSIN_EMAIL__FROM", "tocsin@example.org"),
        ("TOCSIN_EMAIL__TO", "a@example.org, b@example.org"),
        ("TOCSIN_EMAIL__USER", "12345"),
        ("TOCSIN_EMAIL__PASSWORD", "planted"),
    ];
    let teams =
        "[teams.all]\nurl = \"https://flow.example/planted\"\ntell = [\"opened\", \"repeat\"]";
    let config = load(teams, &set).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let expected = [
        "pagerduty:ops",
        "discord:ops",
        "teams:all",
        "email:a@example.org",
        "email:b@example.org",
    ];
    assert_eq!(config.channels(), expected);
    assert_eq!(config.edits(), ["pagerduty", "discord"]);
    let messages = config.messages();
    for (channel, kind, expected) in [
        ("pagerduty:ops", Kind::Opened, true),
        ("pagerduty:ops", Kind::Resolved, false),
        ("discord:ops", Kind::Resolved, true),
        ("discord:ops", Kind::Escalated, false),
        ("teams:all", Kind::Repeated, true),
        ("teams:all", Kind::Reopened, false),
        ("email:a@example.org", Kind::Reopened, true),
    ] {
        assert_eq!(
            messages.sends(channel, kind),
            expected,
            "{channel} {kind:?}"
        );
    }
    for shown in [toml::to_string(&config).unwrap(), format!("{config:?}")] {
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[test]
fn what_cannot_be_a_provider_s_channel_is_refused_by_name_and_without_its_secrets() {
    let email = "[email]\nserver = \"smtp.example.org\"\n";
    let from = "from = \"tocsin@example.org\"\n";
    for (wrong, named) in [
        (
            "[pagerduty.ops]\nrouting_key = \"planted!\"".to_owned(),
            "pagerduty.ops.routing_key",
        ),
        (
            "[pagerduty.ops]\nrouting_key = \"\"".to_owned(),
            "pagerduty.ops.routing_key",
        ),
        (
            "[pagerduty.ops]\nrouting_key = \"planted\"\nurl = \"eu\"".to_owned(),
            "pagerduty.ops.url",
        ),
        ("[pagerduty.ops]".to_owned(), "routing_key"),
        (
            "[discord.ops]\nurl = \"planted\"".to_owned(),
            "discord.ops.url",
        ),
        (
            "discord.ops = \"https://h/planted\"".to_owned(),
            "ops must be a section",
        ),
        (
            "[teams.\"Ops Team\"]\nurl = \"https://h/planted\"".to_owned(),
            "Ops Team",
        ),
        (
            "[teams.ops]\nurl = \"https://h/planted\"\ntell = \"all\"".to_owned(),
            "ops: ",
        ),
        (email.to_owned(), "email.from"),
        (format!("{email}from = \"nobody\""), "email.from"),
        (
            format!("{email}{from}to = [\"a@b\", \"planted b@c\"]").replace("planted ", "x "),
            "email.to[1]",
        ),
        (format!("{email}{from}user = \"a\""), "email.password"),
        (
            format!("{email}{from}user = \"a\"\npassword = \"planted\"\nsecurity = \"none\""),
            "email.security",
        ),
        (
            "[email]\nto = [\"a@example.org\"]".to_owned(),
            "email.server",
        ),
        (
            "[[routes]]\nto = \"email:a@example.org\"".to_owned(),
            "email.server",
        ),
        (
            format!("{email}{from}[[routes]]\nto = \"email:a\""),
            "routes[0].to",
        ),
        (
            "[[routes]]\nto = \"pagerduty:ops\"".to_owned(),
            "[pagerduty.ops] is not defined",
        ),
        ("[[routes]]\nto = \"discord\"".to_owned(), "unknown channel"),
    ] {
        let error = load(&wrong, &[]).unwrap_err().to_string();
        assert!(error.contains(named), "{wrong}: {error}");
        assert!(!error.contains("planted"), "{wrong}: {error}");
    }
}
