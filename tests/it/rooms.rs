//! The modules of the library: of those that lie in one folder, `src/` itself among them, none uses another in a
//! circle. What a module and those in its own folder use of each other does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// The modules of one folder that each of them uses, with a file where it does.
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

/// The paths in the code of a module that begin with `crate::`, or with `super::` and leave the module, from the top.
fn paths(code: &str, module: &[&str]) -> BTreeSet<Vec<String>> {
    let mut paths = BTreeSet::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_in_name(c) || c == ':') {
                continue;
            }
            let mut rest = &code[at..];
            let mut folder = module.len();
            while let Some(outer) = rest.strip_prefix("super::") {
                (rest, folder) = (outer, folder.saturating_sub(1));
            }
            if let Some(top) = rest.strip_prefix("crate::") {
                (rest, folder) = (top, 0);
            }
            let folder: Vec<String> = module[..folder].iter().map(ToString::to_string).collect();
            spell_out(rest, &folder, &mut paths);
        }
    }
    paths
}

const fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The paths that `text` begins with, each name of a group on its own; none of a macro, which is a list of words that
/// belongs to no module.
fn spell_out(text: &str, folder: &[String], paths: &mut BTreeSet<Vec<String>>) {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        for item in items(group) {
            spell_out(item, folder, paths);
        }
        return;
    }
    let name: String = text.chars().take_while(|c| is_in_name(*c)).collect();
    let rest = &text[name.len()..];
    if name.is_empty() || rest.starts_with('!') {
        return;
    }
    let path: Vec<String> = folder.iter().cloned().chain([name]).collect();
    match rest.strip_prefix("::") {
        Some(rest) if rest.starts_with(|c| is_in_name(c) || c == '{') => {
            spell_out(rest, &path, paths);
        }
        _ => {
            paths.insert(path);
        }
    }
}

/// The items of a group, up to the brace that closes it.
fn items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items
}

/// Every module that has a file, by its path, with the modules that it uses.
fn modules() -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    collect(Path::new(SRC), &mut files);
    files.retain(|file| !matches!(&**file, "lib.rs" | "main.rs"));
    files.retain(|file| {
        !file
            .trim_end_matches(".rs")
            .split('/')
            .any(|part| part == "tests")
    });
    let names = files
        .iter()
        .map(|file| file.trim_end_matches(".rs").replace('/', "::"));
    let names: BTreeSet<String> = names.collect();
    let used = |(file, module): (&String, &String)| {
        let text = fs::read_to_string(Path::new(SRC).join(file)).unwrap();
        let parts: Vec<&str> = module.split("::").collect();
        let paths = paths(&code(&text), &parts);
        let used = paths.iter().filter_map(|path| {
            let longest = (1..=path.len()).rev().map(|n| path[..n].join("::"));
            longest.into_iter().find(|module| names.contains(module))
        });
        (module.clone(), used.collect())
    };
    files.sort_by_key(|file| file.trim_end_matches(".rs").replace('/', "::"));
    files.iter().zip(&names).map(used).collect()
}

/// The first name of a path beneath a folder, which is empty or ends with `::`.
fn beneath<'a>(module: &'a str, folder: &str) -> Option<&'a str> {
    module.strip_prefix(folder)?.split("::").next()
}

/// Which modules of a folder use which others of it, they or what lies in their own folders.
fn uses(modules: &BTreeMap<String, BTreeSet<String>>, folder: &str) -> Uses {
    let mut uses = Uses::new();
    for (module, used) in modules {
        let Some(one) = beneath(module, folder) else {
            continue;
        };
        let of_one = uses.entry(one.to_owned()).or_default();
        for other in used.iter().filter_map(|used| beneath(used, folder)) {
            if other != one {
                let file = module.replace("::", "/") + ".rs";
                of_one.entry(other.to_owned()).or_insert(file);
            }
        }
    }
    uses
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
fn no_modules_of_one_folder_use_each_other_in_a_circle() {
    let modules = modules();
    let rooms = uses(&modules, "");
    assert!(rooms["context"].contains_key("store"), "uses are not found");
    assert!(rooms["web"].contains_key("context"), "uses are not found");
    let within = uses(&modules, "domain::");
    assert!(within["tier"].contains_key("level"), "uses are not found");
    let folders = modules.keys().map(|module| format!("{module}::"));
    for folder in folders.chain([String::new()]) {
        let circle = circle(&uses(&modules, &folder)).unwrap_or_default();
        assert!(circle.is_empty(), "a circle:\n{}", circle.join("\n"));
    }
}

#[test]
fn a_circle_is_shown_with_its_files() {
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
use super::{eight::Nine, ten};

fn it() {
    crate::eleven::call(); // crate::twelve
}

#[cfg(test)]
mod tests {
    use crate::thirteen;
}

fn more() -> crate::fourteen::It {}
";
    let expected = [
        "a::eight::Nine",
        "a::ten",
        "eight::Nine",
        "eleven::call",
        "four::five",
        "four::six",
        "fourteen::It",
        "one::Two",
        "three",
    ];
    let found: Vec<String> = paths(&code(text), &["a", "b"])
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(found, expected);
}
