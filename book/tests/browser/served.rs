//! The book's program at work: serving a book until it is dropped.

use std::path::Path;

use harness::{Background, Outcome, Sandbox};

/// A served book.
pub struct Served {
    sandbox: Sandbox,
    _server: Background,
    /// `http://127.0.0.1:PORT/TOKEN/`
    base: String,
}

impl Served {
    /// A book of one page, `page.md`, in the dress of the real one.
    pub fn page(text: &str) -> Outcome<Self> {
        let sandbox = Sandbox::new()?;
        sandbox.file("book/pages/SUMMARY.md", "# Summary\n\n- [Page](page.md)\n")?;
        sandbox.file("book/pages/page.md", text)?;
        let book = sandbox.path().join("book");
        dress(concat!(env!("CARGO_MANIFEST_DIR"), "/theme").as_ref(), &book.join("theme"))?;
        Self::start(sandbox, &["--book", &book.to_string_lossy()])
    }

    /// The book of this repository.
    pub fn this_book() -> Outcome<Self> {
        Self::start(Sandbox::new()?, &[])
    }

    fn start(sandbox: Sandbox, args: &[&str]) -> Outcome<Self> {
        let program =
            sandbox.program(env!("CARGO_BIN_EXE_book")).args(args).args(["--port", "0"]).env("TMPDIR", sandbox.path());
        let mut server = program.spawn()?;
        server.says("Ctrl-C")?;
        let (said, _) = server.output();
        let base = said.lines().find(|line| line.starts_with("http://")).ok_or("it did not say where")?.to_owned();
        Ok(Self { sandbox, _server: server, base })
    }

    /// The address of a page.
    pub fn address(&self, page: &str) -> String {
        format!("{}{page}", self.base)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        let after = self.base.split(':').nth(2).unwrap_or_default();
        after.split('/').next().and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    /// The secret part of its addresses.
    pub fn token(&self) -> &str {
        self.base.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// Changes a file of its pages.
    pub fn write(&self, file: &str, text: &str) -> Outcome {
        self.sandbox.file(&format!("book/pages/{file}"), text).map(drop)
    }
}

/// Copies the style sheet and the scripts.
fn dress(from: &Path, to: &Path) -> Outcome {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            dress(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Is there a process whose command line contains this? Words are parted by `\0`.
pub fn runs(command: &str) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.map(|entry| entry.path().join("cmdline")).any(|file: std::path::PathBuf| {
        let line = std::fs::read(Path::new(&file)).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(command)
    })
}
