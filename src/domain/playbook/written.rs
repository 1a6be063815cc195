//! A playbook as people write it in TOML, and what changed from one to another, line by line.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Playbook;
use crate::domain::tier::Tier;

/// Whether a line was added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlaybookChange)]
pub enum Change {
    /// It was added.
    Added,
    /// It was removed.
    Removed,
    /// It stayed.
    Kept,
}

/// A line of a playbook, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlaybookLine)]
pub struct Line {
    /// What became of it.
    pub change: Change,
    /// The line, as in TOML.
    pub line: String,
}

/// The lines of its TOML form, without the table's head.
#[must_use]
pub fn lines(playbook: &Playbook) -> Vec<String> {
    let mut lines = vec![format!("name = {}", quoted(&playbook.name))];
    for (field, patterns) in playbook.matchers().each() {
        let patterns: Vec<&str> = patterns.0.iter().map(|p| p.0.as_str()).collect();
        lines.extend(line(field, &patterns));
    }
    for tier in Tier::ALL {
        let actions: Vec<&str> = playbook
            .actions(tier)
            .0
            .iter()
            .map(String::as_str)
            .collect();
        lines.extend(line(super::field_of(tier), &actions));
    }
    lines
}

/// The whole in TOML, to be pasted into the settings.
#[must_use]
pub fn written(playbook: &Playbook) -> String {
    let lines = std::iter::once("[[playbooks]]".to_owned()).chain(lines(playbook));
    lines.map(|line| line + "\n").collect()
}

fn line(field: &str, values: &[&str]) -> Option<String> {
    match values {
        [] => None,
        [one] => Some(format!("{field} = {}", quoted(one))),
        many => {
            let many: Vec<String> = many.iter().map(|one| quoted(one)).collect();
            Some(format!("{field} = [{}]", many.join(", ")))
        }
    }
}

/// A text in quotes: what JSON escapes, TOML reads.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The playbooks of a TOML text: those of `[[playbooks]]`, as in the settings, of which the rest is passed over; or one
/// without that head.
///
/// # Errors
/// It is no TOML, or no playbook.
pub fn read_all(text: &str) -> Result<Vec<Playbook>, String> {
    /// Settings with playbooks.
    #[derive(Deserialize)]
    struct Settings {
        playbooks: Vec<Playbook>,
    }
    let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let read = match table.contains_key("playbooks") {
        true => toml::from_str::<Settings>(text).map(|read| read.playbooks),
        false => toml::from_str::<Playbook>(text).map(|read| vec![read]),
    };
    read.map_err(|error| error.to_string())
}

/// The one playbook of a TOML text.
///
/// # Errors
/// It is no TOML, no playbook, or there are several.
pub fn read(text: &str) -> Result<Playbook, String> {
    let mut all = read_all(text)?;
    match (all.pop(), all.len()) {
        (Some(one), 0) => Ok(one),
        (found, others) => {
            let n = others + usize::from(found.is_some());
            Err(format!("there are {n} playbooks: give one"))
        }
    }
}

/// The lines of both, in order, with what became of each: the fewest are removed and added.
#[must_use]
pub fn changes(from: &[String], to: &[String]) -> Vec<Line> {
    // `longest[a][b]`: how many lines the two have in common from there on.
    let mut longest = vec![vec![0_usize; to.len() + 1]; from.len() + 1];
    for a in (0..from.len()).rev() {
        for b in (0..to.len()).rev() {
            longest[a][b] = match from[a] == to[b] {
                true => longest[a + 1][b + 1] + 1,
                false => longest[a + 1][b].max(longest[a][b + 1]),
            };
        }
    }
    let (mut a, mut b, mut found) = (0, 0, Vec::new());
    let line = |change, line: &String| Line {
        change,
        line: line.clone(),
    };
    while a < from.len() || b < to.len() {
        if a < from.len() && b < to.len() && from[a] == to[b] {
            found.push(line(Change::Kept, &from[a]));
            (a, b) = (a + 1, b + 1);
        } else if b == to.len() || (a < from.len() && longest[a + 1][b] >= longest[a][b + 1]) {
            found.push(line(Change::Removed, &from[a]));
            a += 1;
        } else {
            found.push(line(Change::Added, &to[b]));
            b += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn playbook(json: serde_json::Value) -> Playbook {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_playbook_is_written_as_it_is_read() {
        let one = playbook(json!({
            "name": "pods", "alert_name": ["Kube \"Pod\"*", "a\\b"], "namespace": "prod",
            "tier_1": ["restart_pod", "重啟 Pod"], "tier_4": "redesign",
        }));
        let text = written(&one);
        assert_eq!(
            text,
            "[[playbooks]]\nname = \"pods\"\nalert_name = [\"Kube \\\"Pod\\\"*\", \"a\\\\b\"]\nnamespace = \"prod\"\n\
             tier_1 = [\"restart_pod\", \"重啟 Pod\"]\ntier_4 = \"redesign\"\n"
        );
        assert_eq!(read(&text).unwrap(), one);
        assert_eq!(read(&lines(&one).join("\n")).unwrap(), one);
        let two = format!("listen = \"x\"\n{text}{}", text.replace("pods", "nodes"));
        assert_eq!(read_all(&two).unwrap().len(), 2);
        for (text, wrong) in [
            (two.as_str(), "there are 2 playbooks"),
            ("playbooks = []", "there are 0 playbooks"),
            ("name = \"a\"\ntier_5 = \"x\"", "tier_5"),
            ("[[playbooks]]\nname = \"a\"\ntier_5 = \"x\"", "tier_5"),
            ("name =", "name ="),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(wrong), "{text}: {refused}");
        }
    }

    #[test]
    fn the_fewest_lines_are_removed_and_added() {
        let of = |text: &str| -> Vec<String> { text.chars().map(String::from).collect() };
        for (from, to, expected) in [
            ("", "", ""),
            ("abc", "abc", " a b c"),
            ("abc", "axc", " a-b+x c"),
            ("", "ab", "+a+b"),
            ("ab", "", "-a-b"),
            ("abcd", "bcde", "-a b c d+e"),
            ("ab", "ba", "-a b+a"),
        ] {
            let found = changes(&of(from), &of(to));
            let said: String = found
                .iter()
                .map(|line| {
                    let mark = match line.change {
                        Change::Added => '+',
                        Change::Removed => '-',
                        Change::Kept => ' ',
                    };
                    format!("{mark}{}", line.line)
                })
                .collect();
            assert_eq!(said, expected, "{from} {to}");
        }
    }
}
