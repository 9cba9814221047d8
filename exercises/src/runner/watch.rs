//! `cargo run -p exercises`: the next exercise, checked on every save, until all are solved.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use colored::Colorize;
use process::{OrCall, Result};

use super::attempt::{Attempt, Known, attempt};
use super::keys::{Came, Files, wait};
use super::{command, screen};
use crate::lab::{STOP, stop_on_signals};
use crate::{Exercise, State};

/// How often the file is looked at while it is checked.
const GLANCE: Duration = Duration::from_millis(30);

const KEYS: &str = "n next   h hint   l list   r run again   x reset   q quit";

/// Watches until the learner leaves.
///
/// # Errors
/// The chapters' own code does not build; the state cannot be written.
pub fn watch(all: &[Exercise]) -> Result<ExitCode> {
    crate::lab::sweep();
    stop_on_signals().or_call("sigaction", "SIGINT")?;
    let mut state = State::load()?;
    let mut files = Files::look(all);
    let mut known = Known::new();
    let first = command::next(all, &state);
    let Some(mut current) = first.and_then(|first| all.iter().position(|exercise| exercise.name == first.name)) else {
        say!("{}\nAll are solved. `list` shows them, `reset NAME` begins one anew.", screen::bar(all, &state));
        return Ok(ExitCode::SUCCESS);
    };
    if !all.iter().any(|exercise| state.is_solved(exercise)) {
        say!("{}", screen::WELCOME);
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
                say!("{}", KEYS.dimmed());
            }
            Came::Key('l') => {
                command::list(all, Some(&all[current].name))?;
                say!("{}", KEYS.dimmed());
            }
            Came::Key('x') => say!("{}", command::reset_one(&all[current], &mut state)?),
            Came::Key(_) => say!("{}", KEYS.dimmed()),
        }
    }
    say!("{}\nUntil next time: `cargo run -p exercises` goes on from here.", screen::bar(all, &state));
    Ok(ExitCode::SUCCESS)
}

/// The next one that is not solved, else the next.
fn following(all: &[Exercise], current: usize, state: &State) -> usize {
    let round = (1..=all.len()).map(|step| (current + step) % all.len());
    round.clone().find(|&number| !state.is_solved(&all[number])).unwrap_or((current + 1) % all.len())
}

fn look(all: &[Exercise], current: usize, state: &mut State, known: &mut Known) -> Result<()> {
    let exercise = &all[current];
    say!("{}", screen::heading(exercise));
    let waiting = std::io::stdout().is_terminal();
    if waiting {
        print!("checking…\r");
        let _ = std::io::stdout().flush();
    }
    let attempt = attempt_of_now(all, current, state, known)?;
    if waiting {
        print!("         \r");
    }
    say!("{}", screen::outcome(exercise, &attempt, state));
    say!("{}\n{}", screen::bar(all, state), KEYS.dimmed());
    Ok(())
}

/// Looks; what is saved meanwhile makes the answer worthless, and it is begun anew.
fn attempt_of_now(all: &[Exercise], current: usize, state: &mut State, known: &mut Known) -> Result<Attempt> {
    loop {
        let before = Files::look(all);
        let (done, saved) = (AtomicBool::new(false), AtomicBool::new(false));
        let attempt = thread::scope(|scope| {
            scope.spawn(|| stop_if_saved(&all[current], (&before, current), &done, &saved));
            let attempt = attempt(&all[current], state, known);
            done.store(true, Ordering::Relaxed);
            attempt
        })?;
        if !saved.load(Ordering::Relaxed) {
            return Ok(attempt); // or Ctrl-C: `wait` sees to that
        }
        STOP.store(false, Ordering::Relaxed);
    }
}

/// Ends all rooms once the file is another, until it is told that it is done.
fn stop_if_saved(exercise: &Exercise, (before, number): (&Files, usize), done: &AtomicBool, saved: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        if before.is_older(exercise, number) {
            saved.store(true, Ordering::Relaxed);
            STOP.store(true, Ordering::Relaxed);
            return;
        }
        thread::sleep(GLANCE);
    }
}

/// A fresh screen, on a terminal; what was there can be scrolled back to.
fn clear() {
    if std::io::stdout().is_terminal() {
        print!("\x1b[2J\x1b[H");
    }
}
