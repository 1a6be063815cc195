//! The servers of the chain.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use redis::RedisError;
use reqwest::Client;
use sea_orm::ConnectionTrait as _;
use tocsin_kit::folder::Folder;
use tocsin_kit::postgres::Postgres;
use tocsin_kit::process::Process;
use tocsin_kit::redis::{Fsync, RedisServer};
use tocsin_kit::{PATIENCE, alertmanager, exporters, port, prometheus};

use crate::configuration::{Addresses, Configuration};
use crate::holders::{Idle, Waiting, connect};
use crate::prometheus::{firing, sees_servers};
use crate::{Fault, Firing};

/// What clients may have of PostgreSQL's connections: these without three for superusers.
const CONNECTIONS: [&str; 2] = ["-c", "max_connections=20"];
/// What Redis may use.
const MEMORY: [&str; 4] = ["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"];
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// The longest that a shipped rule takes, at its own speed.
const RULE: Duration = Duration::from_secs(600);
/// Bytes of one value: the last that Redis takes is clearly too much.
const VALUE: usize = 1 << 20;

/// What the servers are started for.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The shipped files.
    pub deploy: PathBuf,
    /// Where Tocsin is, such as `127.0.0.1:9099`.
    pub tocsin: String,
    /// Its webhook token.
    pub token: String,
    /// Where Prometheus is to listen on 127.0.0.1.
    pub prometheus: u16,
    /// Where Alertmanager is to listen on 127.0.0.1.
    pub alertmanager: u16,
    /// How many times as fast as shipped.
    pub faster: u32,
}

/// The servers. Ended, and their files deleted, when dropped.
pub struct Chain {
    // In this order they end: who asks before who is asked.
    prometheus: Process,
    alertmanager: Process,
    exporters: [Process; 2],
    idle: Option<Idle>,
    waiting: Option<Waiting>,
    postgres: Postgres,
    redis: RedisServer,
    configuration: Configuration,
    prometheus_url: String,
    alertmanager_url: String,
    http: Client,
    patience: Duration,
    _folder: Folder,
}

impl Chain {
    /// Starts all of them in this folder, and waits until each answers.
    ///
    /// # Errors
    /// One is not installed, a shipped file is not as it is expected to be, or one does not start.
    pub async fn start(folder: Folder, setup: &Setup) -> anyhow::Result<Self> {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let exporters = [port::free(), port::free()];
        let configuration = Configuration {
            deploy: setup.deploy.clone(),
            folder: folder.path().to_owned(),
            addresses: Addresses {
                tocsin: setup.tocsin.clone(),
                prometheus: local(setup.prometheus),
                alertmanager: local(setup.alertmanager),
                postgres_exporter: local(exporters[0]),
                redis_exporter: local(exporters[1]),
            },
            faster: setup.faster,
        };
        configuration.token(&setup.token)?;
        let http = tocsin::tls::client().build()?;
        let (postgres, redis) = tokio::try_join!(
            Postgres::start_with(folder.within("postgres")?, &CONNECTIONS),
            RedisServer::start(folder.within("redis")?, Fsync::EverySecond, &MEMORY),
        )?;
        prepare(&postgres, &configuration).await?;
        let exporters = [
            postgres_exporter(&configuration, &postgres, exporters[0], &folder)?,
            redis_exporter(&configuration, &redis, exporters[1], &folder)?,
        ];
        let [of_prometheus, of_alertmanager] =
            ["prometheus", "alertmanager"].map(|name| folder.join(name));
        std::fs::create_dir(&of_prometheus)?;
        std::fs::create_dir(&of_alertmanager)?;
        let file = configuration.prometheus()?;
        let command = prometheus::command(&file, &of_prometheus, setup.prometheus)?;
        let prometheus = Process::start("prometheus", command, folder.join("prometheus.log"))?;
        let file = configuration.alertmanager()?;
        let command = alertmanager::command(&file, &of_alertmanager, setup.alertmanager)?;
        let alertmanager =
            Process::start("alertmanager", command, folder.join("alertmanager.log"))?;
        let mut chain = Self {
            prometheus,
            alertmanager,
            exporters,
            idle: None,
            waiting: None,
            postgres,
            redis,
            prometheus_url: format!("http://{}", configuration.addresses.prometheus),
            alertmanager_url: format!("http://{}", configuration.addresses.alertmanager),
            configuration,
            http,
            patience: PATIENCE + RULE / setup.faster,
            _folder: folder,
        };
        is_ready(&mut chain.prometheus, &chain.http, &chain.prometheus_url).await?;
        chain.alertmanager_is_ready().await?;
        // An exporter that meets a server without a free connection says nothing of it; later it keeps its own.
        let began = Instant::now();
        while !sees_servers(&chain.http, &chain.prometheus_url).await? {
            chain.goes_on(began, "see the servers")?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(chain)
    }

    /// Waits until the alert of a fault fires in Prometheus, or does not any more.
    ///
    /// # Errors
    /// Prometheus does not answer, a server has ended, or it takes too long.
    pub async fn until(&mut self, fault: Fault, fires: bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.firing(fault).await?.is_some() != fires {
            self.goes_on(began, fault.alert())?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Whether Prometheus may still do what it was expected to do since `began`.
    fn goes_on(&mut self, began: Instant, what: &str) -> anyhow::Result<()> {
        let watched = [&mut self.prometheus, &mut self.alertmanager];
        for process in watched.into_iter().chain(&mut self.exporters) {
            if !process.was_killed() {
                process.check()?;
            }
        }
        let seconds = self.patience.as_secs();
        ensure!(
            began.elapsed() < self.patience,
            "Prometheus: {what}: not within {seconds} s: {}",
            self.prometheus.said()
        );
        Ok(())
    }

    /// Where Prometheus is.
    #[must_use]
    pub fn prometheus_url(&self) -> &str {
        &self.prometheus_url
    }

    /// Where Alertmanager is.
    #[must_use]
    pub fn alertmanager_url(&self) -> &str {
        &self.alertmanager_url
    }

    /// The alert of a fault, if it fires in Prometheus.
    ///
    /// # Errors
    /// Prometheus does not answer.
    pub async fn firing(&self, fault: Fault) -> anyhow::Result<Option<Firing>> {
        firing(&self.http, &self.prometheus_url, fault).await
    }

    /// Has it go wrong.
    ///
    /// # Errors
    /// It does not.
    pub async fn begin(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Connections => {
                self.idle = Some(Idle::all(&self.app_url(), &self.postgres.url()).await?);
            }
            Fault::Lock => self.waiting = Some(Waiting::start(&self.postgres.url()).await?),
            Fault::Memory => self.fill().await?,
            Fault::Redis => self.redis.stop().await?,
            Fault::Postgres => self.postgres.stop("fast").await?,
        }
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Connections => {
                let idle = self.idle.take().context("it did not begin")?;
                idle.close().await?;
            }
            Fault::Lock => {
                let waiting = self.waiting.take().context("it did not begin")?;
                waiting.end().await?;
            }
            Fault::Memory => {
                let mut connection = self.redis.connect().await?;
                redis::cmd("FLUSHALL").exec_async(&mut connection).await?;
            }
            Fault::Redis => self.redis.start_again().await?,
            Fault::Postgres => self.postgres.start_again().await?,
        }
        Ok(())
    }

    /// Ends Alertmanager at once.
    pub fn kill_alertmanager(&mut self) {
        self.alertmanager.kill();
    }

    /// Starts Alertmanager again with what it kept.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_alertmanager(&mut self) -> anyhow::Result<()> {
        self.alertmanager.restart()?;
        self.alertmanager_is_ready().await
    }

