//! What one step's recipe has that the one before had not.

use std::path::Path;

use process::OrCall;
use similar::TextDiff;

use crate::{Error, Result};

/// The directory of a step: `step03` is `chapters/03-namespaces`.
///
/// # Errors
/// There is no such chapter.
pub fn chapter(root: &Path, step: &str) -> Result<String> {
    let missing = || Error::not_found(format!("no chapter is called {step}")).help("write step01, step02, …");
    let number = step.strip_prefix("step").ok_or_else(missing)?;
    let chapters = std::fs::read_dir(root.join("chapters")).or_call("read", "chapters")?;
    let names = chapters.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let name = names.into_iter().find(|name| name.split('-').next() == Some(number)).ok_or_else(missing)?;
    Ok(format!("chapters/{name}"))
}

/// The difference of the two steps' `main.rs`, with three lines around each change.
///
/// # Errors
/// As [`chapter`]; a file that cannot be read.
pub fn mains(root: &Path, old: &str, new: &str) -> Result<(String, String)> {
    let file = |step: &str| Ok::<_, Error>(format!("{}/src/main.rs", chapter(root, step)?));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).or_call("read", file);
    let (old, new) = (file(old)?, file(new)?);
    let (before, after) = (read(&old)?, read(&new)?);
    let diff = TextDiff::from_lines(&before, &after);
    let mut lines = String::new();
    for (number, group) in diff.grouped_ops(3).iter().enumerate() {
        if number > 0 {
            lines.push_str("@@\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            lines.push_str(&format!("{}{}", change.tag(), change.value()));
            if change.missing_newline() {
                lines.push('\n');
            }
        }
    }
    Ok((format!("{old} → {new}"), lines))
}
