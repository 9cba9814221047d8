//! A learner: a copy of the exercises, and the runner.

use std::fs;
use std::path::PathBuf;

use exercises::source::Variant;
use exercises::{Exercise, catalog, generate};
use harness::{Outcome, Run, Sandbox};

pub struct Learner {
    sandbox: Sandbox,
    all: Vec<Exercise>,
}

impl Learner {
    /// With the starters, as in a fresh clone.
    pub fn new() -> Outcome<Self> {
        let (sandbox, all) = (Sandbox::new()?, catalog::load()?);
        for (path, text) in generate::files(&all)? {
            sandbox.file(&path.display().to_string(), text)?;
        }
        Ok(Self { sandbox, all })
    }

    pub fn runner(&self, args: &[&str]) -> Run {
        let run = self.sandbox.program(env!("CARGO_BIN_EXE_exercises")).args(args);
        run.env("COOPER_EXERCISES", self.dir()).timeout(std::time::Duration::from_secs(300))
    }

    /// A shell, whose `$RUNNER` is the runner.
    pub fn shell(&self, script: &str) -> Run {
        let shell = self.sandbox.program("/bin/sh").args(["-c", script]).current_dir(self.sandbox.path());
        shell.env("RUNNER", env!("CARGO_BIN_EXE_exercises")).env("COOPER_EXERCISES", self.dir())
    }

    pub fn dir(&self) -> PathBuf {
        self.sandbox.path().join("exercises")
    }

    /// The exercise with this number, from 0.
    pub fn exercise(&self, number: usize) -> &Exercise {
        &self.all[number]
    }

    pub fn number_of(&self, is_it: impl Fn(&Exercise) -> bool) -> Outcome<usize> {
        Ok(self.all.iter().position(is_it).ok_or("there is no such exercise")?)
    }

    pub fn file(&self, number: usize) -> PathBuf {
        self.sandbox.path().join(self.exercise(number).path())
    }

    /// Saves a variant, as an editor does: another file takes the name.
    pub fn save(&self, number: usize, variant: &Variant) -> Outcome {
        let part = self.file(number).with_extension("part");
        fs::write(&part, self.exercise(number).source.render(variant))?;
        Ok(fs::rename(part, self.file(number))?)
    }

    /// `1/40`, as the bar ends.
    pub fn progress(&self, solved: usize) -> String {
        format!("] {solved}/{}", self.all.len())
    }
}
