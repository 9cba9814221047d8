//! What the terminal shows: a table of the class, or all about one submission.

use std::fmt::Write;

use colored::Colorize;

use super::outcome::{Class, ExerciseOutcome, Status, SubmissionOutcome};
use super::text::{clean, first_line};

/// All that is told at the end.
pub fn render(class: &Class) -> String {
    let mut text = match class.submissions.as_slice() {
        [one] => single(one),
        many => table(many),
    };
    skips(&mut text, class);
    text
}

fn single(one: &SubmissionOutcome) -> String {
    let mut text = String::new();
    for exercise in &one.exercises {
        let points = format!("{}/{}", exercise.points, exercise.possible);
        let _ = writeln!(text, "{:20} {points:>7}  {}", exercise.name, summary(exercise));
        if !exercise.message.is_empty() {
            let _ = writeln!(text, "    {}", indented(&exercise.message));
            continue;
        }
        for check in exercise.checks.iter().filter(|check| !check.message.is_empty()) {
            let _ = writeln!(text, "    {}: {}", clean(&check.name).bold(), indented(&check.message));
        }
    }
    text + &line(one)
}

fn table(many: &[SubmissionOutcome]) -> String {
    many.iter().map(line).collect()
}

fn line(one: &SubmissionOutcome) -> String {
    let name = clean(&one.name);
    if let Some(error) = &one.error {
        return format!("{name:24} {} {}\n", "not graded:".red(), indented(&clean(error)));
    }
    let solved = one.exercises.iter().filter(|exercise| exercise.is_solved()).count();
    let count = |status| one.exercises.iter().filter(|exercise| exercise.has(status)).count();
    let mut text =
        format!("{name:24} {:>4} of {} points, {solved} of {} solved", one.points, one.possible, one.exercises.len());
    if count(Status::Skipped) > 0 {
        let _ = write!(text, ", {} skipped", count(Status::Skipped));
    }
    if count(Status::Error) > 0 {
        let _ = write!(text, ", {}", format!("{} could not be checked", count(Status::Error)).red());
    }
    text + "\n"
}

fn summary(exercise: &ExerciseOutcome) -> String {
    if exercise.has(Status::Error) {
        "could not be checked".red().to_string()
    } else if exercise.has(Status::Skipped) {
        "skipped".yellow().to_string()
    } else if exercise.is_solved() {
        "solved".green().to_string()
    } else {
        format!("{} of {} checks", exercise.count(Status::Passed), exercise.checks.len())
    }
}

/// No silent skip: which, and why.
fn skips(text: &mut String, class: &Class) {
    let graded: Vec<_> = class.submissions.iter().filter(|one| one.error.is_none()).collect();
    let Some(first) = graded.first() else { return };
    for exercise in first.exercises.iter().filter(|exercise| exercise.has(Status::Skipped)) {
        let _ = writeln!(text, "skipped for all: {}: {}", exercise.name, first_line(&exercise.message));
    }
    for (one, exercise) in graded.iter().flat_map(|one| one.exercises.iter().map(move |exercise| (one, exercise))) {
        for check in exercise.checks.iter().filter(|check| check.status == Status::Error) {
            let (who, what) = (clean(&one.name), &exercise.name);
            let _ = writeln!(text, "{} {who}: {what}: {}", "error:".red(), first_line(&check.message));
        }
    }
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}
