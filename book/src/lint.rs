//! What a page forgot: code that no page shows, code and commands typed by hand, links that lead nowhere, mute pictures.

mod coverage;
mod links;

use std::fs;
use std::path::Path;

use process::OrCall;
use regex::Regex;

use crate::build::Built;
use crate::{Book, Page, Result, build, cell, front, picture};

pub use coverage::{Public, public_items};
pub use links::broken;

/// Rust of more lines than this is shown by reference.
const TYPED: usize = 5;

/// All that is wrong with the book, one line each.
///
/// # Errors
/// A book that does not build.
pub fn lint(book: &Book) -> Result<Vec<String>> {
    let dest = tempfile::tempdir().or_call("mkdir", "a scratch directory")?;
    let built = build::build(book, dest.path())?;
    let mut found: Vec<String> = built.pages.iter().flat_map(typed).collect();
    found.extend(built.warnings.iter().map(|warning| warning.replace('\n', " ")));
    found.extend(pictures(book, &built.pages)?);
    found.extend(broken(dest.path())?);
    found.extend(unshown(book, &built)?);
    Ok(found)
}

/// What a page has typed by hand that it must not.
fn typed(page: &Page) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<&str> = page.text.lines().collect();
    let mut tell = |line: usize, what: String| found.push(format!("{}:{line}: {what}", page.shown));
    for (fence, body) in cell::blocks(&page.text) {
        let command = lines[body.clone()].iter().any(|line| line.starts_with("$ "));
        match fence.language {
            "rust" if body.len() > TYPED => {
                tell(body.start, format!("{} lines of Rust typed by hand: use {{{{#item …}}}}", body.len()));
            }
            "console" if fence.info.is_empty() => tell(body.start, "a command that is no cell: cell=NAME".into()),
            "console" => {}
            _ if command => tell(body.start, "a command in a block that is no cell: ```console cell=NAME".into()),
            _ => {}
        }
    }
    for cell in &page.cells {
        let silent = cell.commands.iter().all(|command| command.output.is_empty() && command.exit == 0);
        if silent && page.front.recorded.is_empty() {
            tell(cell.line, format!("cell {} was never recorded: cargo run -p book -- bless", cell.name));
        }
    }
    let image = Regex::new(r"!\[\s*\]\(").expect("a constant");
    for (number, line) in lines.iter().enumerate().skip(front::lines(&page.text)) {
        if image.is_match(line) {
            tell(number + 1, "an image without an alternative text".into());
        }
    }
    found
}

fn pictures(book: &Book, pages: &[Page]) -> Result<Vec<String>> {
    let dir = book.pages_dir().join("pictures");
    let mut found = Vec::new();
    for file in if dir.is_dir() { build::files(&dir, "svg")? } else { Vec::new() } {
        let shown = book.shown(&file);
        let svg = fs::read_to_string(&file).or_call("read", &shown)?;
        found.extend(picture::problems(&svg).into_iter().map(|problem| format!("{shown}: {problem}")));
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let used = |page: &Page| {
            page.text.contains(&format!("{{{{#picture {name}}}}}")) || page.text.contains(&format!("{name}.svg"))
        };
        if !pages.iter().any(used) {
            found.push(format!("{shown}: no page shows it"));
        }
    }
    Ok(found)
}

/// The public items that no page shows.
fn unshown(book: &Book, built: &Built) -> Result<Vec<String>> {
    let shows = |item: &Public| {
        let is_in =
            |shown: &crate::expand::Shown| shown.piece.file == item.file && shown.piece.lines.contains(&item.line);
        built.shown.iter().any(is_in)
    };
    let items = public_items(&book.root)?;
    let missing = items.iter().filter(|item| !shows(item));
    Ok(missing.map(|item| format!("{}:{}: no page shows {} {}", item.file, item.line, item.kind, item.name)).collect())
}

/// The file's text, if it is one.
fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}
