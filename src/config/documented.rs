//! Compares `docs/settings.md` and `tocsin.example.toml` with the settings in the code.
//!
//! Names come from the structs themselves: serde lists a struct's fields when it meets an unknown one. Defaults
//! come from `Config::default()`, written as `tocsin config show` writes them.

use std::collections::BTreeMap;

use figment::error::Kind;
use figment::providers::{Format as _, Toml};
use serde_json::{Map, Value, json};

use super::tests::load;
use super::*;

const PAGE: &str = include_str!("../../docs/settings.md");
const EXAMPLE: &str = include_str!("../../tocsin.example.toml");

/// A setting's default by its dotted name; `None` where it is unset. `[]` follows the name of a list of tables.
type Settings = BTreeMap<String, Option<Value>>;

/// Every setting of the code.
fn in_code() -> Settings {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let mut settings = Settings::new();
    for field in known("unknown = 1").unwrap() {
        collect(
            &mut settings,
            field,
            &format!("{field} = §"),
            defaults.get(*field),
        );
    }
    for (section, fields, defaults) in named() {
        settings.remove(section);
        for field in fields {
            let default = defaults.get(field).cloned();
            settings.insert(format!("{section}.NAME.{field}"), default);
        }
    }
    settings
}

/// Sections with names of the operator's own: their fields, and the defaults of these.
fn named() -> [(&'static str, &'static [&'static str], Value); 6] {
    let tell = serde_json::to_value(Tell::USUAL).unwrap();
    let pagerduty = json!({"url": "https://events.pagerduty.com"});
    [
        (
            "webhooks",
            fields::<Webhook>(),
            json!({"payload": Payload::default()}),
        ),
        ("pagerduty", fields::<PagerDuty>(), pagerduty),
        ("discord", fields::<Discord>(), json!({"tell": tell})),
        ("teams", fields::<Teams>(), json!({"tell": tell})),
        (
            "repairs.hooks",
            fields::<Hook>(),
            json!({"tiers": [1, 2], "mode": "suggest", "per_hour": 2, "within": "30m"}),
        ),
        (
            "sources.generic",
            fields::<Mapping>(),
            serde_json::to_value(Mapping::default()).unwrap(),
        ),
    ]
}

/// The fields of a section.
fn fields<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let unknown = Figment::from(Toml::string("unknown = 1")).extract::<T>();
    match unknown.map_err(|error| error.kind) {
        Err(Kind::UnknownField(_, fields)) => fields,
        _ => panic!("a section takes unknown fields"),
    }
}

/// Adds the setting `name`, and what is inside it. `place` is a line of TOML with § where its value stands.
fn collect(settings: &mut Settings, name: &str, place: &str, default: Option<&Value>) {
    for (value, suffix) in [("{ § }", ""), ("[{ § }]", "[]")] {
        let Some(fields) = known(&place.replace('§', value).replace('§', "unknown = 1")) else {
            continue;
        };
        if !suffix.is_empty() {
            settings.insert(name.to_owned(), default.cloned());
        }
        for field in fields {
            let inner = place
                .replace('§', value)
                .replace('§', &format!("{field} = §"));
            let default = default.and_then(|section| section.get(field));
            collect(
                settings,
                &format!("{name}{suffix}.{field}"),
                &inner,
                default,
            );
        }
        return;
    }
    settings.insert(name.to_owned(), default.cloned());
}

/// The fields of the struct in which `toml` has an unknown one.
fn known(toml: &str) -> Option<&'static [&'static str]> {
    let figment = Figment::from(Serialized::defaults(Config::default())).merge(Toml::string(toml));
    match figment.extract::<Config>().map_err(|error| error.kind) {
        Err(Kind::UnknownField(_, fields)) => Some(fields),
        _ => None,
    }
}

/// The variable of a setting. What is inside a list has none.
fn variable(name: &str) -> String {
    if name.contains("[]") {
        return String::new();
    }
    format!("`TOCSIN_{}`", name.to_uppercase().replace('.', "__"))
}

/// A default as the page shows it; nothing where it is unset or empty.
fn shown(default: Option<&Value>) -> String {
    match default {
        None => String::new(),
        Some(value) if is_empty(value) => String::new(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            let texts: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            format!("`{}`", texts.join(", "))
        }
        Some(Value::Array(list)) if list.iter().all(Value::is_array) => format!("`{}`", json(list)),
        Some(Value::Array(list)) => {
            let tables = list.iter().filter_map(Value::as_object);
            let inline = tables.map(|table| {
                let entries = table.iter().map(|(key, value)| format!("{key} = {value}"));
                format!("`{{ {} }}`", entries.collect::<Vec<_>>().join(", "))
            });
            inline.collect::<Vec<_>>().join("<br>")
        }
        Some(value) => format!("`{value}`"),
    }
}

