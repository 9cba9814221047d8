//! The plain commands: `run`, `hint`, `list`, `reset`, `verify`, `solution`.

use std::fs;
use std::process::ExitCode;

use colored::Colorize;
use process::{Error, Result};

use super::attempt::{Known, attempt};
use super::screen;
use crate::catalog::{find, root};
use crate::source::Variant;
use crate::{Exercise, State};

/// The first that is not solved yet.
pub fn next<'a>(all: &'a [Exercise], state: &State) -> Option<&'a Exercise> {
    all.iter().find(|exercise| !state.is_solved(exercise))
}

fn chosen<'a>(all: &'a [Exercise], state: &State, name: Option<&str>) -> Result<&'a Exercise> {
    match name {
        Some(name) => find(all, name),
        None => next(all, state).or(all.last()).ok_or_else(|| Error::not_found("there are no exercises")),
    }
}

/// `run [NAME]`: checks one; exit code 1 if it is not solved.
///
/// # Errors
/// No such exercise; the chapters' code does not build.
pub fn run(all: &[Exercise], name: Option<&str>) -> Result<ExitCode> {
    let mut state = State::load()?;
    let exercise = chosen(all, &state, name)?;
    say!("{}", screen::heading(exercise));
    let attempt = attempt(exercise, &mut state, &mut Known::new())?;
    say!("{}", screen::outcome(exercise, &attempt, &state).trim_end());
    say!("{}", screen::bar(all, &state));
    Ok(if attempt.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `hint [NAME]`: the next hint.
///
/// # Errors
/// No such exercise; the state cannot be written.
pub fn hint(all: &[Exercise], name: Option<&str>) -> Result<ExitCode> {
    let mut state = State::load()?;
    let exercise = chosen(all, &state, name)?;
    let (level, hint, is_new) = state.next_hint(exercise)?;
    let again = if is_new { "" } else { " (there are no more)" };
    say!("{} {level} of {}{again}: {hint}", "hint".green().bold(), exercise.about.hints.len());
    Ok(ExitCode::SUCCESS)
}

/// `list`: all of them, and how the learner stands.
///
/// # Errors
/// The state cannot be read.
pub fn list(all: &[Exercise], current: Option<&str>) -> Result<ExitCode> {
    let state = State::load()?;
    let current = current.or(next(all, &state).map(|exercise| exercise.name.as_str()));
    let mut chapter = "";
    for exercise in all {
        if chapter != exercise.chapter {
            chapter = &exercise.chapter;
            say!("{}", chapter.bold());
        }
        let started =
            fs::read_to_string(exercise.file()).is_ok_and(|text| text != exercise.source.render(&Variant::Starter));
        let mark = match (state.is_solved(exercise), started) {
            (true, _) => "solved ".green(),
            (false, true) => "begun  ".yellow(),
            (false, false) => "       ".normal(),
        };
        let arrow = if current == Some(&exercise.name) { ">" } else { " " };
        let about = &exercise.about;
        say!("{arrow} {mark} {:<20} {:<17} {:>3} min  {}", exercise.name, about.kind, about.minutes, about.title);
    }
    say!("{}", screen::bar(all, &state));
    Ok(ExitCode::SUCCESS)
}

/// `reset NAME`: the starter again; what was there is kept.
///
/// # Errors
/// No such exercise; as [`State::reset`].
pub fn reset(all: &[Exercise], name: &str) -> Result<ExitCode> {
    let exercise = find(all, name)?;
    say!("{}", reset_one(exercise, &mut State::load()?)?);
    Ok(ExitCode::SUCCESS)
}

/// Resets; says what became of the learner's file.
pub(super) fn reset_one(exercise: &Exercise, state: &mut State) -> Result<String> {
    let kept = state.reset(exercise)?;
    let kept = kept.map(|path| format!("; yours is kept in {}", path.strip_prefix(root()).unwrap_or(&path).display()));
    Ok(format!("{} is the starter again{}", exercise.path().display(), kept.unwrap_or_default()))
}

/// `verify`: checks all; exit code 1 if any is not solved.
///
/// # Errors
/// The chapters' code does not build.
pub fn verify(all: &[Exercise]) -> Result<ExitCode> {
    let (mut state, mut known) = (State::load()?, Known::new());
    let mut open = 0;
    for exercise in all {
        let attempt = attempt(exercise, &mut state, &mut known)?;
        let mark = match &attempt {
            super::Attempt::Stopped => "stopped".yellow().to_string(),
            super::Attempt::Skipped(reason) => format!("{} ({reason})", "skipped".yellow()),
            attempt if attempt.passed() => "solved".green().to_string(),
            super::Attempt::DoesNotCompile(_) => "does not compile".red().to_string(),
            super::Attempt::Checked { found, .. } => {
                let passed = found.iter().filter(|found| found.verdict.is_ok()).count();
                format!("{} {passed} of {} checks pass", "not yet".red(), found.len())
            }
        };
        open += usize::from(!attempt.passed());
        say!("{:<20} {mark}", exercise.name);
    }
    say!("{}", screen::bar(all, &state));
    Ok(if open == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `solution NAME`: ours, once the learner has one.
///
/// # Errors
/// No such exercise, or it is not solved yet.
pub fn solution(all: &[Exercise], name: &str, anyway: bool) -> Result<ExitCode> {
    let exercise = find(all, name)?;
    if !anyway && !State::load()?.is_solved(exercise) {
        return Err(Error::invalid(format!("{} is not solved yet", exercise.name)).help(format!(
            "`hint {}` helps on; `solution {} --anyway` shows it all the same",
            exercise.name, exercise.name
        )));
    }
    say!("{}", exercise.source.render(&Variant::Solution).trim_end());
    Ok(ExitCode::SUCCESS)
}
