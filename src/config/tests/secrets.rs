//! Tokens and secrets: from files, without space around them, never shown.

use super::load;

#[test]
fn listening_to_the_world_without_tokens_is_refused() {
    let open = ("TOCSIN_LISTEN", "0.0.0.0:9099");
    assert!(load("", &[open]).is_err());
    load("", &[open, ("TOCSIN_INSECURE", "true")]).unwrap();
    load(
        "",
        &[
            open,
            ("TOCSIN_WEBHOOK_TOKEN", "a"),
            ("TOCSIN_API_TOKEN", "b"),
        ],
    )
    .unwrap();
}

#[test]
fn a_role_has_as_many_tokens_as_are_given() {
    let config = load(
        "read_token = [\"toml, with a comma\", 7]",
        &[
            ("TOCSIN_WEBHOOK_TOKEN", "1e5, 0x10"),
            ("TOCSIN_API_TOKEN", "[a,b]"),
        ],
    )
    .unwrap();
    let accepted = [
        (&config.read_token, ["toml, with a comma", "7"]),
        (&config.webhook_token, ["1e5", "0x10"]),
        (&config.api_token, ["[a", "b]"]),
    ];
    for (tokens, texts) in accepted {
        assert!(
            texts.iter().all(|text| tokens.find(text).is_some()),
            "{texts:?}"
        );
    }
    for nothing in ["", " , "] {
        let error = load("", &[("TOCSIN_API_TOKEN", nothing)])
            .unwrap_err()
            .to_string();
        assert!(error.contains("TOCSIN_API_TOKEN"), "{nothing:?}: {error}");
    }
}

#[test]
fn tokens_that_can_be_guessed_or_mean_two_roles_are_warned_about() {
    let long = "0123456789abcdef";
    let warned = |listen, webhook, api| {
        let tokens = [("TOCSIN_WEBHOOK_TOKEN", webhook), ("TOCSIN_API_TOKEN", api)];
        let config = load(
            "",
            &[[("TOCSIN_LISTEN", listen)].as_slice(), &tokens].concat(),
        );
        config.unwrap().warnings()
    };
    assert!(warned("0.0.0.0:1", long, "another 0123456789").is_empty());
    assert!(warned("127.0.0.1:1", "short", "other").is_empty());
    let short = warned("0.0.0.0:1", long, "short");
    assert!(
        short.len() == 1 && short[0].contains("api_token"),
        "{short:?}"
    );
    let shared = warned("127.0.0.1:1", long, long);
    assert!(
        shared.len() == 1 && shared[0].contains("in api_token"),
        "{shared:?}"
    );
}

