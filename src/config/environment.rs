//! `TOCSIN_…` variables as settings.

use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

use super::{CHANNELS, Config, Hook, read_secret};

pub(super) const PREFIX: &str = "TOCSIN_";
/// What figment calls this source of settings.
pub(super) const NAME: &str = "environment variable";
/// Kubernetes injects these for a service that is called `tocsin`.
const INJECTED: [&str; 2] = ["PORT", "SERVICE_"];
/// The client's, not the server's.
const OF_THE_CLIENT: [&str; 1] = ["URL"];
/// Settings that may be in a file of their own, which the variable that ends in `_FILE` names, beside those
/// of channels and hooks.
const SECRETS: [&str; 4] = [
    "database_url",
    "database_read_url",
    "redis_url",
    "analysis__model__key",
];
/// Likewise, one a line; in the variable itself with commas between them.
const TOKENS: [&str; 3] = ["webhook_token", "read_token", "api_token"];

/// The variables, by setting: two underscores step into a section. What a variable means depends
/// on the setting's default: a text stays as it is, even if it is all digits.
pub(super) struct Environment {
    variables: Vec<(String, String)>,
}

impl Environment {
    pub(super) fn of_process() -> Self {
        Self::of(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    pub(super) fn of(variables: impl Iterator<Item = (String, String)>) -> Self {
        let variables = variables
            .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value)))
            .filter(|(name, _)| !INJECTED.iter().any(|injected| name.starts_with(injected)))
            .filter(|(name, _)| {
                !name.starts_with("TEST_") && !OF_THE_CLIENT.contains(&name.as_str())
            })
            // What a file was read into often ends in a line break.
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        Self { variables }
    }

    /// The setting whose file the variable names, if it does.
    fn secret_in_file<'a>(&self, name: &'a str) -> Result<Option<&'a str>, String> {
        let setting = name.strip_suffix("_file").unwrap_or_default();
        let of_channels = CHANNELS.iter().flat_map(|kind| kind.secrets);
        let of_sections = of_channels.chain(&Hook::SECRETS);
        let of_section = || {
            of_sections
                .into_iter()
                .any(|secret| is_named(setting, secret))
        };
        let is_secret = SECRETS.contains(&setting) || TOKENS.contains(&setting);
        if !is_secret && !of_section() && !is_of_source(setting) {
            return Ok(None);
        }
        if self.variables.iter().any(|(name, _)| name == setting) {
            let variable = format!("{PREFIX}{}", setting.to_uppercase());
            let both = format!("{variable} and {variable}_FILE are both set: unset one");
            return Err(both);
        }
        Ok(Some(setting))
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(NAME).interpolater(|_, keys| {
            let keys: Vec<String> = keys.iter().map(|key| key.to_uppercase()).collect();
            format!("{PREFIX}{}", keys.join("__"))
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let defaults = Value::serialize(Config::default())?;
        let mut settings = Dict::new();
        for (name, raw) in &self.variables {
            if let Some(setting) = self.secret_in_file(name)? {
                let held = read_secret(Path::new(raw))
                    .map_err(|why| format!("{PREFIX}{}: {why}", name.to_uppercase()))?;
                let value = match TOKENS.contains(&setting) {
                    true => words(held.lines()),
                    false => Value::from(held),
                };
                insert(
                    &mut settings,
                    &setting.split("__").collect::<Vec<_>>(),
                    value,
                );
                continue;
            }
            let path: Vec<&str> = name.split("__").collect();
            let value = match TOKENS.contains(&name.as_str()) {
                true => words(raw.split(',')),
                false => meant(defaults.find_ref(&path.join(".")), raw),
            };
            insert(&mut settings, &path, value);
        }
        Ok(Map::from([(Profile::Default, settings)]))
    }
}

/// Whether it is a secret of a source, which may be in a file likewise.
fn is_of_source(setting: &str) -> bool {
    let path: Vec<&str> = setting.split("__").collect();
    matches!(path[..], ["sources", .., "secret"])
}

/// Whether a setting is the one of this name, in which `NAME` stands for a name of the operator's own.
fn is_named(setting: &str, name: &str) -> bool {
    let (mut parts, mut names) = (setting.split("__"), name.split("__"));
    loop {
        match (parts.next(), names.next()) {
            (None, None) => return true,
            (Some(part), Some(name)) if name == "NAME" || part == name => {}
            _ => return false,
        }
    }
}

/// Reads `raw` as the kind of value that the setting's default is.
fn meant(default: Option<&Value>, raw: &str) -> Value {
    let parsed = match default {
        Some(Value::Num(..)) => raw.parse::<i64>().ok().map(Value::from),
        Some(Value::Bool(..)) => raw.parse::<bool>().ok().map(Value::from),
        Some(Value::Array(..)) => Some(list(raw)),
        Some(Value::Dict(..)) => in_toml(raw),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::from(raw))
}

/// A list: as TOML writes it, or words between commas.
fn list(raw: &str) -> Value {
    in_toml(raw).unwrap_or_else(|| words(raw.split(',')))
}

/// A value as TOML writes it.
fn in_toml(raw: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {raw}")).ok()?;
    Value::serialize(table.get("value")?).ok()
}

fn words<'a>(parts: impl Iterator<Item = &'a str>) -> Value {
    let words = parts.map(str::trim).filter(|word| !word.is_empty());
    Value::from(words.map(Value::from).collect::<Vec<_>>())
}

fn insert(settings: &mut Dict, path: &[&str], value: Value) {
    match path {
        [] => {}
        [name] => {
            settings.insert((*name).to_owned(), value);
        }
        [section, rest @ ..] => {
            let section = settings
                .entry((*section).to_owned())
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, section) = section {
                insert(section, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_source;

    #[test]
    fn the_secret_of_a_source_may_be_in_a_file() {
        for (setting, expected) in [
            ("sources__sentry__secret", true),
            ("sources__generic__backups__secret", true),
            ("sources__sentry__enabled", false),
            ("webhooks__ops__url", false),
            ("routes__secret", false),
        ] {
            assert_eq!(is_of_source(setting), expected, "{setting}");
        }
    }
}