    /// From now on Prometheus sends by Alertmanager alone.
    ///
    /// # Errors
    /// Prometheus does not take it.
    pub async fn send_by_alertmanager_alone(&self) -> anyhow::Result<()> {
        self.configuration.write_prometheus(false)?;
        let reload = format!("{}/-/reload", self.prometheus_url);
        self.http.post(reload).send().await?.error_for_status()?;
        Ok(())
    }

    /// A role that has no connections of its own reserved.
    fn app_url(&self) -> String {
        format!("postgres://app@127.0.0.1:{}/postgres", self.postgres.port())
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let mut connection = self.redis.connect().await?;
        for number in 0..64 {
            let mut set = redis::cmd("SETRANGE");
            set.arg(format!("key:{number}")).arg(VALUE - 1).arg("x");
            let set: Result<(), RedisError> = set.exec_async(&mut connection).await;
            match set {
                Ok(()) => {}
                Err(error) if error.code() == Some("OOM") => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        bail!("Redis takes more than it may")
    }

    async fn alertmanager_is_ready(&mut self) -> anyhow::Result<()> {
        is_ready(&mut self.alertmanager, &self.http, &self.alertmanager_url).await
    }
}

/// The exporter's role, and one of a program.
async fn prepare(postgres: &Postgres, configuration: &Configuration) -> anyhow::Result<()> {
    let db = connect(&postgres.url()).await?;
    db.execute_unprepared(&configuration.exporter_role()?)
        .await?;
    db.execute_unprepared("CREATE ROLE app LOGIN").await?;
    Ok(db.close().await?)
}

fn postgres_exporter(
    configuration: &Configuration,
    postgres: &Postgres,
    port: u16,
    folder: &Folder,
) -> anyhow::Result<Process> {
    let (source, arguments) = configuration.postgres_exporter(postgres.port())?;
    let mut command = exporters::postgres(port)?;
    command.env("DATA_SOURCE_NAME", source).args(arguments);
    Process::start(
        "postgres_exporter",
        command,
        folder.join("postgres_exporter.log"),
    )
}

fn redis_exporter(
    configuration: &Configuration,
    redis: &RedisServer,
    port: u16,
    folder: &Folder,
) -> anyhow::Result<Process> {
    let (address, arguments) = configuration.redis_exporter(redis.port())?;
    let mut command = exporters::redis(port)?;
    command.env("REDIS_ADDR", address).args(arguments);
    Process::start("redis_exporter", command, folder.join("redis_exporter.log"))
}

async fn is_ready(process: &mut Process, http: &Client, url: &str) -> anyhow::Result<()> {
    let asked = async || {
        let answer = http.get(format!("{url}/-/ready")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    process.ready(asked).await
}
