//! The setting that was meant where one is unknown.

use super::Config;

/// Of the settings beside the unknown one (`names`), and of all others, the one that was meant: as parts of its name.
/// `path` is the unknown one.
pub(super) fn near(path: &[String], names: &[&str]) -> Option<Vec<String>> {
    let (last, section) = path.split_last()?;
    // The same words with other separators: `telegram.token`, or one underscore where a variable needs two.
    let words = path.join("_");
    let beside = |name: &str| [section, &[name.to_owned()]].concat();
    let written_differently = all(names, section).find(|known| known.join("_") == words);
    written_differently.or_else(|| {
        let distances = names
            .iter()
            .map(|name| (strsim::osa_distance(last, name), *name));
        let (distance, name) = distances.min()?;
        // A letter in three is one too many to be a mistake.
        (distance * 3 <= last.chars().count().max(3)).then(|| beside(name))
    })
}

/// Every setting whose name is known, as parts.
fn all(names: &[&str], section: &[String]) -> impl Iterator<Item = Vec<String>> {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let top = match section {
        [] => names.iter().map(|name| vec![(*name).to_owned()]).collect(),
        _ => OUTSIDE.map(|name| vec![name.to_owned()]).to_vec(),
    };
    let mut inside = Vec::new();
    collect(&defaults, &[], &mut inside);
    top.into_iter().chain(inside)
}

/// Settings without a default that look like those of a section.
const OUTSIDE: [&str; 3] = ["telegram_token", "telegram_chat", "redis_url"];

fn collect(section: &serde_json::Value, path: &[String], found: &mut Vec<Vec<String>>) {
    for (name, value) in section.as_object().into_iter().flatten() {
        let path = [path, std::slice::from_ref(name)].concat();
        collect(value, &path, found);
        found.push(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_was_meant_is_found_and_no_other() {
        let top = ["listen", "telegram", "telegram_token", "webhooks"];
        for (path, names, expected) in [
            ("lisen", &top[..], Some("listen")),
            ("telegran", &top, Some("telegram")),
            ("webhook", &top, Some("webhooks")),
            (
                "telegram.token",
                &["people", "fold"],
                Some("telegram_token"),
            ),
            ("telegram.api", &["people", "fold"], Some("telegram_api")),
            ("counting_unit", &top, Some("counting.unit")),
            ("queue_max_depth", &top, Some("queue.max_depth")),
            ("counting.units", &["unit", "skew"], Some("counting.unit")),
            ("colour", &top, None),
            ("x", &top, None),
        ] {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            let found = near(&path, names).map(|parts| parts.join("."));
            assert_eq!(found.as_deref(), expected, "{path:?}");
        }
    }
}
