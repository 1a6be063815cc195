//! What two settings differ in, by name. Secrets are compared, and not shown.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Config, secret};

/// A setting that is not the same in two settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name, such as `escalation.open_for`.
    pub setting: String,
    /// What it is before, as TOML writes it. `None`: it is not set.
    pub before: Option<String>,
    /// What it is after. A secret looks the same before and after.
    pub after: Option<String>,
}

impl Config {
    /// What is other in `after`, in the order of the settings. A list is one setting.
    #[must_use]
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        let (before, after) = (leaves(self), leaves(after));
        let known: BTreeMap<&str, &Value> = before.iter().map(of).collect();
        let stay: BTreeMap<&str, &Value> = after.iter().map(of).collect();
        let set = after
            .iter()
            .filter(|(name, value)| known.get(name.as_str()) != Some(&value))
            .map(|(name, value)| (name, known.get(name.as_str()).copied(), Some(value)));
        let unset = before
            .iter()
            .filter(|(name, _)| !stay.contains_key(name.as_str()))
            .map(|(name, value)| (name, Some(value), None));
        set.chain(unset)
            .map(|(name, before, after)| Difference {
                setting: name.clone(),
                before: before.map(in_toml),
                after: after.map(in_toml),
            })
            .collect()
    }
}

fn of((name, value): &(String, Value)) -> (&str, &Value) {
    (name, value)
}

/// Every setting that is no section, by its dotted name.
fn leaves(config: &Config) -> Vec<(String, Value)> {
    let written = secret::compared(|| serde_json::to_value(config));
    let mut leaves = Vec::new();
    // All names are text, so that this does not fail.
    collect(written.unwrap_or_default(), String::new(), &mut leaves);
    leaves
}

fn collect(value: Value, name: String, leaves: &mut Vec<(String, Value)>) {
    let Value::Object(section) = value else {
        leaves.push((name, value));
        return;
    };
    for (part, value) in section {
        let name = match name.as_str() {
            "" => part,
            section => format!("{section}.{part}"),
        };
        collect(value, name, leaves);
    }
}

/// A value as it may be shown, on one line.
fn in_toml(value: &Value) -> String {
    toml::Value::try_from(shown(value))
        .map_or_else(|_| value.to_string(), |value| value.to_string())
}

fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(secret::without_mark(text)),
        Value::Array(values) => values.iter().map(shown).collect(),
        Value::Object(section) => {
            let section = section.iter();
            Value::Object(
                section
                    .map(|(name, value)| (name.clone(), shown(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    fn differences(before: &str, after: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let (before, after) = (load(before, &[]).unwrap(), load(after, &[]).unwrap());
        let found = before.differences(&after).into_iter();
        found.map(|it| (it.setting, it.before, it.after)).collect()
    }

    #[test]
    fn each_setting_that_differs_is_named_with_both_values() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(differences("", "[counting]\nskew = \"60s\""), []);
        assert_eq!(
            differences(
                "language = \"en\"\n[quiet]\nfrom = \"22:00\"\nto = \"07:00\"\nzone = \"UTC\"",
                "routes = [{ to = \"log\", level = \"REPEAT\" }]\n[escalation]\nopen_for = \"2h\"",
            )
            .into_iter()
            .filter(|(name, ..)| !name.starts_with("quiet."))
            .collect::<Vec<_>>(),
            [
                (
                    "routes".to_owned(),
                    some("[]"),
                    some("[{ continue = false, level = [\"REPEAT\"], to = [\"log\"] }]")
                ),
                (
                    "escalation.open_for".to_owned(),
                    some("\"4h\""),
                    some("\"2h\"")
                ),
            ]
        );
    }

    #[test]
    fn another_secret_is_a_difference_that_does_not_show_it() {
        let hook = |url: &str| format!("[webhooks.ops]\nurl = \"https://h.example/{url}\"");
        let found = differences(&hook("planted1"), &hook("planted2"));
        let [(name, before, after)] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(name, "webhooks.ops.url");
        assert_eq!(before.as_deref(), Some("\"https://h.example/***\""));
        assert_eq!(before, after);
        let found = differences("read_token = \"planted1\"", "read_token = \"planted2\"");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].2.as_deref(), Some("[\"***\"]"));
    }
}
