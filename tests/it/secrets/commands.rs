//! Commands, and starts that must fail.

use std::process::Stdio;

use super::planted::Leaks;
use super::servers::Servers;

/// Arguments, and what is set beside the usual.
type Attempt<'a> = (Vec<&'a str>, Vec<(&'a str, String)>);

pub(super) fn run(stage: &Servers, found: &mut Leaks) {
    let started: Vec<_> = attempts(stage)
        .into_iter()
        .map(|(arguments, set)| {
            let mut command = stage.tocsin(&arguments);
            command.envs(set.clone());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            (arguments, set, command.spawn().unwrap())
        })
        .collect();
    for (arguments, set, process) in started {
        let ended = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        if arguments == ["serve"] {
            assert!(!ended.status.success(), "{set:?}: {said}");
        }
        assert!(!said.is_empty(), "{arguments:?} says nothing");
        found.add(format!("what `tocsin {}` said", arguments.join(" ")), &said);
    }
}

fn attempts(stage: &Servers) -> Vec<Attempt<'static>> {
    let planted = &stage.planted;
    let (redis, database) = (&planted.redis, &planted.database);
    let place = &stage.redis_place;
    let config = |name: &'static str, text: String| {
        let file: &'static str = stage.file(name, text).leak();
        vec!["--config", file, "config", "check"]
    };
    let broken = format!(
        "webhook_token = \"{}\napi_token = [{}",
        planted.webhook, planted.operate
    );
    let no_section = format!("webhooks.other = \"https://h/{}\"", planted.hook_path);
    let mistaken = format!("api_token = {{a = \"{}\"}}", planted.operate);
    let not_text = stage.file("binary", [planted.operate.as_bytes(), b"\xff"].concat());
    let mut attempts = vec![
        (vec!["config", "show"], vec![]),
        (vec!["config", "check"], vec![]),
        (config("broken.toml", broken), vec![]),
        (config("mistaken.toml", mistaken), vec![]),
        (config("no_section.toml", no_section), vec![]),
        (vec!["incidents"], vec![]),
        (vec!["incidents", "--help"], vec![]),
        (vec!["simulate", "--help"], vec![]),
        (vec!["health"], vec![]),
        (
            vec!["migrate", "status"],
            vec![(
                "TOCSIN_DATABASE_URL",
                format!("{}&pasword={database}", stage.database()),
            )],
        ),
    ];
    let two_at = format!("postgres://u:a@{database}@h/d");
    attempts.push((
        vec!["config", "show"],
        vec![("TOCSIN_DATABASE_URL", two_at.clone())],
    ));
    for (name, value) in [
        (
            "TOCSIN_REDIS_URL",
            format!("redis://tocsin:{redis}@127.0.0.1:1"),
        ),
        (
            "TOCSIN_REDIS_URL",
            format!("redis://tocsin:{redis}x@{place}"),
        ),
        (
            "TOCSIN_REDIS_URL",
            format!("redis://tocsin:{redis}@host:port"),
        ),
        ("TOCSIN_REDIS_URL", format!("redi://tocsin:{redis}@host")),
        (
            "TOCSIN_DATABASE_URL",
            format!("postgres://u:{database}@127.0.0.1:1/d"),
        ),
        (
            "TOCSIN_DATABASE_URL",
            format!("postgres://u:{database}@127.0.0.1:port/d"),
        ),
        ("TOCSIN_DATABASE_URL", two_at),
        ("TOCSIN_API_TOKEN_FILE", not_text),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("u:{}@host", planted.collector),
        ),
        ("TOCSIN_TELEGRAM_API", format!("ftp://{}", planted.telegram)),
        (
            "TOCSIN_WEBHOOKS__OTHER__URL",
            format!("ftp://h/{}", planted.hook_path),
        ),
        (
            "TOCSIN_WEBHOOKS__OTHER",
            format!("https://h/{}", planted.hook_path),
        ),
        ("TOCSIN_WEBHOOKS__OPS__KEY", planted.hook_secret.clone()),
    ] {
        attempts.push((vec!["serve"], vec![(name, value)]));
    }
    attempts
}
