//! `migrate` and `config`.

#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};

use sea_orm::DbErr;
use tocsin::config::{Config, Difference};
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
    /// Print the settings that differ from the defaults, or from those of another file, without secrets.
    Diff {
        /// The other settings file, over which the environment counts, too.
        file: Option<PathBuf>,
    },
}

pub(crate) fn settings(config: &Config, what: &Settings) -> anyhow::Result<()> {
    match what {
        Settings::Diff { file: None } => {
            let differences = Config::default().differences(config);
            for difference in &differences {
                println!("{}", line(difference, "default"));
            }
        }
        Settings::Diff { file: Some(file) } => against(config, file)?,
        Settings::Show => print!("{}", toml::to_string(config)?),
        Settings::Check => println!("settings are valid"),
    }
    Ok(())
}

/// What changes for a process with `config` when its file is replaced by another one: by a reload, and by a restart.
fn against(config: &Config, file: &Path) -> anyhow::Result<()> {
    let other = Config::load(Some(file))?;
    let differences = config.differences(&other).into_iter();
    let (reloaded, restart): (Vec<_>, Vec<_>) = differences.partition(Difference::is_reloaded);
    for (what, differences) in [("reload", reloaded), ("restart", restart)] {
        if !differences.is_empty() {
            println!("# changes with a {what}");
        }
        for difference in &differences {
            println!("{}", line(difference, "before"));
        }
    }
    Ok(())
}

/// The setting as it is now, as a file may have it, and what it was.
fn line(difference: &Difference, was: &str) -> String {
    let Difference {
        setting,
        before,
        after,
    } = difference;
    match (before, after) {
        (Some(before), Some(after)) if before == after => {
            format!("{setting} = {after}  # {was}: another secret")
        }
        (Some(before), Some(after)) => format!("{setting} = {after}  # {was}: {before}"),
        (None, Some(after)) => format!("{setting} = {after}  # {was}: unset"),
        (Some(before), None) => format!("# {setting} is unset  # {was}: {before}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_a_setting_is_and_what_it_was() {
        let said = |before: Option<&str>, after: Option<&str>| {
            let difference = Difference {
                setting: "a.b".to_owned(),
                before: before.map(str::to_owned),
                after: after.map(str::to_owned),
            };
            line(&difference, "before")
        };
        assert_eq!(said(Some("1"), Some("2")), "a.b = 2  # before: 1");
        assert_eq!(said(None, Some("2")), "a.b = 2  # before: unset");
        assert_eq!(said(Some("1"), None), "# a.b is unset  # before: 1");
        let secret = said(Some("\"***\""), Some("\"***\""));
        assert_eq!(secret, "a.b = \"***\"  # before: another secret");
    }
}
