//! One look at one exercise: compile, run the checks, remember.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::Ordering;

use process::{OrCall, Result};

use crate::catalog::Kind;
use crate::compile::{Libraries, target_dir};
use crate::judge::{self, Found, Place};
use crate::lab::STOP;
use crate::source::Variant;
use crate::{Exercise, State};

/// What came of it.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// The compiler's words.
    DoesNotCompile(String),
    /// What the checks found.
    Checked {
        /// One for each.
        found: Vec<Found>,
        /// Nothing was changed yet.
        untouched: bool,
        /// These answers were recorded just now, before anything was revealed.
        recorded: bool,
    },
    /// This machine lacks something.
    Skipped(String),
    /// It was ended before it found anything: nothing is remembered of it.
    Stopped,
}

impl Attempt {
    /// Is the exercise solved?
    pub fn passed(&self) -> bool {
        matches!(self, Self::Checked { found, .. } if judge::passed(found))
    }
}

fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// The libraries of the chapters, as cargo said where they are.
pub type Known = BTreeMap<String, Libraries>;

/// Compiles the learner's file as it is now and checks it. `known` spares asking cargo every time.
///
/// # Errors
/// The chapters' own code does not build; the file or the state cannot be read.
pub fn attempt(exercise: &Exercise, state: &mut State, known: &mut Known) -> Result<Attempt> {
    let place = judge::place(exercise);
    if let Place::Nowhere(reason) = place {
        return Ok(Attempt::Skipped(reason));
    }
    if !known.contains_key(&exercise.chapter) {
        known.insert(exercise.chapter.clone(), Libraries::build(exercise)?);
    }
    let file = exercise.file();
    let text = fs::read_to_string(&file).or_call("read", exercise.path().display());
    let text = text.map_err(|error| error.help(format!("cargo run -p exercises -- reset {}", exercise.name)))?;
    let programs = target_dir()?.join("exercises");
    fs::create_dir_all(&programs).or_call("mkdir", programs.display())?;
    let program = programs.join(&exercise.name);
    if let Err(said) = known[&exercise.chapter].compile(&file, &program)? {
        if stopped() {
            return Ok(Attempt::Stopped);
        }
        state.set_solved(exercise, false)?;
        return Ok(Attempt::DoesNotCompile(said));
    }
    if stopped() {
        return Ok(Attempt::Stopped);
    }
    let recorded = exercise.about.kind == Kind::Predict && record(exercise, state, &program)?;
    let tool = judge::tool()?;
    let found = match place {
        Place::Machine => judge::in_machine(exercise, &tool, &program)?,
        _ => judge::here(exercise, &tool, &program),
    };
    if stopped() {
        return Ok(Attempt::Stopped);
    }
    state.set_solved(exercise, judge::passed(&found))?;
    let untouched = text == exercise.source.render(&Variant::Starter);
    Ok(Attempt::Checked { found, untouched, recorded })
}

/// A prediction's answers are kept before the check shows what the kernel does; open questions are no answers.
fn record(exercise: &Exercise, state: &mut State, program: &std::path::Path) -> Result<bool> {
    match judge::answers(&judge::tool()?, program) {
        Ok(answers) if answers.open.is_empty() && !answers.text.is_empty() => state.record(exercise, &answers.text),
        _ => Ok(false),
    }
}
