//! A learner's program, checked: here, or in the virtual machine if it needs control groups that this one lacks.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use cgroups::Controller;
use harness::lacks;
use process::{Error, OrCall, Result};
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Kind, root};
use crate::{Exercise, Failure, Lab, Verdict};

/// What one check found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    /// The check's name.
    pub check: String,
    /// What it is worth.
    pub points: u32,
    /// What it says.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// Where an exercise can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Here,
    /// In the virtual machine of tests/vm.
    Machine,
    /// Nowhere, and why.
    Nowhere(String),
}

/// The control groups that a room can be given.
pub const CGROUP2: &str = "cgroup2";

/// Where this exercise can be checked.
pub fn place(exercise: &Exercise) -> Place {
    let needs = &exercise.about.needs;
    if let Some(reason) = needs.iter().filter(|need| *need != CGROUP2).find_map(|need| lacks(need)) {
        return Place::Nowhere(reason);
    }
    if !needs.iter().any(|need| need == CGROUP2) || has_groups() {
        return Place::Here;
    }
    match ["busybox", "qemu-system-x86_64"].into_iter().find_map(lacks) {
        None => Place::Machine,
        Some(reason) => Place::Nowhere(format!("needs control groups (v2) of its own, or a virtual machine: {reason}")),
    }
}

/// Can a group with these controllers be made here: by root, or by a user to whom systemd delegates?
fn has_groups() -> bool {
    let there = cgroups::Place::find().map(|place| place.available()).unwrap_or_default();
    [Controller::Cpu, Controller::Memory, Controller::Pids].iter().all(|wanted| there.contains(wanted))
}

/// Checks a program on this machine; `tool` is the runner itself.
pub fn here(exercise: &Exercise, tool: &Path, program: &Path) -> Vec<Found> {
    let not_yet = not_yet(exercise, tool, program);
    let look = |check: &crate::Check| {
        let start = Instant::now();
        if let Some(failure) = not_yet.clone() {
            let (check, points) = (check.name.to_owned(), check.points);
            return Found { check, points, verdict: Err(failure), took: start.elapsed() };
        }
        let lab = Lab::new(tool, program);
        let needs_group = exercise.about.needs.iter().any(|need| need == CGROUP2);
        let lab = lab.map(|lab| if needs_group { lab.with_cgroup() } else { lab });
        let verdict = lab.and_then(|lab| (check.run)(&lab).map_err(|failure| told(failure, lab.last_words())));
        Found { check: check.name.to_owned(), points: check.points, verdict, took: start.elapsed() }
    };
    exercise.checks().iter().map(look).collect()
}

/// What a prediction's program says: a line `question = answer` for each.
pub struct Answers {
    /// All lines.
    pub text: String,
    /// The questions without an answer yet.
    pub open: Vec<String>,
}

/// The answers that stand in a prediction.
///
/// # Errors
/// There is no room on this machine.
pub fn answers(tool: &Path, program: &Path) -> Result<Answers, Failure> {
    let text = Lab::new(tool, program)?.run(&[])?.stdout.trim_end().to_owned();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let open = lines.filter(|(_, answer)| answer.contains('?') || answer.trim().is_empty());
    let open = open.map(|(question, _)| question.trim().to_owned()).collect();
    Ok(Answers { text, open })
}

/// Nothing is revealed before every question has an answer.
fn not_yet(exercise: &Exercise, tool: &Path, program: &Path) -> Option<Failure> {
    if exercise.about.kind != Kind::Predict {
        return None;
    }
    match answers(tool, program) {
        Err(failure) => Some(failure),
        Ok(Answers { open, .. }) if open.is_empty() => None,
        Ok(Answers { open, .. }) => {
            let failure =
                Failure::wrong("your answers", "one to every question", format!("none yet to {}", open.join(", ")));
            Some(
                failure
                    .note("Guess if you must. Your first answers are recorded; then the experiment is made and shown."),
            )
        }
    }
}

/// A panic says more than that its exit code is 101, and `dbg!` is a learner's first tool.
fn told(failure: Failure, last_words: Option<String>) -> Failure {
    let said = failure.to_string();
    match last_words.filter(|words| !said.contains(words.rsplit(": ").next().unwrap_or_default())) {
        Some(words) => failure.and_note(words),
        None => failure,
    }
}

/// Checks a program in the virtual machine, which is booted for it.
///
/// # Errors
/// It does not boot, or does not answer.
pub fn in_machine(exercise: &Exercise, tool: &Path, program: &Path) -> Result<Vec<Found>> {
    let mut run = Command::new(root().join("tests/vm/run"));
    run.arg("--").arg(tool).args(["__check", &exercise.name]).arg(program);
    let output = run.current_dir(root()).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.or_call("exec", "tests/vm/run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    found.ok_or_else(|| {
        Error::unsupported("the virtual machine gave no answer").help("try it alone: tests/vm/run -- true")
    })
}

/// `__check NAME PROGRAM`: the other side of [`in_machine`].
///
/// # Errors
/// There is no such exercise.
pub fn answer(name: &str, program: PathBuf) -> Result<ExitCode> {
    let all = catalog::load()?;
    let found = here(catalog::find(&all, name)?, &tool()?, &program);
    println!("{}", serde_json::to_string(&found).unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

/// This program, which makes the rooms.
///
/// # Errors
/// As readlink(2).
pub fn tool() -> Result<PathBuf> {
    std::env::current_exe().or_call("readlink", "/proc/self/exe")
}

/// Did all checks pass?
pub fn passed(found: &[Found]) -> bool {
    found.iter().all(|found| found.verdict.is_ok())
}

/// Why the machine could not look, if so.
pub fn trouble(found: &[Found]) -> Option<&str> {
    found.iter().find_map(|found| match &found.verdict {
        Err(Failure::Machine(why)) => Some(why.as_str()),
        _ => None,
    })
}
