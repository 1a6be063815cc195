//! What surrounds the program: servers that repeat what they get, and a database that can be
//! read.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use reqwest::Url;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, Statement};
use serde_json::json;
use tokio::net::TcpListener;

use super::planted::Planted;
use crate::harness::{On, Scratch};
use crate::process::{Folder, folder, free_port, program};
use crate::redis_server::{self, Fsync, RedisServer};

/// Where the program runs, and what it is given.
pub(super) struct Servers {
    pub(super) planted: Planted,
    pub(super) folder: Folder,
    pub(super) scratch: Scratch,
    pub(super) redis: RedisServer,
    pub(super) redis_place: String,
    pub(super) port: u16,
    parrot: String,
}

impl Servers {
    pub(super) async fn new() -> Self {
        let planted = Planted::new();
        let (redis, redis_place) = guarded_redis(&planted).await;
        Self {
            planted,
            folder: folder(),
            scratch: Scratch::in_turn(On::Postgres).await,
            redis,
            redis_place,
            port: free_port(),
            parrot: parrot().await,
        }
    }

    /// Writes a file.
    pub(super) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The database's address, with a password in it.
    pub(super) fn database(&self) -> String {
        let mut url = Url::parse(&self.scratch.url).unwrap();
        url.set_password(Some(&self.planted.database)).unwrap();
        url.into()
    }

