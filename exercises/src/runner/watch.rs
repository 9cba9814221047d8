//! `cargo run -p exercises`: the next exercise, checked on every save, until all are solved.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use colored::Colorize;
use process::Result;

use super::attempt::{Known, attempt};
use super::keys::{Came, Files, wait};
use super::{command, screen};
use crate::{Exercise, State};

const KEYS: &str = "n next   h hint   l list   r run again   x reset   q quit";

/// Watches until the learner leaves.
///
/// # Errors
/// The chapters' own code does not build; the state cannot be written.
pub fn watch(all: &[Exercise]) -> Result<ExitCode> {
    crate::lab::sweep();
    let mut state = State::load()?;
    let mut files = Files::look(all);
    let mut known = Known::new();
    let first = command::next(all, &state);
    let Some(mut current) = first.and_then(|first| all.iter().position(|exercise| exercise.name == first.name)) else {
        println!("{}\nAll are solved. `list` shows them, `reset NAME` begins one anew.", screen::bar(all, &state));
        return Ok(ExitCode::SUCCESS);
    };
    if !all.iter().any(|exercise| state.is_solved(exercise)) {
        println!("{}", screen::WELCOME);
    }
    look(all, current, &mut state, &mut known)?;
    loop {
        match wait(all, &mut files)? {
            Came::End | Came::Key('q') => break,
            Came::Saved(number) => {
                current = number;
                clear();
                look(all, current, &mut state, &mut known)?;
            }
            Came::Key('n') => {
                current = following(all, current, &state);
                clear();
                look(all, current, &mut state, &mut known)?;
            }
            Came::Key('r') => look(all, current, &mut state, &mut known)?,
            Came::Key('h') => {
                command::hint(all, Some(&all[current].name))?;
                state = State::load()?;
            }
            Came::Key('l') => drop(command::list(all)?),
            Came::Key('x') => println!("{}", command::reset_one(&all[current], &mut state)?),
            Came::Key(_) => println!("{}", KEYS.dimmed()),
        }
    }
    println!("{}\nUntil next time: `cargo run -p exercises` goes on from here.", screen::bar(all, &state));
    Ok(ExitCode::SUCCESS)
}

/// The next one that is not solved, else the next.
fn following(all: &[Exercise], current: usize, state: &State) -> usize {
    let round = (1..=all.len()).map(|step| (current + step) % all.len());
    round.clone().find(|&number| !state.is_solved(&all[number])).unwrap_or((current + 1) % all.len())
}

fn look(all: &[Exercise], current: usize, state: &mut State, known: &mut Known) -> Result<()> {
    let exercise = &all[current];
    println!("{}", screen::heading(exercise));
    let attempt = attempt(exercise, state, known)?;
    println!("{}", screen::outcome(exercise, &attempt, state));
    println!("{}\n{}", screen::bar(all, state), KEYS.dimmed());
    let _ = std::io::stdout().flush();
    Ok(())
}

/// A fresh screen, on a terminal; what was there can be scrolled back to.
fn clear() {
    if std::io::stdout().is_terminal() {
        print!("\x1b[2J\x1b[H");
    }
}
