//! `migrate` and `config`.

#![allow(clippy::print_stdout)]

use sea_orm::DbErr;
use tocsin::config::Config;
use tocsin::store::Db;
use tocsin::store::db::{migrate as apply, schema, take_back};

/// Apply, revert or list database migrations.
#[derive(clap::Subcommand)]
pub(crate) enum Migrate {
    /// Apply all pending migrations.
    Up,
    /// Revert the newest migrations, and delete their data.
    Down {
        /// Number of migrations.
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List migrations, applied and pending.
    Status,
}

pub(crate) async fn migrate(config: &Config, what: Migrate) -> anyhow::Result<()> {
    let url = config.database_url.expose();
    let db = Db::open(url, 2, config.limits.query.0).await?;
    match what {
        Migrate::Up => apply(&db, url).await?,
        Migrate::Down { steps } => take_back(&db, url, steps).await?,
        Migrate::Status => {}
    }
    print_status(&db, url).await?;
    db.close().await?;
    Ok(())
}

async fn print_status(db: &Db, url: &str) -> Result<(), DbErr> {
    for (name, is_applied) in schema(db, url).await? {
        println!("{} {name}", if is_applied { "applied" } else { "pending" });
    }
    Ok(())
}

/// Show or check settings.
#[derive(clap::Subcommand)]
pub(crate) enum Settings {
    /// Print the effective settings, without secrets.
    Show,
    /// Check settings, and exit with 1 if any is invalid.
    Check,
}

pub(crate) fn settings(config: &Config, what: &Settings) -> anyhow::Result<()> {
    match what {
        Settings::Show => print!("{}", toml::to_string(config)?),
        Settings::Check => println!("settings are valid"),
    }
    Ok(())
}
