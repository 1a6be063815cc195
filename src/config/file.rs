//! Files: the one with the settings, and those that hold a secret each.

use std::io::ErrorKind;
use std::path::Path;

use figment::providers::{Data, Format as _, Toml};
use figment::value::{Dict, Map};
use figment::{Error, Metadata, Profile, Provider};

/// The file with the settings. An error says where in it something is wrong, and does not quote it:
/// the line may hold a secret.
pub(super) struct Settings(Data<Toml>);

impl Settings {
    /// `tocsin.toml`, if there is one.
    pub(super) fn usual() -> Self {
        Self(Toml::file("tocsin.toml"))
    }

    /// This file.
    pub(super) fn exactly(file: &Path) -> Self {
        Self(Toml::file_exact(file))
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self(Toml::string(text))
    }
}

impl Provider for Settings {
    fn metadata(&self) -> Metadata {
        self.0.metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        self.0.data().map_err(|error| {
            let message = error.to_string();
            let lines = message.lines().filter(|line| !is_quoted(line));
            Error::from(lines.collect::<Vec<_>>().join(" "))
        })
    }
}

/// Checks that the settings file is there.
///
/// # Errors
/// It is not, or its folder cannot be read.
pub(super) fn check_exists(file: &Path) -> Result<(), String> {
    let Err(error) = std::fs::metadata(file) else {
        return Ok(());
    };
    let why = match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    };
    Err(format!(
        "cannot read settings file {}: {why}",
        file.display()
    ))
}

/// Whether the line shows what is in the file, as `7 | name = "value"`, or points at it.
fn is_quoted(line: &str) -> bool {
    let line = line
        .trim_start()
        .trim_start_matches(|c: char| c.is_ascii_digit());
    line.trim_start().starts_with('|')
}

/// Reads the file that holds a secret, without the space around it.
///
/// # Errors
/// It cannot be read, or there is nothing in it. What is in it is never part of the error.
pub fn read_secret(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{} is empty", file.display()));
    }
    Ok(text.to_owned())
}
