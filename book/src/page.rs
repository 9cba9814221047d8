//! The book on disk: its pages in the order of the summary.

use std::path::{Path, PathBuf};

use mdbook_driver::MDBook;
use mdbook_driver::book::BookItem;
use mdbook_driver::config::Config;

use crate::cell::Cell;
use crate::{Error, Front, Result, cell, front};

/// Where a book lies, and where the sources are that it speaks of.
#[derive(Debug, Clone)]
pub struct Book {
    /// The repository: what `{{#item chapters/…}}` starts from.
    pub root: PathBuf,
    /// The directory with `pages/` and `theme/`.
    pub dir: PathBuf,
}

/// One page as its author wrote it.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its title in the summary.
    pub title: String,
    /// Its file, from `pages/` on: `01-process.md`.
    pub path: PathBuf,
    /// Its file for messages: `book/pages/01-process.md`.
    pub shown: String,
    /// The file's text, front matter and all.
    pub text: String,
    /// What stands between the `+++` lines.
    pub front: Front,
    /// Its cells, in order.
    pub cells: Vec<Cell>,
}

impl Book {
    /// The book of this repository.
    pub fn here() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: dir.parent().unwrap_or(dir).to_owned(), dir: dir.to_owned() }
    }

    /// A book elsewhere which is its own repository.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self { root: dir.clone(), dir }
    }

    /// The directory of the pages.
    pub fn pages_dir(&self) -> PathBuf {
        self.dir.join("pages")
    }

    /// How messages name a file of the book or of the sources.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Loads summary and pages as mdBook does.
    ///
    /// # Errors
    /// A summary that is none, or names a page that is not there.
    pub fn load(&self, config: Config) -> Result<MDBook> {
        MDBook::load_with_config(&self.dir, config)
            .map_err(|error| Error::invalid(format!("{}: {error:#}", self.shown(&self.pages_dir()))))
    }

    /// The pages, in the summary's order.
    ///
    /// # Errors
    /// As [`load`](Self::load); front matter or a cell that cannot be read, with page and line.
    pub fn pages(&self) -> Result<Vec<Page>> {
        let loaded = self.load(crate::build::config(self))?;
        let mut pages = Vec::new();
        for item in loaded.book.iter() {
            let BookItem::Chapter(chapter) = item else { continue };
            let Some(path) = &chapter.source_path else { continue };
            pages.push(self.page(chapter.name.clone(), path.clone(), chapter.content.clone())?);
        }
        Ok(pages)
    }

    fn page(&self, title: String, path: PathBuf, text: String) -> Result<Page> {
        let shown = self.shown(&self.pages_dir().join(&path));
        let front = front::parse(&shown, &text)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let cells = cell::parse(&shown, &name, &text)?;
        Ok(Page { title, path, shown, text, front, cells })
    }
}

impl Page {
    /// Its name: `01-process`.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where the built page lies, from the book's start.
    pub fn html(&self) -> String {
        self.path.with_extension("html").display().to_string()
    }
}