/// Lists in a list, as TOML and JSON write them.
fn json(list: &[Value]) -> String {
    Value::Array(list.to_vec()).to_string().replace(',', ", ")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(table) => table.is_empty(),
        _ => false,
    }
}

/// The rows of the page's tables: variable and default by name. A row of the table of queues is five settings.
fn in_page() -> BTreeMap<String, (String, String)> {
    let mut rows = BTreeMap::new();
    let mut columns: Vec<&str> = Vec::new();
    for line in PAGE.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Some(name) = cells[0].strip_prefix('`').and_then(|c| c.strip_suffix('`')) else {
            columns = cells;
            continue;
        };
        if columns[0] == "queue" {
            for (column, default) in columns.iter().zip(&cells).skip(1) {
                let name = format!("{name}.{}", column.trim_matches('`'));
                rows.insert(name.clone(), (variable(&name), (*default).to_owned()));
            }
            continue;
        }
        let twice = rows.insert(name.to_owned(), (cells[1].to_owned(), cells[2].to_owned()));
        assert!(twice.is_none(), "docs/settings.md has {name} twice");
    }
    rows
}

#[test]
fn the_settings_page_has_every_setting_with_its_variable_and_its_default() {
    let (code, page) = (in_code(), in_page());
    assert!(code.len() > 90, "{code:?}");
    let mut wrong = Vec::new();
    for (name, default) in &code {
        let expected = (variable(name), shown(default.as_ref()));
        if page.get(name) != Some(&expected) {
            wrong.push(format!(
                "| `{name}` | {} | {} | … |",
                expected.0, expected.1
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/settings.md should have these rows:\n{}",
        wrong.join("\n")
    );
    let unknown: Vec<_> = page
        .keys()
        .filter(|name| !code.contains_key(*name))
        .collect();
    assert!(
        unknown.is_empty(),
        "docs/settings.md has settings that do not exist: {unknown:?}"
    );
}

/// The example with every setting in it taken out of its comment. Prose has one space behind the `#`.
fn uncommented() -> Map<String, Value> {
    let is_setting = |rest: &str| !rest.starts_with(' ') || rest.starts_with("    ");
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if is_setting(rest) => rest,
        _ => line,
    });
    toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

/// The values in `table` by name, as `in_code` names them.
fn flattened(settings: &mut Settings, prefix: &str, table: &Map<String, Value>, code: &Settings) {
    for (key, value) in table {
        let is_named = |(section, ..): &(&str, _, _)| prefix.strip_suffix('.') == Some(section);
        let key = match named().iter().any(is_named) {
            true => "NAME",
            false => key,
        };
        let name = format!("{prefix}{key}");
        if code.contains_key(&name) {
            settings.insert(name.clone(), Some(value.clone()));
        }
        match value {
            Value::Object(inner) if !code.contains_key(&name) => {
                flattened(settings, &format!("{name}."), inner, code);
            }
            Value::Array(list) => {
                for inner in list.iter().filter_map(Value::as_object) {
                    flattened(settings, &format!("{name}[]."), inner, code);
                }
            }
            _ if !code.contains_key(&name) => {
                settings.insert(name, Some(value.clone()));
            }
            _ => {}
        }
    }
}

#[test]
fn the_example_has_every_setting_with_its_default() {
    let code = in_code();
    let mut example = Settings::new();
    flattened(&mut example, "", &uncommented(), &code);
    let unknown: Vec<_> = example
        .keys()
        .filter(|name| !code.contains_key(*name))
        .collect();
    assert!(
        unknown.is_empty(),
        "tocsin.example.toml has settings that do not exist: {unknown:?}"
    );
    for (name, default) in &code {
        let shown = example.get(name);
        let shown = shown.unwrap_or_else(|| panic!("tocsin.example.toml lacks {name}"));
        if let Some(default) = default.as_ref().filter(|default| !is_empty(default)) {
            assert_eq!(
                shown.as_ref(),
                Some(default),
                "{name} in tocsin.example.toml"
            );
        }
    }
}

#[test]
fn the_example_as_it_stands_changes_nothing() {
    let shown = |config: &Config| toml::to_string(config).unwrap();
    let example = load(EXAMPLE, &[]).unwrap();
    assert_eq!(shown(&example), shown(&Config::default()));
}
