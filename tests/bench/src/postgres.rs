//! PostgreSQL: a server of our own with its default settings, or the one that was given.

use anyhow::{Context, ensure};
use reqwest::Url;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
use tocsin_kit::folder::Folder;
use tocsin_kit::postgres::Postgres as Server;

/// A server, ready.
pub(crate) struct Postgres {
    admin: Url,
    /// Databases that were made and not dropped.
    made: Vec<String>,
    own: Option<Server>,
}

impl Postgres {
    /// The server at `url`.
    pub(crate) fn given(url: &str) -> anyhow::Result<Self> {
        let admin = Url::parse(url).context("--database-url")?;
        ensure!(
            matches!(admin.scheme(), "postgres" | "postgresql"),
            "--database-url must start with postgres://"
        );
        Ok(Self {
            admin,
            made: Vec::new(),
            own: None,
        })
    }

    /// A server of our own, in a folder of its own.
    pub(crate) async fn start(folder: Folder) -> anyhow::Result<Self> {
        let server = Server::start(folder).await?;
        Ok(Self {
            admin: Url::parse(&server.url())?,
            made: Vec::new(),
            own: Some(server),
        })
    }

    pub(crate) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// A database with nothing in it.
    pub(crate) async fn database(&mut self) -> anyhow::Result<String> {
        self.clear().await?;
        let name = format!("tocsin_bench_{:08x}", rand::random::<u32>());
        self.made.push(name.clone());
        execute(&self.admin, &format!("CREATE DATABASE {name}"))
            .await
            .context("making a database")?;
        if self.is_own() {
            // What one measurement left to write is not the next one's burden.
            execute(&self.admin, "CHECKPOINT").await?;
        }
        let mut url = self.admin.clone();
        url.set_path(&name);
        Ok(url.into())
    }

    /// Drops what was made.
    pub(crate) async fn clear(&mut self) -> anyhow::Result<()> {
        while let Some(name) = self.made.last() {
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            execute(&self.admin, &drop)
                .await
                .with_context(|| format!("dropping the database {name}"))?;
            self.made.pop();
        }
        Ok(())
    }

    /// Its version, as it says itself.
    pub(crate) async fn version(&self) -> Option<String> {
        let db = Database::connect(options(&self.admin)).await.ok()?;
        let query =
            sea_orm::Statement::from_string(db.get_database_backend(), "SHOW server_version");
        let row = db.query_one_raw(query).await.ok()??;
        row.try_get_by_index(0).ok()
    }
}

async fn execute(url: &Url, sql: &str) -> anyhow::Result<()> {
    let db = Database::connect(options(url)).await?;
    let result = db.execute_unprepared(sql).await;
    db.close().await?;
    result?;
    Ok(())
}

fn options(url: &Url) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.as_str());
    options.max_connections(1).sqlx_logging(false);
    options
}