#[test]
fn secrets_may_be_in_files() {
    let folder = std::env::temp_dir().join(format!("tocsin-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).to_str().unwrap().to_owned()
    };
    let url = file("url", "sqlite://a b.db \r\n");
    let tokens = file("tokens", "new,one\n\n 12 \n");
    let config = load(
        "read_token = \"plain\"",
        &[
            ("TOCSIN_DATABASE_URL_FILE", &url),
            ("TOCSIN_READ_TOKEN_FILE", &tokens),
        ],
    )
    .unwrap();
    assert_eq!(config.database_url.expose(), "sqlite://a b.db");
    for (token, accepted) in [("new,one", true), ("12", true), ("plain", false)] {
        assert_eq!(config.read_token.find(token).is_some(), accepted, "{token}");
    }

    let binary = folder.join("binary");
    std::fs::write(&binary, b"planted\xff").unwrap();
    let (empty, missing) = (file("empty", "\n"), "/nowhere/planted");
    for bad in [empty.as_str(), missing, binary.to_str().unwrap(), "/"] {
        let error = load("", &[("TOCSIN_API_TOKEN_FILE", bad)])
            .unwrap_err()
            .to_string();
        assert!(error.contains("TOCSIN_API_TOKEN_FILE: "), "{error}");
        assert!(!error.contains("planted\u{fffd}"), "{error}");
    }
    let both = [
        ("TOCSIN_API_TOKEN_FILE", tokens.as_str()),
        ("TOCSIN_API_TOKEN", "planted"),
    ];
    let error = load("", &both).unwrap_err().to_string();
    assert!(
        error.contains("TOCSIN_API_TOKEN and TOCSIN_API_TOKEN_FILE"),
        "{error}"
    );
    assert!(!error.contains("planted"), "{error}");
    // No other setting has a file.
    assert!(load("", &[("TOCSIN_LISTEN_FILE", &url)]).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn space_around_a_value_is_no_part_of_it_wherever_it_comes_from() {
    let (token, web) = ("1234:abc-DEF_5", "a-long-token-of-the-webhook");
    let file = std::env::temp_dir().join(format!("tocsin-{}", uuid::Uuid::now_v7()));
    std::fs::write(&file, format!("\n{token} \r\n\n")).unwrap();
    let spaced = |text: &str| format!(" {text}\r\n");
    let from_variables = load(
        "",
        &[
            ("TOCSIN_TELEGRAM_TOKEN", &spaced(token)),
            ("TOCSIN_TELEGRAM_CHAT", &spaced("-100")),
            ("TOCSIN_WEBHOOK_TOKEN", &spaced(web)),
            ("TOCSIN_PUBLIC_URL", &spaced("https://ops.example")),
            ("TOCSIN_LIMITS__ALERTS", &spaced("77")),
        ],
    )
    .unwrap();
    assert_eq!(from_variables.telegram_chat.as_deref(), Some("-100"));
    assert_eq!(
        from_variables.public_url.as_deref(),
        Some("https://ops.example")
    );
    assert_eq!(from_variables.limits.alerts, 77);
    let chat = "telegram_chat = -100\n";
    let from_settings = load(
        &format!("{chat}telegram_token = \"{token}\\n\"\nwebhook_token = \" {web}\\n\""),
        &[],
    );
    let from_file = load(
        chat,
        &[("TOCSIN_TELEGRAM_TOKEN_FILE", file.to_str().unwrap())],
    );
    for config in [
        &from_variables,
        &from_settings.unwrap(),
        &from_file.unwrap(),
    ] {
        assert_eq!(config.telegram_token.as_ref().unwrap().expose(), token);
        assert!(config.webhook_token.is_empty() || config.webhook_token.find(web).is_some());
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_secret_that_cannot_be_right_is_refused_and_not_shown() {
    for (name, value) in [
        ("TOCSIN_TELEGRAM_TOKEN", "1:planted/2"),
        ("TOCSIN_TELEGRAM_TOKEN", "planted"),
        ("TOCSIN_TELEGRAM_TOKEN", "planted:2"),
        ("TOCSIN_TELEGRAM_TOKEN", ":planted"),
        ("TOCSIN_TELEGRAM_TOKEN", "1:"),
        ("TOCSIN_TELEGRAM_TOKEN", "1:planted:2"),
        ("TOCSIN_TELEGRAM_TOKEN", ":"),
        ("TOCSIN_TELEGRAM_TOKEN", "1:planted\nplanted"),
        ("TOCSIN_TELEGRAM_TOKEN", "\n"),
        ("TOCSIN_DATABASE_URL", "postgres://u:planted\n@h/d"),
        ("TOCSIN_DATABASE_URL", "postgres://u:planted@h:x/d"),
        ("TOCSIN_DATABASE_URL", "mysql://u:planted@h/d"),
        ("TOCSIN_DATABASE_URL", "planted.db"),
        ("TOCSIN_API_TOKEN", "a-planted-token\u{7}-of-the-api"),
    ] {
        let refused = load("telegram_chat = 1", &[(name, value)])
            .unwrap_err()
            .to_string();
        assert!(!refused.contains("planted"), "{refused}");
        let setting = name.to_lowercase().replace("tocsin_", "");
        let is_named = refused.contains(name) || refused.contains(&setting);
        assert!(is_named, "{refused}");
    }
}

#[test]
fn an_error_in_the_file_is_placed_and_not_quoted() {
    for wrong in [
        "a = 1\napi_token = \"planted",
        "api_token = planted",
        "api_token = {a = \"planted\"}",
    ] {
        let error = load(wrong, &[]).unwrap_err().to_string();
        assert!(!error.contains("planted"), "{error}");
        assert!(
            error.contains("line ") || error.contains("api_token"),
            "{error}"
        );
    }
}

#[test]
fn secrets_are_neither_printed_nor_logged() {
    let config = load(
        "",
        &[
            ("TOCSIN_TELEGRAM_TOKEN", "1:planted"),
            ("TOCSIN_TELEGRAM_CHAT", "1"),
            ("TOCSIN_DATABASE_URL", "postgres://u:planted@h/d"),
        ],
    )
    .unwrap();
    let printed = toml::to_string(&config).unwrap();
    assert!(!printed.contains("planted"), "{printed}");
    assert!(!format!("{config:?}").contains("planted"));
}
