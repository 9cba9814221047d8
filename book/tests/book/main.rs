//! The book's program, tried on a small book: what it builds, what it refuses, what its cells do.

mod cells;
mod pages;
mod safety;
mod server;
mod web;

use std::path::{Path, PathBuf};

use harness::{Outcome, Run, Sandbox, Suite};

fn main() {
    let suite =
        [pages::add, cells::add, safety::add, server::add].into_iter().fold(Suite::new(), |suite, add| add(suite));
    suite.run();
}

/// A copy of the small book, to be changed and built.
struct Copy {
    sandbox: Sandbox,
}

impl Copy {
    fn new() -> Outcome<Self> {
        let sandbox = Sandbox::new()?;
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&own.join("tests/fixture"), &sandbox.path().join("book"))?;
        copy(&own.join("theme"), &sandbox.path().join("book/theme"))?;
        Ok(Self { sandbox })
    }

    /// One with this page only.
    fn of(page: &str) -> Outcome<Self> {
        let book = Self::new()?;
        book.write("pages/SUMMARY.md", "# Summary\n\n- [Page](page.md)\n")?;
        book.write("pages/page.md", page)?;
        Ok(book)
    }

    fn dir(&self) -> PathBuf {
        self.sandbox.path().join("book")
    }

    fn write(&self, file: &str, text: &str) -> Outcome {
        self.sandbox.file(&format!("book/{file}"), text)?;
        Ok(())
    }

    fn read(&self, file: &str) -> Outcome<String> {
        Ok(std::fs::read_to_string(self.dir().join(file)).map_err(|error| format!("{file}: {error}"))?)
    }

    /// `book --book COPY ARGS…`
    fn book(&self, args: &[&str]) -> Run {
        self.sandbox.program(env!("CARGO_BIN_EXE_book")).arg("--book").arg(self.dir()).args(args)
    }
}

fn copy(from: &Path, to: &Path) -> Outcome {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
