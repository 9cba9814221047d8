//! A runtime that is measured.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use harness::Outcome;
use harness::bench::{Spent, spend};

use crate::bundle::Bundle;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program with the command line of an OCI runtime, and a state directory for it.
pub struct Runtime {
    /// Its name.
    pub name: &'static str,
    program: PathBuf,
    root: tempfile::TempDir,
}

impl Runtime {
    /// The runtime `program`.
    pub fn new(name: &'static str, program: PathBuf) -> Self {
        Self { name, program, root: tempfile::tempdir().expect("a directory") }
    }

    /// The runtime called `name`, if it is installed.
    pub fn find(name: &'static str) -> Option<Self> {
        let program = harness::find_program(name);
        if program.is_none() {
            println!("{name}: not here");
        }
        Some(Self::new(name, program?))
    }

    /// What the command takes.
    pub fn spend(&self, words: &[&str]) -> Outcome<Spent> {
        spend(Command::new(&self.program).arg("--root").arg(self.root.path()).args(words), PATIENCE)
    }

    /// A container that runs, and what that took.
    pub fn begin(&self, id: &str, bundle: &Bundle) -> Outcome<Spent> {
        let create = self.spend(&["create", "--bundle", &bundle.of("sleep"), id])?;
        Ok(create.and(self.spend(&["start", id])?))
    }

    /// Takes it away.
    pub fn remove(&self, id: &str) {
        let _ = self.spend(&["delete", "--force", id]);
    }
}
