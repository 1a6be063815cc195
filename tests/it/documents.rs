//! Links of the documents lead to files and headings that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every document, by its path from the root.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/runbooks"] {
        for entry in std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            let name = PathBuf::from(entry.unwrap().file_name());
            if name.extension().is_some_and(|extension| extension == "md") {
                found.push(Path::new(folder).join(name));
            }
        }
    }
    found
}

/// The lines of a document that are not code.
fn prose(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(ROOT).join(document)).unwrap();
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(document: &Path) -> BTreeSet<String> {
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |line: &String| {
        let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
        let kept: String = heading.to_lowercase().chars().filter(is_kept).collect();
        Some(kept.replace(' ', "-"))
    };
    prose(document).iter().filter_map(anchor).collect()
}

/// The targets of links and pictures in a line, without those in code.
fn targets(line: &str) -> Vec<String> {
    let outside: String = line.split('`').step_by(2).collect();
    let after = outside.split("](").skip(1);
    let targets = after.filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut checked = 0;
    let mut broken = Vec::new();
    for document in documents() {
        let folder = document.parent().unwrap();
        for target in prose(&document).iter().flat_map(|line| targets(line)) {
            if target.contains("://") {
                continue;
            }
            checked += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = match path {
                "" => document.clone(),
                _ => folder.join(path),
            };
            let exists = Path::new(ROOT).join(&file).exists();
            if !exists || (!anchor.is_empty() && !anchors(&file).contains(anchor)) {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
    assert!(checked > 50, "only {checked} links were found");
}
