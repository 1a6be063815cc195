//! `tocsin simulate --scenario`: a described history, and what was decided.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use tocsin::config::{Config, ConfigError};

use crate::cli::output::{print, print_json};
use crate::simulation::{Entry, Outcome, Scenario, line, play};

/// A simulation for programs.
#[derive(Serialize)]
struct Played<'a> {
    title: &'a str,
    about: &'a str,
    began: tocsin::time::Timestamp,
    entries: Vec<Entry>,
    expected: Outcome,
}

/// Plays a scenario and prints it. `config` reads the settings, with those of the scenario over them.
///
/// # Errors
/// The scenario or its settings cannot be read, a step cannot be done, or what it expects is not so.
pub(super) async fn run(
    file: &Path,
    config: impl FnOnce(&toml::Table) -> Result<Config, ConfigError>,
    json: bool,
) -> anyhow::Result<()> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let scenario = Scenario::parse(&text).with_context(|| name.to_string())?;
    let config =
        config(&scenario.settings).with_context(|| match scenario.settings.is_empty() {
            true => "cannot read the settings".to_owned(),
            false => format!("{name}: line {}", scenario.settings_line),
        })?;
    if !json {
        print(&format!("{}\n", scenario.title))?;
        if !scenario.about.is_empty() {
            print(&format!("{}\n", scenario.about))?;
        }
    }
    let mut entries = Vec::new();
    let mut printed = Ok(());
    let tell = |entry: &Entry| match json {
        true => entries.push(entry.clone()),
        false if printed.is_ok() => printed = print(&line(entry, scenario.begins)),
        false => {}
    };
    let outcome = Box::pin(play(&scenario, config, tell)).await;
    let outcome = outcome.with_context(|| name.to_string())?;
    printed?;
    if json {
        print_json(&Played {
            title: &scenario.title,
            about: &scenario.about,
            began: scenario.begins,
            entries,
            expected: outcome,
        })?;
    }
    let Outcome { met, failed } = outcome;
    if failed > 0 {
        bail!("{failed} of {} expectations failed", met + failed);
    }
    if !json && met > 0 {
        print(&format!("\nAll {met} expectations are met."))?;
    }
    Ok(())
}
