//! What the learner sees.

use colored::Colorize;

use crate::judge::{Found, trouble};
use crate::runner::{Attempt, State};
use crate::{Exercise, Failure};

/// Before the very first exercise.
pub const WELCOME: &str = "\
Welcome. Each exercise is a small program that does not yet do what it should: red is where one starts.
Open the file named below in your editor, change it, save; it is checked at once, from outside, as the kernel sees it.
";

/// `Progress: [#####>-----------] 3/40`
pub fn bar(exercises: &[Exercise], state: &State) -> String {
    const WIDTH: usize = 40;
    let done = exercises.iter().filter(|exercise| state.is_solved(exercise)).count();
    let full = WIDTH * done / exercises.len().max(1);
    let tip = if full < WIDTH { ">" } else { "" };
    let rest = "-".repeat(WIDTH - full - tip.len());
    format!("Progress: [{}{}{}] {done}/{}", "#".repeat(full).green(), tip.green(), rest, exercises.len())
}

/// What it is about, where it is, what to read.
pub fn heading(exercise: &Exercise) -> String {
    let about = &exercise.about;
    let chapter = exercise.chapter.replacen('-', " ", 1);
    format!(
        "{}  {} (chapter {}, {}, about {} minutes)\n  file: {}\n  read: book/pages/{}\n",
        exercise.name.bold(),
        about.title,
        chapter.trim_start_matches('0'),
        about.kind,
        about.minutes,
        exercise.path().display().to_string().cyan(),
        about.page
    )
}

/// What came of an attempt.
pub fn outcome(exercise: &Exercise, attempt: &Attempt, state: &State) -> String {
    match attempt {
        Attempt::DoesNotCompile(said) => format!("{}\n{}", said.trim_end(), "It does not compile yet.".red()),
        Attempt::Stopped => "stopped".yellow().to_string(),
        Attempt::Skipped(reason) => {
            format!("{} {reason}\n  it cannot be checked here; `n` goes on", "skipped:".yellow())
        }
        Attempt::Checked { found, untouched, recorded } => {
            let mut text = String::new();
            if *recorded {
                text += "Your prediction is recorded. Now the experiment:\n";
            }
            text += &lines(found);
            if trouble(found).is_some() {
                text += "  `doctor` says what this machine lacks\n";
            } else if attempt.passed() {
                text += &solved(exercise, state);
            } else if *untouched {
                text += &format!("\nThis is the starter: open {} and begin.\n", exercise.path().display());
            }
            text
        }
    }
}

/// All lines; what several checks say in the same words is said once.
fn lines(found: &[Found]) -> String {
    let words = |found: &Found| found.verdict.as_ref().err().map(ToString::to_string);
    let mut text = String::new();
    for (number, one) in found.iter().enumerate() {
        let before = found[..number].iter().find(|other| words(one).is_some() && words(other) == words(one));
        let line = line(one);
        match before {
            None => text += &line,
            Some(before) => text += &format!("{} (as {:?})\n", line.lines().next().unwrap_or_default(), before.check),
        }
    }
    text
}

/// A line for each check, and its words if it does not pass.
pub fn line(found: &Found) -> String {
    let mark = match &found.verdict {
        Ok(()) => "ok    ".green(),
        Err(Failure::Wrong { .. }) => "not yet".red(),
        Err(Failure::Machine(_)) => "no way".yellow(),
    };
    let words =
        found.verdict.as_ref().err().map(|failure| format!("\n    {}", failure.to_string().replace('\n', "\n    ")));
    format!("{mark} {}{}\n", found.check, words.unwrap_or_default())
}

fn solved(exercise: &Exercise, state: &State) -> String {
    let mut text = format!("\n{}\n", "Solved.".green().bold());
    if let Some(reveal) = &exercise.about.reveal {
        if let Some(first) = state.predicted(exercise) {
            text += &format!("You predicted first:\n  {}\n", first.replace('\n', "\n  "));
        }
        text += &format!("{}\n", reveal.trim_end());
    }
    text + &format!("Compare with ours: cargo run -p exercises -- solution {}\n", exercise.name)
}
