//! A line for each submission, a column for each exercise: what a spreadsheet takes (RFC 4180).

use super::outcome::{Class, ExerciseOutcome, Status};
use crate::Exercise;

/// The whole table.
pub fn render(class: &Class, chosen: &[&Exercise]) -> String {
    let names = chosen.iter().map(|exercise| exercise.name.clone());
    let head = ["submission".to_owned()].into_iter().chain(names);
    let mut table = line(head.chain(["total", "possible", "remarks"].map(str::to_owned)));
    for submission in &class.submissions {
        let of = |name: &str| submission.exercises.iter().find(|exercise| exercise.name == name);
        let points = chosen.iter().map(|exercise| of(&exercise.name).map(cell).unwrap_or_default());
        let total = if submission.error.is_some() { String::new() } else { submission.points.to_string() };
        let remarks = submission
            .error
            .as_ref()
            .map(|error| error.replace('\n', " "))
            .unwrap_or_else(|| remarks(&submission.exercises));
        let rest = [total, submission.possible.to_string(), remarks];
        table += &line([submission.name.clone()].into_iter().chain(points).chain(rest));
    }
    table
}

/// Points, or why there are none to give.
fn cell(exercise: &ExerciseOutcome) -> String {
    if exercise.has(Status::Error) {
        "error".into()
    } else if exercise.has(Status::Skipped) {
        "skipped".into()
    } else {
        exercise.points.to_string()
    }
}

/// Not worth a remark.
const NOT_BEGUN: [&str; 2] = [super::examine::HANDED_OUT, super::submission::MISSING];

fn remarks(exercises: &[ExerciseOutcome]) -> String {
    let count = |status| exercises.iter().filter(|exercise| exercise.has(status)).count();
    let told = [(count(Status::Skipped), "skipped"), (count(Status::Error), "could not be checked")];
    let told = told.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    // What holds for a whole exercise: it does not compile, its file was refused.
    let of_files = exercises.iter().filter(|exercise| exercise.has(Status::Failed) && !exercise.message.is_empty());
    let begun = of_files.filter(|exercise| NOT_BEGUN.iter().all(|words| !exercise.message.contains(words)));
    let of_files = begun.map(|exercise| {
        let words = exercise.message.lines().next().unwrap_or_default();
        if words.contains(&exercise.name) { words.to_owned() } else { format!("{}: {words}", exercise.name) }
    });
    told.chain(of_files).collect::<Vec<_>>().join("; ")
}

fn line(fields: impl Iterator<Item = String>) -> String {
    fields.map(|field| quoted(&field)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A field that a spreadsheet would take for a formula is made text.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    let special = formula || field.contains([',', '"', '\n', '\r', ';', '\t']) || field != field.trim();
    if special { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_formulas() {
        assert_eq!(quoted("anna"), "anna");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("@x,\"y\""), "\"'@x,\"\"y\"\"\"");
        assert_eq!(quoted("a\nb"), "\"a\nb\"");
    }
}
