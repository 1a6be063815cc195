//! Channels: their language, and webhooks beside Telegram.

use super::load;
use crate::config::*;

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
