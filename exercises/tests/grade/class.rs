//! A class: submissions, and the grader run on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use exercises::source::Variant;
use exercises::{Exercise, catalog};
use harness::{Done, Outcome, Run, Sandbox};
use serde_json::Value;

/// The exercise that most of these tests are about.
pub const NAME: &str = "exit_code";

/// Its file in a submission.
pub const FILE: &str = "exercises/01-process/exit_code.rs";

/// Submissions, in a directory of the test's own.
pub struct Class {
    pub sandbox: Sandbox,
}

impl Class {
    pub fn new() -> Outcome<Self> {
        let sandbox = Sandbox::new()?;
        for dir in ["class", "tmp"] {
            sandbox.dir(dir)?;
        }
        Ok(Self { sandbox })
    }

    /// Where a submission is.
    pub fn dir(&self, name: &str) -> PathBuf {
        self.sandbox.path().join("class").join(name)
    }

    /// Adds a submission with this as the exercise's file.
    pub fn hand_in(&self, name: &str, text: impl AsRef<[u8]>) -> Outcome {
        self.file(name, FILE, text)
    }

    /// Adds a file to a submission.
    pub fn file(&self, name: &str, path: &str, text: impl AsRef<[u8]>) -> Outcome {
        let path = self.dir(name).join(path);
        fs::create_dir_all(path.parent().expect("it is below a directory"))?;
        Ok(fs::write(path, text)?)
    }

    /// The grader, run on these submissions with its report as JSON.
    pub fn grade(&self, names: &[&str], args: &[&str]) -> Outcome<(Done, Value)> {
        let report = self.sandbox.path().join("report.json");
        let dirs = names.iter().map(|name| self.dir(name));
        let run = self.grader().arg("grade").args(dirs).args(["--only", NAME, "--report"]).arg(&report).args(args);
        let done = run.timeout(Duration::from_secs(300)).run()?;
        let value = serde_json::from_slice(&fs::read(&report).map_err(|error| format!("{error}: {}", done.stderr))?)?;
        let left: Vec<_> = fs::read_dir(self.sandbox.path().join("tmp"))?.flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "it left {left:?}");
        Ok((done, value))
    }

    /// Our program, whose temporary files have a place of their own.
    pub fn grader(&self) -> Run {
        // Patient enough for the first one, which builds what the exercises are compiled against.
        let run = Run::new(Command::new(tool())).timeout(std::time::Duration::from_secs(600));
        run.env("TMPDIR", self.sandbox.path().join("tmp"))
    }
}

/// The program under test.
pub fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_exercises"))
}

/// The exercise's text: our solution, the starter.
pub fn variant(variant: &Variant) -> Outcome<String> {
    let all = catalog::load()?;
    Ok(catalog::find(&all, NAME)?.source.render(variant))
}

/// All exercises there are.
pub fn exercises() -> Outcome<Vec<Exercise>> {
    Ok(catalog::load()?)
}

/// A submission's part of a report.
pub fn of<'a>(report: &'a Value, name: &str) -> &'a Value {
    let submissions = report["submissions"].as_array().expect("a report has submissions");
    submissions.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}