    /// The program with every secret, and nothing of the caller's settings.
    pub(super) fn tocsin(&self, arguments: &[&str]) -> Command {
        let (planted, parrot) = (&self.planted, &self.parrot);
        let mut command = Command::new(program());
        for (name, _) in std::env::vars_os() {
            let shown = name.to_string_lossy();
            if ["TOCSIN_", "RUST_", "OTEL_"]
                .iter()
                .any(|of| shown.starts_with(of))
            {
                command.env_remove(&name);
            }
        }
        let redis = format!("redis://tocsin:{}@{}", planted.redis, self.redis_place);
        let webhook = format!("{},{}", planted.webhook, planted.old_webhook);
        let read = self.file("read", format!("{}\n", planted.read));
        let presses = self.file("presses", &planted.presses);
        let collector = format!("http://u:{}@{parrot}", planted.collector);
        let header = format!("x-key={}", planted.collector_header);
        let hook = format!(
            "http://u:{}@{parrot}/hook/{}?key={}\n",
            planted.hook_password, planted.hook_path, planted.hook_query
        );
        let hook = self.file("hook", hook);
        let pager = self.file("pager", &planted.pager);
        let discord = self.file(
            "discord",
            format!("http://{parrot}/hook/{}", planted.discord),
        );
        let sentry = self.file("sentry", format!("{}\n", planted.sentry));
        let teams = format!("http://{parrot}/hook/flow?sig={}", planted.teams);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .env("TOCSIN_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("TOCSIN_DATABASE_URL", self.database())
            .env("TOCSIN_DATABASE_CONNECTIONS", "8")
            .env("TOCSIN_REDIS_URL", redis)
            .env("TOCSIN_TELEGRAM_TOKEN", format!("1:{}", planted.telegram))
            .env("TOCSIN_TELEGRAM_CHAT", "-100")
            .env("TOCSIN_TELEGRAM_API", format!("http://{parrot}"))
            .env("TOCSIN_TELEGRAM__PEOPLE", "{\"42\" = \"alice\"}")
            .env("TOCSIN_TELEGRAM__UPDATES", "webhook")
            .env("TOCSIN_TELEGRAM__WEBHOOK_SECRET_FILE", presses)
            .env("TOCSIN_PUBLIC_URL", "https://tocsin.example.org")
            .env("TOCSIN_WEBHOOK_TOKEN", webhook)
            .env("TOCSIN_READ_TOKEN_FILE", read)
            .env("TOCSIN_API_TOKEN", &planted.operate)
            .env("TOCSIN_WEBHOOKS__OPS__URL_FILE", hook)
            .env("TOCSIN_WEBHOOKS__OPS__SECRET", &planted.hook_secret)
            .env("TOCSIN_PAGERDUTY__OPS__ROUTING_KEY_FILE", pager)
            .env("TOCSIN_PAGERDUTY__OPS__URL", format!("http://{parrot}"))
            .env("TOCSIN_DISCORD__OPS__URL_FILE", discord)
            .env("TOCSIN_TEAMS__OPS__URL", teams)
            .env("TOCSIN_SENTRY__URL", format!("http://{parrot}"))
            .env("TOCSIN_SENTRY__ORGANIZATION", "acme")
            .env("TOCSIN_SENTRY__TOKEN_FILE", sentry)
            .env("TOCSIN_SOURCES__SENTRY__SECRET", &planted.sentry_secret)
            .env("TOCSIN_EMAIL__SERVER", "127.0.0.1:1")
            .env("TOCSIN_EMAIL__FROM", "tocsin@example.org")
            .env("TOCSIN_EMAIL__TO", "oncall@example.org")
            .env("TOCSIN_EMAIL__USER", "tocsin")
            .env("TOCSIN_EMAIL__PASSWORD", &planted.mail)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
            .env("OTEL_EXPORTER_OTLP_HEADERS", header)
            .env("OTEL_BSP_SCHEDULE_DELAY", "200");
        command
    }
}

/// Answers as badly as it can, and repeats whatever it was asked with.
async fn parrot() -> String {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let repeat = |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let said = format!("{uri} {headers:?} {}", String::from_utf8_lossy(&body));
        let telegram = json!({"ok": false, "description": format!("Bad Request: {said}")});
        let asked = ASKED.fetch_add(1, Ordering::Relaxed) % 4;
        if uri.path().starts_with("/hook/") {
            let status = [500, 400, 410, 307][asked];
            return (StatusCode::from_u16(status).unwrap(), said);
        }
        match asked {
            0 => (StatusCode::INTERNAL_SERVER_ERROR, said),
            1 => (StatusCode::OK, said),
            2 => (StatusCode::FORBIDDEN, telegram.to_string()),
            _ => (StatusCode::BAD_REQUEST, telegram.to_string()),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let app = Router::new().fallback(repeat);
    tokio::spawn(async move { axum::serve(listener, app).await });
    place
}

/// A Redis with a user whose password is planted.
async fn guarded_redis(planted: &Planted) -> (RedisServer, String) {
    let server = redis_server::start(Fsync::EverySecond).await;
    let mut user = redis::cmd("ACL");
    user.arg(&[
        "SETUSER",
        "tocsin",
        "on",
        "~*",
        "+@all",
        "-@admin",
        "-@dangerous",
        "+info",
    ]);
    user.arg(format!(">{}", planted.redis));
    user.exec_async(&mut server.connect().await.unwrap())
        .await
        .unwrap();
    let place = server.url().replace("redis://", "");
    (server, place)
}

/// Every row of every table that the URL leads to, as text.
pub(super) async fn dump(url: &str) -> String {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.unwrap();
    let ask = async |sql: String| -> Vec<String> {
        let sql = Statement::from_string(db.get_database_backend(), sql);
        let rows = db.query_all_raw(sql).await.unwrap();
        rows.iter()
            .map(|row| row.try_get_by_index(0).unwrap())
            .collect()
    };
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()";
    let mut text = String::new();
    for table in ask(tables.to_owned()).await {
        // Bytes as text, too: a payload is bytes.
        let rows = format!(
            "SELECT t::text || ' ' || COALESCE(encode(decode(substring(t::text from '\\\\x([0-9a-f]+)'), \
             'hex'), 'escape'), '') FROM {table} t"
        );
        let rows = ask(rows).await;
        text.push_str(&format!("{table}: {}\n{}\n", rows.len(), rows.join("\n")));
    }
    db.close().await.unwrap();
    text
}
