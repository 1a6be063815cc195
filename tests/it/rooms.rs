//! The rooms of the library, which are the modules at the top of `src/`: none uses another in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// The rooms that a room uses, each with a file where it does.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

/// A file's code: no comments, and nothing that is there for tests alone. It relies on the layout that rustfmt
/// gives to an item: its last line is indented as its first is.
fn code(text: &str) -> String {
    let (mut code, mut lines) = (String::new(), text.lines());
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            // An attribute or a part of the item: it ends with `;`, or where its brace is closed.
            let is_last =
                |line: &&str| line.ends_with(';') && !line.starts_with(' ') || **line == end;
            lines.by_ref().find(is_last);
            continue;
        }
        let line = line.split("//").next().unwrap_or_default();
        code.extend([line, "\n"]);
    }
    code
}

/// What follows each `crate::` and each chain of `super::` that leads out of all modules, in the file of a module
/// that is so deep: the names at the top.
fn names_at_the_top(code: &str, depth: usize) -> BTreeSet<String> {
    let out = "super::".repeat(depth);
    let mut names = BTreeSet::new();
    for path in ["crate::", out.as_str()] {
        for (at, _) in code.match_indices(path) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                continue;
            }
            let rest = code[at + path.len()..].trim_start();
            match rest.strip_prefix('{') {
                Some(group) => names.extend(first_names(group)),
                None => names.extend(first_name(rest)),
            }
        }
    }
    names
}

/// The first name of a path; none of a macro, which is a list of words that belongs to no module.
fn first_name(path: &str) -> Option<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let name: String = path.chars().take_while(|c| is_part(*c)).collect();
    let is_macro = path[name.len()..].starts_with("!");
    (!name.is_empty() && !is_macro).then_some(name)
}

/// The first name of each path in a group, up to the brace that closes it.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(first_name(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

/// Which rooms use which.
fn uses() -> Uses {
    let mut files = Vec::new();
    collect(Path::new(SRC), &mut files);
    let mut rooms: Uses = BTreeMap::new();
    let mut used = Vec::new();
    for file in files {
        let module = file.strip_suffix(".rs").unwrap();
        let parts: Vec<&str> = module.split('/').collect();
        if matches!(parts[..], ["lib" | "main"]) || parts.contains(&"tests") {
            continue;
        }
        rooms.entry(parts[0].to_owned()).or_default();
        let text = fs::read_to_string(Path::new(SRC).join(&file)).unwrap();
        for name in names_at_the_top(&code(&text), parts.len()) {
            used.push((parts[0].to_owned(), name, file.clone()));
        }
    }
    for (room, name, file) in used {
        if room != name && rooms.contains_key(&name) {
            let uses = rooms.entry(room).or_default();
            uses.entry(name).or_insert(file);
        }
    }
    rooms
}

fn collect(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let file = path.strip_prefix(SRC).unwrap();
            files.push(file.to_str().unwrap().to_owned());
        }
    }
}

/// A circle, if there is one: one line for each use in it.
fn circle(rooms: &Uses) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    rooms
        .keys()
        .find_map(|room| circle_from(room, rooms, &mut Vec::new(), &mut done))
}

fn circle_from<'a>(
    room: &'a str,
    rooms: &'a Uses,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<String>> {
    if let Some(start) = way.iter().position(|before| *before == room) {
        let round: Vec<&str> = way[start..].iter().copied().chain([room]).collect();
        let line = |pair: &[&str]| {
            let file = &rooms[pair[0]][pair[1]];
            format!("{} uses {} in src/{file}", pair[0], pair[1])
        };
        return Some(round.windows(2).map(line).collect());
    }
    if !done.insert(room) {
        return None;
    }
    way.push(room);
    let uses = rooms.get(room).into_iter().flatten();
    let found = uses
        .map(|(next, _)| next)
        .find_map(|next| circle_from(next, rooms, way, done));
    way.pop();
    found
}

#[test]
fn no_room_uses_another_in_a_circle() {
    let rooms = uses();
    assert!(rooms["context"].contains_key("store"), "uses are not found");
    assert!(rooms["web"].contains_key("context"), "uses are not found");
    let circle = circle(&rooms).unwrap_or_default();
    assert!(circle.is_empty(), "a circle:\n{}", circle.join("\n"));
}

#[test]
fn a_circle_is_told_with_its_files() {
    let of = |pairs: &[(&str, &str)]| {
        let mut rooms = Uses::new();
        for (room, used) in pairs {
            let file = format!("{room}/to_{used}.rs");
            let uses = rooms.entry((*room).to_owned()).or_default();
            uses.insert((*used).to_owned(), file);
        }
        circle(&rooms)
    };
    let line = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
    assert_eq!(of(&line), None);
    let round = [("a", "b"), ("b", "c"), ("b", "d"), ("d", "b")];
    let expected = ["b uses d in src/b/to_d.rs", "d uses b in src/d/to_b.rs"];
    assert_eq!(of(&round).unwrap(), expected);
}

#[test]
fn uses_are_read_from_code_that_is_not_for_tests() {
    let text = "\
//! See [`crate::comment`].
use crate::one::Two;
use crate::{three, four::{five, six}};
#[cfg(test)]
use crate::seven;
use super::super::eight::Nine;
use super::ten;

fn it() {
    crate::eleven::call(); // crate::twelve
}

#[cfg(test)]
mod tests {
    use crate::thirteen;
}

fn more() -> crate::fourteen::It {}
";
    let expected = ["eight", "eleven", "four", "fourteen", "one", "three"];
    let found: Vec<String> = names_at_the_top(&code(text), 2).into_iter().collect();
    assert_eq!(found, expected);
}
