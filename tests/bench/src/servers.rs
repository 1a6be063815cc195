//! The servers that measurements run on, and the site that each gets for itself.

use tocsin::config::{Config, Secret};
use tocsin_kit::folder::Folder;

use crate::alertmanager::Alertmanager;
use crate::combination::On;
use crate::postgres::Postgres;
use crate::redis::Redis;

/// Servers: started when they are first needed, stopped when this is dropped.
pub(crate) struct Servers {
    // Fields are dropped in this order: the folder last.
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    folder: Folder,
    sites: u32,
}

/// What one measurement runs on: a store and a queue with nothing in them.
pub(crate) struct Site {
    folder: Folder,
    database_url: String,
    /// URL and prefix.
    redis: Option<(String, String)>,
}

impl Servers {
    /// None yet; those that were given are used as they are.
    pub(crate) fn new(postgres: Option<&Secret>, redis: Option<&Secret>) -> anyhow::Result<Self> {
        let postgres = postgres.map(|url| Postgres::given(url.expose()));
        let redis = redis.map(|url| Redis::given(url.expose()));
        Ok(Self {
            postgres: postgres.transpose()?,
            redis: redis.transpose()?,
            folder: Folder::new("tocsin-bench")?,
            sites: 0,
        })
    }

    /// A site for one measurement. It takes the place of the one before.
    pub(crate) async fn site(&mut self, on: On) -> anyhow::Result<Site> {
        let folder = self.new_folder("site")?;
        let database_url = match on {
            On::Embedded => format!("sqlite://{}", folder.path().join("tocsin.db").display()),
            On::Postgres | On::Fleet => self.database().await?,
        };
        let redis = match on {
            On::Embedded | On::Postgres => None,
            On::Fleet => {
                let redis = self.redis().await?;
                Some((redis.url().to_owned(), redis.prefix().to_owned()))
            }
        };
        Ok(Site {
            folder,
            database_url,
            redis,
        })
    }

    /// A Redis with nothing of ours in it.
    pub(crate) async fn redis(&mut self) -> anyhow::Result<&Redis> {
        match &mut self.redis {
            Some(given) if !given.is_own() => given.clear().await?,
            // A new one costs less than to see to it that an old one is as new.
            _ => self.redis = Some(Redis::start(self.new_folder("redis")?).await?),
        }
        self.present_redis()
    }

    /// The Redis of the present site.
    pub(crate) fn present_redis(&self) -> anyhow::Result<&Redis> {
        let redis = self.redis.as_ref();
        redis.ok_or_else(|| anyhow::anyhow!("no Redis was started"))
    }

    /// An Alertmanager.
    pub(crate) async fn alertmanager(&mut self) -> anyhow::Result<Alertmanager> {
        Alertmanager::start(self.new_folder("alertmanager")?).await
    }

    /// Removes what is left on servers that are not our own.
    pub(crate) async fn clear(&mut self) -> anyhow::Result<()> {
        if let Some(redis) = self.redis.as_mut().filter(|redis| !redis.is_own()) {
            redis.clear().await?;
        }
        if let Some(postgres) = self.postgres.as_mut().filter(|postgres| !postgres.is_own()) {
            postgres.clear().await?;
        }
        Ok(())
    }

    /// What ran, by name.
    pub(crate) async fn versions(&self) -> Vec<(&'static str, String)> {
        let mut versions = vec![("tocsin", tocsin::VERSION.to_owned())];
        if let Some(redis) = &self.redis {
            versions.extend(redis.version().await.map(|version| ("redis", version)));
        }
        if let Some(postgres) = &self.postgres {
            let version = postgres.version().await;
            versions.extend(version.map(|version| ("postgres", version)));
        }
        versions
    }

    /// A folder for a process of ours.
    pub(crate) fn new_folder(&mut self, name: &str) -> anyhow::Result<Folder> {
        self.sites += 1;
        self.folder.within(&format!("{name}-{}", self.sites))
    }

    async fn database(&mut self) -> anyhow::Result<String> {
        if self.postgres.is_none() {
            let folder = self.new_folder("postgres")?;
            self.postgres = Some(Postgres::start(folder).await?);
        }
        match &mut self.postgres {
            Some(postgres) => postgres.database().await,
            None => anyhow::bail!("PostgreSQL was not started"),
        }
    }
}

impl Site {
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The environment of a process that runs here.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("TOCSIN_DATABASE_URL", self.database_url.clone())];
        if let Some((url, prefix)) = &self.redis {
            variables.push(("TOCSIN_REDIS_URL", url.clone()));
            variables.push(("TOCSIN_REDIS_PREFIX", prefix.clone()));
        }
        variables
    }

    /// The settings of what runs here within this process.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let mut settings = serde_json::json!({"database_url": self.database_url});
        if let Some((url, prefix)) = &self.redis {
            settings["redis_url"] = url.as_str().into();
            settings["redis_prefix"] = prefix.as_str().into();
        }
        Ok(serde_json::from_value(settings)?)
    }
}
