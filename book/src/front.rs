//! A page's front matter: TOML between two lines of `+++`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Error, Result};

/// What a page says about itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Front {
    /// Minutes that it takes in class.
    pub minutes: Option<u32>,
    /// Minutes on the fast path; without it, the fast path leaves the page out.
    pub fast: Option<u32>,
    /// The chapter's number: its program is `stepNN`.
    pub step: Option<u8>,
    /// The pages that come before it, by name.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Where its cells were recorded, lane by lane. Written by `bless`.
    #[serde(default)]
    pub recorded: BTreeMap<String, Record>,
}

/// The machine that a record was made on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// `Linux 6.18.0`
    pub kernel: String,
    /// `v2`, `v1` or `hybrid`
    pub cgroup: String,
    /// The commit of the tree.
    pub commit: String,
}

const FENCE: &str = "+++";

/// How many lines the front matter takes, its fences counted; 0 if there is none.
pub fn lines(text: &str) -> usize {
    let mut lines = text.lines();
    if lines.next() != Some(FENCE) {
        return 0;
    }
    lines.position(|line| line == FENCE).map_or(0, |at| at + 2)
}

/// Reads the front matter of `text`.
///
/// # Errors
/// TOML that is none, or a key that means nothing here.
pub fn parse(shown: &str, text: &str) -> Result<Front> {
    let count = lines(text);
    if count == 0 {
        return Ok(Front::default());
    }
    let inner: Vec<&str> = text.lines().take(count - 1).skip(1).collect();
    toml::from_str(&inner.join("\n")).map_err(|error| Error::invalid(format!("{shown}:1: front matter: {error}")))
}

/// The text with its record of `lane` set to `record`.
pub fn with_record(text: &str, lane: &str, record: &Record) -> String {
    let Record { kernel, cgroup, commit } = record;
    let line = format!("recorded.{lane} = {{ kernel = {kernel:?}, cgroup = {cgroup:?}, commit = {commit:?} }}");
    let count = lines(text);
    let key = format!("recorded.{lane} ");
    let old = text.lines().take(count.saturating_sub(1)).skip(1).filter(|old| !old.starts_with(&key));
    let mut front: Vec<&str> = old.collect();
    front.push(&line);
    let body: Vec<&str> = text.lines().skip(count).collect();
    format!("{FENCE}\n{}\n{FENCE}\n{}\n", front.join("\n"), body.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_replaced_in_place() {
        let record = Record { kernel: "Linux 6".into(), cgroup: "v2".into(), commit: "abc".into() };
        let once = with_record("# A page\n\ntext\n", "user", &record);
        assert_eq!(parse("p", &once).unwrap().recorded["user"], record);
        assert_eq!(with_record(&once, "user", &record), once);
        assert!(once.ends_with("+++\n# A page\n\ntext\n"));
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(parse("p", "+++\nminuts = 3\n+++\n").unwrap_err().what().starts_with("p:1: front matter"));
    }
}
