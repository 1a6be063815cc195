//! `migrate` and `config`.

#![allow(clippy::print_stdout)]

use sea_orm::DbErr;
use tocsin::config::Config;
use tocsin::store::Db;
use tocsin::store::db::{migrate as apply, schema, take_back};

/// What to do with the schema.
#[derive(clap::Subcommand)]
pub(crate) enum Migrate {
    /// Apply what is missing.
    Up,
    /// Take back the newest changes, with what they hold.
    Down {
        /// How many.
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// Say what is applied and what is missing.
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
        println!("{} {name}", if is_applied { "applied" } else { "missing" });
    }
    Ok(())
}

/// What to do with the settings.
#[derive(clap::Subcommand)]
pub(crate) enum Settings {
    /// Print every setting as it holds, without secrets.
    Show,
    /// Say whether the settings are in order.
    Check,
}

pub(crate) fn settings(config: &Config, what: &Settings) -> anyhow::Result<()> {
    match what {
        Settings::Show => print!("{}", toml::to_string(config)?),
        Settings::Check => println!("the settings are in order"),
    }
    Ok(())
}
