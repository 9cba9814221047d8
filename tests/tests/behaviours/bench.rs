//! A place to run containers of any step alike: each takes its root in its own way.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use harness::{Done, Outcome, Sandbox};

/// What the probes run in a container.
const PROGRAMS: [&str; 17] = [
    "bash", "sh", "cat", "chroot", "hostname", "id", "ip", "ls", "mkdir", "mount", "readlink", "sleep", "stat", "test",
    "true", "umount", "uname",
];

/// Who runs the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Whoever runs the tests.
    Tester,
    /// An ordinary user.
    Ordinary,
}

/// A step, a sandbox, a root made by chapter 2, and a file of the host outside of that root.
pub struct Bench {
    /// The chapter.
    pub step: u8,
    /// The directories of this test.
    pub sandbox: Sandbox,
    told: RefCell<String>,
}

impl Bench {
    /// Makes the root.
    pub fn new(step: u8, who: Who) -> Outcome<Self> {
        let sandbox = if who == Who::Ordinary { Sandbox::ordinary()? } else { Sandbox::new()? };
        let bench = Self { step, sandbox, told: RefCell::default() };
        bench.sandbox.file("secret", "of the host")?;
        if step != 1 {
            let mkroot = bench.sandbox.step(2).arg("mkroot").arg(bench.root()).args(PROGRAMS).arg(harness::step(2)?);
            mkroot.run()?.ok()?;
        }
        Ok(bench)
    }

    /// The directory that is the root of the containers of chapters 2 to 4, and the layer of 5 and 6.
    pub fn root(&self) -> PathBuf {
        self.sandbox.path().join("root")
    }

    /// A file of the host that no container may see.
    pub fn secret(&self) -> PathBuf {
        self.sandbox.path().join("secret")
    }

    /// Runs a command in a container of this step; `options` go before the root.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Outcome<Done> {
        let run = self.sandbox.step(self.step).arg("run").args(options);
        let run = match self.step {
            1 => run.arg("--"),
            2..=4 => run.arg("--root").arg(self.root()),
            5 | 6 => run.arg("--layer").arg(self.root()),
            _ => run.arg("host"),
        };
        let done = run.args(command).run()?;
        self.told.borrow_mut().push_str(&format!("{done:?}\n"));
        Ok(done)
    }

    /// As [`run`](Self::run): a shell's command line.
    pub fn shell(&self, line: &str) -> Outcome<Done> {
        self.run(&[], &["sh", "-c", line])
    }

    /// What was run and what it said, for a failure's message.
    pub fn told(&self) -> String {
        self.told.borrow().clone()
    }
}

/// A path as a word of a command.
pub fn word(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
