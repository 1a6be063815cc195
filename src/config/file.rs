//! Files: the one with the settings, and those that hold a secret each.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use figment::providers::{Data, Format as _, Toml};
use figment::value::{Dict, Map};
use figment::{Error, Metadata, Profile, Provider};

/// The settings file that nobody has to name.
const USUAL: &str = "tocsin.toml";

/// The file with the settings. An error says where in it something is wrong, and does not quote it:
/// the line may hold a secret.
pub(super) struct Settings(Data<Toml>);

impl Settings {
    /// `tocsin.toml`, if there is one.
    pub(super) fn usual() -> Self {
        Self(Toml::file(USUAL))
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

/// Where [`Settings::usual`] finds its file: in the working folder, or in the closest one above it.
pub(super) fn usual() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mut files = here.ancestors().map(|folder| folder.join(USUAL));
    files.find(|file| file.is_file())
}

/// Checks that the settings file holds more than comments.
///
/// # Errors
/// It does not, or cannot be read.
pub(super) fn check_filled(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read settings file {}: {error}", file.display()))?;
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    match text.lines().any(says) {
        true => Ok(()),
        false => Err(format!("settings file {} is empty", file.display())),
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

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_file_that_is_gone_or_empty_is_not_read_again() {
        let name = format!("tocsin-{}.toml", uuid::Uuid::now_v7().simple());
        let file = std::env::temp_dir().join(name);
        let again = || Config::load_again(Some(&file)).map_err(|error| error.to_string());
        assert!(again().unwrap_err().ends_with("no such file"));
        for (text, is_read) in [
            ("", false),
            ("\n# api_token = \"planted\"\n", false),
            ("language = \"en\"\n", true),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(again().is_ok(), is_read, "{text}");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(Config::file(Some(&file)), Some(file));
    }
}
