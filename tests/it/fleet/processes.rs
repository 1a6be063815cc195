//! Tocsin as processes: the real program on a database (and a Redis) of a test's own, with a
//! stand-in for Telegram.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{LEVELS_BY_COUNTS, On, Scratch};
use crate::process::{self, Folder, PATIENCE, Process, folder, free_port, program};
use crate::redis_keys::RedisKeys;
use crate::telegram::Telegram;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend};
use sea_orm::{QueryResult, Statement, TryGetable};
use tocsin::jobs::QUEUES;
use tocsin::queue::redis::RedisQueue;
use tocsin::queue::store::QueueStore as _;
use tocsin::time::{Clock, Timestamp};

/// Processes that share a database and a Telegram.
pub struct Fleet {
    pub processes: Vec<Process>,
    pub telegram: Telegram,
    pub http: reqwest::Client,
    pub database: String,
    pub redis: Option<RedisKeys>,
    pub folder: Folder,
    /// Settings of all its processes.
    pub settings: Vec<(&'static str, String)>,
    _scratch: Option<Scratch>,
    _turn: Box<dyn Send>,
}

/// What is different about how a process is started.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The command that starts it, and its arguments.
    pub under: Vec<String>,
    /// Settings other than the fleet's.
    pub settings: Vec<(&'static str, String)>,
    /// Another copy of the program.
    pub program: Option<PathBuf>,
}

impl Launch {
    pub fn under(command: &[&str]) -> Self {
        Self {
            under: command.iter().map(|&word| word.to_owned()).collect(),
            ..Self::default()
        }
    }

    pub fn with(setting: &'static str, value: String) -> Self {
        Self {
            settings: vec![(setting, value)],
            ..Self::default()
        }
    }
}

impl Fleet {
    /// None yet, on a database of their own, alone.
    pub async fn new(on: On) -> Self {
        let turn = process::alone().await;
        Self::in_turn(on, turn).await
    }

    /// None yet, on a database of their own, for a test that has its turn.
    pub async fn in_turn(on: On, turn: impl Send + 'static) -> Self {
        let mut scratch = Scratch::in_turn(on).await;
        let redis = scratch.redis.take();
        let mut fleet = Self::on(scratch.url.clone(), redis, turn).await;
        fleet._scratch = Some(scratch);
        fleet
    }

    /// None yet, on this database, and this Redis if there is one.
    pub async fn on(database: String, redis: Option<RedisKeys>, turn: impl Send + 'static) -> Self {
        let http = tocsin::tls::client().timeout(Duration::from_secs(20));
        Self {
            processes: Vec::new(),
            telegram: Telegram::start().await,
            http: http.build().unwrap(),
            database,
            redis,
            folder: folder(),
            settings: Vec::new(),
            _scratch: None,
            _turn: Box::new(turn),
        }
    }

    /// Runs the program with these arguments, on this port if it listens; returns its number.
    pub fn run(&mut self, arguments: &[&str], port: u16) -> usize {
        self.run_as(arguments, port, &Launch::default())
    }

    /// The same, started in this way.
    pub fn run_as(&mut self, arguments: &[&str], port: u16, launch: &Launch) -> usize {
        let program = launch.program.as_deref().unwrap_or(program());
        let program = program.to_str().unwrap().to_owned();
        let mut words = launch.under.iter().chain(std::iter::once(&program));
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOCSIN_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let listen = match arguments[0] {
            "work" => "TOCSIN_METRICS_LISTEN",
            _ => "TOCSIN_LISTEN",
        };
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env(listen, format!("127.0.0.1:{port}"))
            .env("TOCSIN_DATABASE_URL", &self.database)
            .env("TOCSIN_DATABASE_CONNECTIONS", "8")
            .env("TOCSIN_TELEGRAM_TOKEN", "1:token")
            .env("TOCSIN_TELEGRAM_CHAT", "-100")
            .env("TOCSIN_TELEGRAM_API", &self.telegram.url);
        // Messages are counted one by one: neither a storm nor a budget is to gather them.
        command.env("TOCSIN_TELEGRAM__LIMITS", "false");
        // Storms of names are what some of them are about.
        command.env("TOCSIN_ANOMALIES__PER_MINUTE", "100000");
        command.env("TOCSIN_TELEGRAM__FOLD", "1s");
        // Nor is a message to wait for others, nor a level for another incident.
        command.env("TOCSIN_NOTIFY__SETTLE", "0s");
        // Nor is a card to be edited once more; an older version does not know that setting.
        if launch.program.is_none() {
            command.env("TOCSIN_ANALYSIS__ENABLED", "false");
        }
        command.env(LEVELS_BY_COUNTS.0, LEVELS_BY_COUNTS.1);
        if let Some(keys) = &self.redis {
            command.env("TOCSIN_REDIS_URL", &keys.url);
            command.env("TOCSIN_REDIS_PREFIX", &keys.prefix);
        }
        let settings = self.settings.iter().chain(&launch.settings);
        command.envs(settings.map(|(name, value)| (name, value)));
        let number = self.processes.len();
        let name = format!("{}-{number}", arguments.join("-"));
        let log = self.folder.join(format!("{name}.log"));
        self.processes
            .push(Process::start(&name, command, log).unwrap());
        number
    }

