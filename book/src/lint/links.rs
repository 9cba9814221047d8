//! The links of the built book: each leads to a file and an anchor that are there, and nothing is loaded from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::read;
use crate::{Result, build};

/// The links of the built book in `dest` that lead nowhere, and what it would load from elsewhere.
///
/// # Errors
/// The directory cannot be read.
pub fn broken(dest: &Path) -> Result<Vec<String>> {
    let tags = Regex::new(r#"<(a|link|script|img|iframe|source|object)\b[^>]*?\s(href|src|data)="([^"]*)""#)
        .expect("a constant");
    let ids = Regex::new(r#"\s(?:id|name)="([^"]*)""#).expect("a constant");
    let files = build::files(dest, "html")?;
    let mut anchors: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut texts = Vec::new();
    for file in files {
        let html = read(&file).unwrap_or_default();
        anchors.insert(file.clone(), ids.captures_iter(&html).map(|found| found[1].to_owned()).collect());
        texts.push((file, html));
    }
    let mut found = BTreeSet::new();
    for (file, html) in &texts {
        let shown = file.strip_prefix(dest).unwrap_or(file).display();
        // The page for what is not found has no place of its own; the start is a copy of the first page.
        let is_copy = |other: &(PathBuf, String)| other.0 != *file && main_of(&other.1) == main_of(html);
        if shown.to_string() == "404.html" || shown.to_string() == "index.html" && texts.iter().any(is_copy) {
            continue;
        }
        for tag in tags.captures_iter(html) {
            let (element, link) = (&tag[1], tag[3].replace("&amp;", "&"));
            if is_elsewhere(&link) {
                if element != "a" {
                    found.insert(format!("{shown}: loads {link} from elsewhere"));
                }
            } else if let Some(problem) = check(dest, file, &link, &anchors) {
                found.insert(format!("{shown}: {link}: {problem}"));
            }
        }
    }
    let loads = Regex::new(r#"(?:url\(|@import)\s*['"]?(https?:|//)"#).expect("a constant");
    for file in build::files(dest, "css")? {
        let css = read(&file).unwrap_or_default();
        if loads.is_match(&css) {
            found.insert(format!("{}: loads from elsewhere", file.strip_prefix(dest).unwrap_or(&file).display()));
        }
    }
    Ok(found.into_iter().collect())
}

/// What a page says, without the frame around it.
fn main_of(html: &str) -> Option<&str> {
    Some(html.split_once("<main>")?.1.split_once("</main>")?.0)
}

fn is_elsewhere(link: &str) -> bool {
    link.starts_with("//") || link.split_once(':').is_some_and(|(scheme, _)| !scheme.contains(['/', '#', '.']))
}

fn check(dest: &Path, file: &Path, link: &str, anchors: &BTreeMap<PathBuf, BTreeSet<String>>) -> Option<&'static str> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = path.split('?').next().unwrap_or_default();
    let base = file.parent().unwrap_or(dest);
    let target = if path.is_empty() { file.to_owned() } else { clean(&base.join(path)) };
    let target = if target.is_dir() { target.join("index.html") } else { target };
    if !target.exists() {
        return Some("there is no such file");
    }
    let missing = !anchor.is_empty() && anchors.get(&target).is_some_and(|known| !known.contains(anchor));
    missing.then_some("there is no such anchor")
}

/// The path without `..`: the book's own files are plain.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}
