//! PostgreSQL: a server of our own with its default settings, or the one that was given.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use reqwest::Url;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};

use super::process::{Folder, Missing, Process, find, free_address};

/// Where Debian has them, by version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// It does not run as root; then it runs as this user.
const USER: &str = "postgres";

/// A server, ready.
pub(super) struct Postgres {
    admin: Url,
    /// Databases that were made and not dropped.
    made: Vec<String>,
    own: Option<Own>,
}

impl Postgres {
    /// The server at `url`.
    pub(super) fn given(url: &str) -> anyhow::Result<Self> {
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
    pub(super) async fn start(folder: Folder) -> anyhow::Result<Self> {
        let own = Own::start(folder)?;
        let url = format!("postgres://{USER}@{}/postgres", own.address);
        let mut server = Self {
            admin: Url::parse(&url)?,
            made: Vec::new(),
            own: None,
        };
        let admin = server.admin.clone();
        let own = server.own.insert(own);
        let asked = async || execute(&admin, "SELECT 1").await.is_ok();
        own.process.ready(asked).await?;
        Ok(server)
    }

    pub(super) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// A database with nothing in it.
    pub(super) async fn database(&mut self) -> anyhow::Result<String> {
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
    pub(super) async fn clear(&mut self) -> anyhow::Result<()> {
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
    pub(super) async fn version(&self) -> Option<String> {
        let db = Database::connect(options(&self.admin)).await.ok()?;
        let asked =
            sea_orm::Statement::from_string(db.get_database_backend(), "SHOW server_version");
        let row = db.query_one_raw(asked).await.ok()??;
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

/// A server that we started; stopped when this is dropped.
struct Own {
    process: Process,
    address: std::net::SocketAddr,
    bin: PathBuf,
    folder: Folder,
}

impl Own {
    fn start(folder: Folder) -> anyhow::Result<Self> {
        let bin = bin().ok_or(Missing {
            program: "PostgreSQL",
            package: "postgresql",
        })?;
        if is_root() {
            run(Command::new("chown").arg(USER).arg(folder.path()))?;
        }
        let data = folder.path().join("data");
        let mut initdb = as_user(&bin.join("initdb"), folder.path());
        initdb
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--username={USER}"))
            .arg("--pgdata")
            .arg(&data);
        run(&mut initdb).context("initdb")?;
        let address = free_address()?;
        let mut postgres = as_user(&bin.join("postgres"), folder.path());
        postgres
            .arg("-D")
            .arg(data)
            .args(["-p", &address.port().to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="]);
        Ok(Self {
            process: Process::start("postgres", postgres, folder.path())?,
            address,
            bin,
            folder,
        })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Killing what started it would leave the server behind.
        let mut stop = as_user(&self.bin.join("pg_ctl"), self.folder.path());
        stop.args(["stop", "-m", "immediate", "-w", "-D"])
            .arg(self.folder.path().join("data"));
        let _ = run(&mut stop);
    }
}

/// The folder of the newest version's programs.
fn bin() -> Option<PathBuf> {
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let debian = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = debian
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(version);
    newest.map(|path| path.join("bin")).or_else(|| {
        let initdb = find("initdb")?.canonicalize().ok()?;
        initdb.parent().map(Path::to_owned)
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn as_user(program: &Path, folder: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