    /// Starts so many `tocsin COMMAND` and waits until all are ready; returns their addresses.
    pub async fn start(&mut self, command: &str, how_many: usize) -> Vec<String> {
        let ports: Vec<u16> = (0..how_many).map(|_| free_port()).collect();
        let numbers: Vec<usize> = ports
            .iter()
            .map(|port| self.run(&[command], *port))
            .collect();
        let urls: Vec<String> = ports
            .iter()
            .map(|p| format!("http://127.0.0.1:{p}"))
            .collect();
        for (number, url) in numbers.into_iter().zip(&urls) {
            self.ready(number, url).await;
        }
        urls
    }

    /// Starts one `tocsin COMMAND` in this way and waits until it is ready; returns its number.
    pub async fn start_as(&mut self, arguments: &[&str], launch: &Launch) -> usize {
        let port = free_port();
        let number = self.run_as(arguments, port, launch);
        self.ready(number, &format!("http://127.0.0.1:{port}"))
            .await;
        number
    }

    /// Waits until a process is ready.
    pub async fn ready(&mut self, number: usize, url: &str) {
        let began = Instant::now();
        loop {
            let answer = self.http.get(format!("{url}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            let process = &mut self.processes[number];
            assert!(process.is_running(), "{} ended", process.name());
            assert!(
                began.elapsed() < PATIENCE,
                "{} is not ready",
                process.name()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// No process has ended that was not killed.
    pub fn assert_running(&mut self) {
        for process in self.processes.iter_mut().filter(|p| !p.was_killed()) {
            assert!(
                process.is_running(),
                "{} ended: {}",
                process.name(),
                process.said()
            );
        }
    }

    /// How many alerts an ingress says that it has accepted.
    pub async fn accepted(&self, url: &str) -> u64 {
        let metrics = self
            .http
            .get(format!("{url}/metrics"))
            .send()
            .await
            .unwrap();
        let metrics = metrics.text().await.unwrap();
        let line = metrics.lines().find_map(|line| {
            line.strip_prefix("tocsin_alerts_received_total{source=\"alertmanager\"} ")
        });
        line.map_or(0, |number| number.parse().unwrap())
    }

    /// Runs the program as a person does who asks this instance; whether it succeeded, and what it said.
    pub fn asks(&self, url: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.folder.path());
        let ended = command.env("TOCSIN_URL", url).output().unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        (
            ended.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// A connection to the database, whose reads are never refused to serialize.
    pub async fn connect(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(&self.database);
        options.max_connections(1).sqlx_logging(false);
        let db = Database::connect(options).await.unwrap();
        if db.get_database_backend() == DbBackend::Postgres {
            let sql = "SET default_transaction_isolation = 'read committed'";
            db.execute_unprepared(sql).await.unwrap();
        }
        db
    }

    async fn rows(&self, query: &str) -> Vec<QueryResult> {
        let db = self.connect().await;
        let query = Statement::from_string(db.get_database_backend(), query);
        let rows = db.query_all_raw(query).await.unwrap();
        db.close().await.unwrap();
        rows
    }

    /// The first column of what a query finds.
    pub async fn column<T: TryGetable>(&self, query: &str) -> Vec<T> {
        let rows = self.rows(query).await;
        rows.iter()
            .map(|r| r.try_get_by_index(0).unwrap())
            .collect()
    }

    /// The first two columns of what a query finds.
    pub async fn pairs<T: TryGetable, U: TryGetable>(&self, query: &str) -> Vec<(T, U)> {
        let rows = self.rows(query).await;
        rows.iter()
            .map(|r| {
                (
                    r.try_get_by_index(0).unwrap(),
                    r.try_get_by_index(1).unwrap(),
                )
            })
            .collect()
    }

    /// A number that a query finds.
    pub async fn sql(&self, query: &str) -> i64 {
        self.column(query).await[0]
    }

    /// The answers to several questions for a number, in one look.
    pub async fn look<const N: usize>(&self, questions: [&str; N]) -> [i64; N] {
        let row = self
            .rows(&format!("SELECT ({})", questions.join("), (")))
            .await;
        std::array::from_fn(|i| row[0].try_get_by_index(i).unwrap())
    }

    /// Waits until so many episodes are in the database and nothing is left to do.
    pub async fn settled(&self, episodes: usize, within: Duration) {
        self.nothing_left(episodes, 0, within).await;
    }

    /// Waits until so many episodes are in the database, so many jobs were given up, and nothing is
    /// left to do.
    pub async fn nothing_left(&self, episodes: usize, dead: usize, within: Duration) {
        let of = |n: usize| i64::try_from(n).unwrap();
        let began = Instant::now();
        loop {
            let state = self
                .look([
                    "SELECT count(*) FROM occurrences",
                    "SELECT count(*) FROM dead_letters",
                    "SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL",
                    "SELECT count(*) FROM notifications WHERE state IN ('owed', 'sending')",
                ])
                .await;
            let jobs = self.jobs().await;
            if state == [of(episodes), of(dead), 0, 0] && jobs.is_empty() {
                return;
            }
            assert!(
                began.elapsed() < within,
                "after {:?} (episodes, dead, due, owed) are {state:?} instead of {episodes}, {dead} \
                 and nothing else; at {}: {jobs:#?}",
                began.elapsed(),
                Timestamp::now().0
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until nothing is left to do; returns how many episodes are in the database.
    pub async fn idle(&self, within: Duration) -> usize {
        let began = Instant::now();
        let mut before = None;
        loop {
            let [episodes, due, owed] = self
                .look([
                    "SELECT count(*) FROM occurrences",
                    "SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL",
                    "SELECT count(*) FROM notifications WHERE state IN ('owed', 'sending')",
                ])
                .await;
            let is_idle = (due, owed) == (0, 0) && self.jobs().await.is_empty();
            // What a worker holds in its hands may not be in any queue: it shows a little later.
            if is_idle && before == Some(episodes) {
                return episodes.try_into().unwrap();
            }
            before = is_idle.then_some(episodes);
            assert!(began.elapsed() < within, "{due} are due and {owed} owed");
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    /// Pauses or resumes a queue.
    pub async fn do_to_queue(&self, url: &str, queue: &str, deed: &str) {
        let post = self
            .http
            .post(format!("{url}/api/v1/queues/{queue}/{deed}"));
        assert_eq!(post.send().await.unwrap().status(), 200);
    }

    /// The jobs that there are, in words.
    pub async fn jobs(&self) -> Vec<String> {
        let Some(keys) = &self.redis else {
            let jobs = "SELECT queue || ': ' || count(*) || ' delivered ' || deliveries || \
                        ' times, held by ' || COALESCE(lease_owner, 'nobody') || ' until ' || \
                        COALESCE(max(lease_until), 0) \
                        FROM jobs GROUP BY queue, deliveries, lease_owner ORDER BY 1";
            return self.column(jobs).await;
        };
        let queue = RedisQueue::new(&keys.open().await, Clock::default()).unwrap();
        let mut jobs = Vec::new();
        for name in QUEUES {
            let depth = queue.depth(name).await.unwrap();
            if depth.ready + depth.delayed + depth.in_flight > 0 {
                jobs.push(format!("{name}: {depth:?}"));
            }
        }
        jobs
    }

    /// How many jobs somebody holds.
    pub async fn held(&self) -> u64 {
        let Some(keys) = &self.redis else {
            let held = "SELECT count(*) FROM jobs WHERE lease_until IS NOT NULL";
            return self.sql(held).await.unsigned_abs();
        };
        let queue = RedisQueue::new(&keys.open().await, Clock::default()).unwrap();
        let mut held = 0;
        for name in QUEUES {
            held += queue.depth(name).await.unwrap().in_flight;
        }
        held
    }
}
