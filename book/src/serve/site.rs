//! The built book, built anew when a source of it changes.

use std::fs;
use std::path::{Component, Path};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use process::OrCall;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::cell::Cell;
use crate::{Book, Page, Result, build};

/// How often the sources are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What the pages shall know of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Counts the builds.
    pub build: u64,
    /// Why the last one failed.
    pub trouble: Option<String>,
}

/// The built book.
pub struct Site {
    /// The book.
    pub book: Book,
    current: Arc<RwLock<Build>>,
    news: watch::Receiver<News>,
}

/// One build: a directory of its own, so that a reader never meets half of the next one.
struct Build {
    dir: TempDir,
    pages: Vec<Page>,
}

impl Build {
    fn new(book: &Book) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("cooper-book-").tempdir().or_call("mkdir", "a scratch directory")?;
        let pages = build::build(book, dir.path())?.pages;
        Ok(Self { dir, pages })
    }
}

impl Site {
    /// Builds the book, and starts to watch its sources.
    ///
    /// # Errors
    /// As [`build::build`].
    pub fn open(book: Book) -> Result<Self> {
        let stamp = newest(&book);
        let current = Arc::new(RwLock::new(Build::new(&book)?));
        let (sender, news) = watch::channel(News::default());
        let watched = (book.clone(), current.clone());
        std::thread::spawn(move || watch_sources(&watched.0, &watched.1, &sender, stamp));
        Ok(Self { book, current, news })
    }

    fn current(&self) -> std::sync::RwLockReadGuard<'_, Build> {
        self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A file of the built book: its type and its bytes.
    pub fn file(&self, path: &str) -> Option<(&'static str, Vec<u8>)> {
        let path = Path::new(path);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let path = self.current().dir.path().join(path);
        let path = if path.is_dir() { path.join("index.html") } else { path };
        let kind = content_type(&path);
        let bytes = fs::read(path).ok()?;
        if !kind.starts_with("text/html") {
            return Some((kind, bytes));
        }
        // By this the page knows that there is somebody to run its cells.
        let html = String::from_utf8_lossy(&bytes).replacen("<html ", "<html data-served=\"\" ", 1);
        Some((kind, html.into_bytes()))
    }

    /// The cells of a page.
    pub fn cells(&self, page: &str) -> Vec<Cell> {
        let current = self.current();
        current.pages.iter().find(|known| known.name() == page).map(|page| page.cells.clone()).unwrap_or_default()
    }

    /// Removes the built files: this process ends, and no destructor runs in its other threads.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(self.current().dir.path());
    }

    /// To be told of builds.
    pub fn news(&self) -> watch::Receiver<News> {
        self.news.clone()
    }
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

fn watch_sources(book: &Book, current: &RwLock<Build>, news: &watch::Sender<News>, mut stamp: Stamp) {
    loop {
        std::thread::sleep(LOOK);
        let now = newest(book);
        if now == stamp {
            continue;
        }
        stamp = now;
        let trouble = match Build::new(book) {
            Ok(built) => {
                *current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = built;
                None
            }
            Err(error) => {
                process::cli::report(&error);
                Some(error.to_string())
            }
        };
        news.send_modify(|news| *news = News { build: news.build + 1, trouble });
    }
}

/// When a source was last changed, and how many there are.
type Stamp = (Option<SystemTime>, usize);

fn newest(book: &Book) -> Stamp {
    let mut times = Vec::new();
    for dir in [book.pages_dir(), book.dir.join("theme"), book.root.join("chapters")] {
        collect(&dir, &mut times);
    }
    (times.iter().max().copied(), times.len())
}

fn collect(dir: &Path, times: &mut Vec<SystemTime>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            collect(&entry.path(), times);
        } else {
            times.extend(meta.modified());
        }
    }
}
