//! Building the book: mdBook as a library, fed with expanded pages; what it makes needs nothing from elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use mdbook_driver::book::BookItem;
use mdbook_driver::config::Config;
use process::OrCall;
use regex::Regex;
use sha2::{Digest, Sha256};

use crate::expand::{Expander, Shown};
use crate::{Book, Error, Page, Result, warnings};

/// mdBook's configuration. No playground (it asks a server), no formulas (they load a script), no page to print.
const CONFIG: &str = r#"
[book]
title = "Cooper: a container engine from the first process on"
language = "en"
src = "pages"

[build]
create-missing = false
use-default-preprocessors = false

[rust]
edition = "2024"

[output.html]
default-theme = "light"
preferred-dark-theme = "navy"
no-section-label = true
smart-punctuation = false
additional-css = []
additional-js = []

[output.html.playground]
runnable = false
copyable = true

[output.html.print]
enable = false

[output.html.search]
limit-results = 20
boost-title = 2
"#;

/// The configuration of a book: ours, with the style sheets and scripts that lie in its `theme/`.
pub fn config(book: &Book) -> Config {
    let mut config: Config = CONFIG.parse().expect("a constant");
    for (key, extension) in [("additional-css", "css"), ("additional-js", "js")] {
        let files = fs::read_dir(book.dir.join("theme")).into_iter().flatten().flatten();
        let names = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(&format!(".{extension}"))).collect();
        names.sort();
        let paths: Vec<String> = names.iter().map(|name| format!("theme/{name}")).collect();
        config.set(format!("output.html.{key}"), paths).expect("a list of strings");
    }
    config
}

/// What a build gives besides its files.
pub struct Built {
    /// The pages, in order.
    pub pages: Vec<Page>,
    /// The pieces of source that they show.
    pub shown: Vec<Shown>,
    /// What mdBook warns of.
    pub warnings: Vec<String>,
}

/// Expands the pages without rendering them.
///
/// # Errors
/// As [`Book::pages`]; each directive that could not be followed.
pub fn expand(book: &Book) -> Result<(Built, Vec<String>)> {
    let pages = book.pages()?;
    let mut expander = Expander::new(book, &pages);
    let texts = expander.all()?;
    let shown = expander.shown;
    Ok((Built { pages, shown, warnings: Vec::new() }, texts))
}

/// Builds the book into `dest`, anew.
///
/// # Errors
/// As [`expand`]; what mdBook says; a directory that cannot be written.
pub fn build(book: &Book, dest: &Path) -> Result<Built> {
    let (mut built, texts) = expand(book)?;
    let mut config = config(book);
    let dest = std::path::absolute(dest).or_call("getcwd", dest.display())?;
    config.build.build_dir = dest.clone();
    let mut loaded = book.load(config)?;
    let expanded = built.pages.iter().map(|page| &page.path).zip(texts).collect::<Vec<_>>();
    loaded.book.for_each_mut(|item| {
        let BookItem::Chapter(chapter) = item else { return };
        if let Some((_, text)) = expanded.iter().find(|(path, _)| Some(*path) == chapter.source_path.as_ref()) {
            chapter.content.clone_from(text);
        }
    });
    let (done, warnings) = warnings::during(|| loaded.build());
    built.warnings = warnings;
    done.map_err(|error| Error::invalid(format!("mdbook: {error:#}")))?;
    terminal(book, &dest)?;
    for file in files(&dest, "html")? {
        extract_scripts(&dest, &file)?;
    }
    Ok(built)
}

/// The terminal of cells, loaded by a page that needs one.
fn terminal(book: &Book, dest: &Path) -> Result<()> {
    let (from, to) = (book.dir.join("theme/xterm"), dest.join("theme/xterm"));
    for entry in fs::read_dir(&from).into_iter().flatten().flatten() {
        let target = to.join(entry.file_name());
        let copied = fs::create_dir_all(&to).and_then(|()| fs::copy(entry.path(), &target));
        copied.or_call("write", target.display())?;
    }
    Ok(())
}

/// All files below `dir` whose names end so.
///
/// # Errors
/// A directory that cannot be read.
pub fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).or_call("read", dir.display())?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|has| has == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Moves the scripts within a page to files, so that its policy can forbid all others (Content-Security-Policy).
fn extract_scripts(dest: &Path, file: &Path) -> Result<()> {
    let html = fs::read_to_string(file).or_call("read", file.display())?;
    let depth = file.strip_prefix(dest).unwrap_or(file).components().count() - 1;
    let up = "../".repeat(depth);
    let scripts = Regex::new(r"(?s)<script>(.*?)</script>").expect("a constant");
    let mut failed = None;
    let html = scripts.replace_all(&html, |found: &regex::Captures<'_>| {
        let digest = Sha256::digest(&found[1]);
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let path = dest.join("theme").join(format!("{name}.js"));
        let written = fs::create_dir_all(dest.join("theme")).and_then(|()| fs::write(&path, &found[1]));
        failed = failed.take().or(written.or_call("write", path.display()).err());
        format!("<script src=\"{up}theme/{name}.js\"></script>")
    });
    failed.map_or(Ok(()), Err)?;
    fs::write(file, html.as_bytes()).or_call("write", file.display())
}
