//! A database of a test's own, and keys in Redis beside it.

use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use tocsin::config::{Config, Secret};
use uuid::Uuid;

use super::{On, template};
use crate::process;
use crate::redis_keys::RedisKeys;

/// A database of a test's own, and keys in Redis where it takes part. Dropped with its folder, or
/// with the server.
pub struct Scratch {
    pub url: String,
    pub redis: Option<RedisKeys>,
    /// Its name on PostgreSQL.
    schema: Option<String>,
    folder: Option<PathBuf>,
    _turn: Option<Box<dyn Send + Sync>>,
}

impl Scratch {
    /// For a test that runs beside others.
    pub async fn new(on: On) -> Self {
        let turn = process::beside_others().await;
        let mut scratch = Self::migrated(on).await;
        scratch._turn = Some(Box::new(turn));
        scratch
    }

    /// For a test whose bounds mean something only while the cores are its own.
    pub async fn alone(on: On) -> Self {
        let turn = process::alone().await;
        let mut scratch = Self::migrated(on).await;
        scratch._turn = Some(Box::new(turn));
        scratch
    }

    /// On PostgreSQL with a database instead of a schema of its own, for a test that reads what the server says of a
    /// database. Alone: what other tests do keeps a transaction open for longer, and so older versions of rows.
    pub async fn with_own_database(on: On) -> Self {
        let mut scratch = Self::alone(on).await;
        if on != On::Sqlite {
            let (server, name) = (postgres_url(), format!("t_{}", Uuid::now_v7().simple()));
            let db = Database::connect(&server).await.unwrap();
            let create = format!("CREATE DATABASE {name}");
            db.execute_unprepared(&create).await.unwrap();
            db.close().await.unwrap();
            let (server, _) = server.rsplit_once('/').unwrap();
            scratch.url = format!("{server}/{name}");
        }
        scratch
    }

    /// For a test that has its turn already. Empty: its processes migrate it.
    pub async fn in_turn(on: On) -> Self {
        let scratch = Self::named(on);
        if let Some(schema) = &scratch.schema {
            let db = Database::connect(&postgres_url()).await.unwrap();
            let create = format!("CREATE SCHEMA {schema}");
            db.execute_unprepared(&create).await.unwrap();
            db.close().await.unwrap();
        }
        scratch
    }

    /// Migrated where that takes long, which is on PostgreSQL.
    async fn migrated(on: On) -> Self {
        let scratch = Self::named(on);
        if let Some(schema) = &scratch.schema {
            template::create(schema).await;
        }
        scratch
    }

    fn named(on: On) -> Self {
        let name = format!("t_{}", Uuid::now_v7().simple());
        match on {
            On::Sqlite => {
                let folder = std::env::temp_dir().join(format!("tocsin-{name}"));
                std::fs::create_dir_all(&folder).unwrap();
                Self {
                    url: format!("sqlite://{}/tocsin.db", folder.display()),
                    redis: None,
                    schema: None,
                    folder: Some(folder),
                    _turn: None,
                }
            }
            On::Postgres | On::Fleet => {
                let server = postgres_url();
                Self {
                    url: format!("{server}?options=-c%20search_path%3D{name}"),
                    redis: (on == On::Fleet).then(RedisKeys::in_turn),
                    schema: Some(name),
                    folder: None,
                    _turn: None,
                }
            }
        }
    }
}

impl Scratch {
    /// The settings that lead here.
    pub fn config(&self, connections: u32) -> Config {
        let mut config = Config {
            database_url: Secret::from(self.url.as_str()),
            database_connections: connections,
            ..Config::default()
        };
        if let Some(keys) = &self.redis {
            config.redis_url = Some(Secret::from(keys.url.as_str()));
            config.redis_prefix.clone_from(&keys.prefix);
        }
        config
    }

    /// Makes what is in flight older: for SQL that is the clock's doing.
    pub fn age(&self, by: Duration) {
        if let Some(keys) = &self.redis {
            keys.age(by);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The PostgreSQL server that `./scripts/test` starts.
pub fn postgres_url() -> String {
    std::env::var("TOCSIN_TEST_POSTGRES_URL")
        .expect("TOCSIN_TEST_POSTGRES_URL is not set: run ./scripts/test, which starts a server")
}
