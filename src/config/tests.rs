use super::environment::Environment;
use super::*;
use crate::domain::aggregation::Unit;

pub(super) fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let figment = Figment::from(Serialized::defaults(Config::default()))
        .merge(file::Settings::of(toml))
        .merge(Environment::of(variables));
    Config::finish(&figment)
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let config = load(
        "telegram_chat = -100123\n[counting]\nskew = \"30s\"\nunit = \"delivery\"",
        &[
            ("TOCSIN_COUNTING__UNIT", "incident"),
            ("TOCSIN_WEBHOOK_TOKEN", "0012345"),
        ],
    )
    .unwrap();
    assert_eq!(config.telegram_chat.as_deref(), Some("-100123"));
    assert_eq!(config.counting.skew, Span::secs(30));
    assert_eq!(config.counting.unit, Unit::Incident);
    assert!(config.webhook_token.find("0012345").is_some());
    assert_eq!(config.aggregation.window, Span::secs(600));
}

#[test]
fn lists_and_numbers_can_come_from_the_environment() {
    let config = load(
        "",
        &[
            ("TOCSIN_INGEST__IGNORE", "Watchdog,Canary"),
            ("TOCSIN_QUEUE__MAX_DEPTH", "5"),
            ("TOCSIN_METRICS_LISTEN", "127.0.0.1:9100"),
            (
                "TOCSIN_ESCALATION__RULES",
                r#"[{level="REPEAT",window="7d",count=2}]"#,
            ),
        ],
    )
    .unwrap();
    assert_eq!(config.ingest.ignore, ["Watchdog", "Canary"]);
    assert_eq!(config.queue.max_depth, 5);
    assert_eq!(config.escalation.rules.len(), 1);
}

#[test]
fn an_unknown_or_malformed_setting_is_refused_by_name() {
    let refused = |toml: &str, variables: &[(&str, &str)]| match load(toml, variables) {
        Ok(_) => panic!("accepted {toml} {variables:?}"),
        Err(error) => error.to_string(),
    };
    assert!(refused("lisen = \"x\"", &[]).contains("lisen"));
    assert!(refused("", &[("TOCSIN_COUNTING__UNITS", "x")]).contains("TOCSIN_COUNTING__UNITS"));
    assert!(refused("", &[("TOCSIN_COUNTING__UNIT", "x")]).contains("TOCSIN_COUNTING__UNIT"));
    assert!(
        refused("", &[("TOCSIN_QUEUE__MAX_DEPTH", "many")]).contains("TOCSIN_QUEUE__MAX_DEPTH")
    );
    assert!(refused("", &[("TOCSIN_LISTEN", "here")]).contains("TOCSIN_LISTEN"));
    let unit = refused("", &[("TOCSIN_COUNTING__UNIT", "x")]);
    let units = "TOCSIN_COUNTING__UNIT = \"x\": expected episode, delivery or incident";
    assert_eq!(unit, units);
    let field = refused("[counting]\nunits = 1", &[]);
    assert!(
        field.starts_with("counting.units is not a setting: expected unit, "),
        "{field}"
    );
    assert!(refused("[counting]\nskew = \"soon\"", &[]).contains("counting.skew"));
    assert!(refused("", &[("TOCSIN_REDIS_URL", "redis://x")]).contains("redis_url"));
}

#[test]
fn a_malformed_setting_is_named_as_it_was_written_and_the_error_says_how_to_write_it() {
    let bytes = "found string \"4MB\", expected a number of bytes, such as 4194304";
    for (toml, variable, expected) in [
        (
            "[[routes]]\nto = \"log\"\nlevel = \"FOO\"",
            None,
            "routes[0].level = \"FOO\": expected NONE, REPEAT, ESCALATE or PERMANENT_FIX".to_owned(),
        ),
        (
            "[[routes]]\nto = \"log\"\nlevel = [\"NONE\", \"FOO\"]",
            None,
            "routes[0].level[1] = \"FOO\": expected NONE, REPEAT, ESCALATE or PERMANENT_FIX"
                .to_owned(),
        ),
        (
            "[queues.foo]\nattempts = 1",
            None,
            "queues.foo is not a setting: expected ingest, tier, notify, repair or recount".to_owned(),
        ),
        (
            "",
            Some(("TOCSIN_LISTEN", "localhost:9555")),
            "TOCSIN_LISTEN: \"localhost:9555\" is not an address: write IP:PORT, such as 127.0.0.1:9099"
                .to_owned(),
        ),
        (
            "metrics_listen = \"9555\"",
            None,
            "metrics_listen: \"9555\" is not an address: write IP:PORT, such as 127.0.0.1:9099".to_owned(),
        ),
        (
            "",
            Some(("TOCSIN_LIMITS__BODY", "4MB")),
            format!("TOCSIN_LIMITS__BODY: {bytes}"),
        ),
        (
            "[limits]\nbody = \"4MB\"",
            None,
            format!("limits.body: {bytes}"),
        ),
        (
            "[recount]\nrepair = 1",
            None,
            "recount.repair: found 1, expected true or false".to_owned(),
        ),
    ] {
        let refused = load(toml, variable.as_slice()).unwrap_err().to_string();
        assert_eq!(refused, expected, "{toml} {variable:?}");
    }
    let outside = load("[telegram]\napi = \"x\"", &[])
        .unwrap_err()
        .to_string();
    assert!(outside.contains("telegram_api"), "{outside}");
    for name in ["occurrences", "rest"] {
        let refused = load(&format!("[retention]\n{name} = \"5d\""), &[]).unwrap_err();
        let expected = format!("retention.{name} must be at least 30d");
        assert!(refused.to_string().starts_with(&expected), "{refused}");
    }
    let missing = Config::load(Some(Path::new("/nope")))
        .unwrap_err()
        .to_string();
    assert_eq!(missing, "cannot read settings file /nope: no such file");
}

#[test]
fn what_is_not_heard_of_must_be_unheard_before_it_is_unseen_and_unseen_before_it_is_pruned() {
    for (refused, named) in [
        ("[counting]\nunheard = \"0s\"", "counting.unheard"),
        ("[counting]\nunheard = \"60s\"", "counting.unheard"),
        ("[counting]\nunseen = \"0s\"", "counting.unseen"),
        ("[counting]\nunseen = \"12h\"", "counting.unseen"),
        ("[counting]\nunseen = \"16d\"", "counting.unseen"),
        ("alertmanager_url = \"am:9093\"", "alertmanager_url"),
        ("alertmanager_url = \"http://\"", "alertmanager_url"),
    ] {
        let error = load(refused, &[]).unwrap_err().to_string();
        assert!(error.contains(named), "{refused}: {error}");
    }
    let toml =
        "alertmanager_url = \"http://a:b@am\"\n[counting]\nunheard = \"2m\"\nunseen = \"15d\"";
    load(toml, &[]).unwrap();
}

#[test]
fn what_kubernetes_injects_is_ignored() {
    let injected = [
        ("TOCSIN_PORT", "tcp://10.0.0.1:80"),
        ("TOCSIN_SERVICE_HOST", "10.0.0.1"),
    ];
    load("", &injected).unwrap();
}

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
