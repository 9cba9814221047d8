//! JUnit's XML, which every CI shows: a suite for each submission, a case for each check.

use std::fmt::Write;

use super::outcome::{CheckOutcome, Class, ExerciseOutcome, Status, SubmissionOutcome};
use super::text::{clean, first_line};

/// The whole document.
pub fn render(class: &Class) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"exercises\">\n");
    for submission in &class.submissions {
        suite(&mut xml, submission);
    }
    xml + "</testsuites>\n"
}

fn suite(xml: &mut String, submission: &SubmissionOutcome) {
    let count = |status| submission.exercises.iter().map(|one| one.count(status)).sum::<usize>();
    let missing = usize::from(submission.error.is_some());
    let tests: usize = submission.exercises.iter().map(|one| one.checks.len()).sum();
    let seconds: f64 = submission.exercises.iter().map(|one| one.seconds).sum();
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">",
        escaped(&submission.name),
        tests + missing,
        count(Status::Failed),
        count(Status::Error) + missing,
        count(Status::Skipped),
    );
    let _ = writeln!(
        xml,
        "    <properties><property name=\"points\" value=\"{}\"/><property name=\"possible\" value=\"{}\"/></properties>",
        submission.points, submission.possible
    );
    if let Some(error) = &submission.error {
        let _ = writeln!(
            xml,
            "    <testcase classname=\"submission\" name=\"is there\">{}</testcase>",
            told("error", error)
        );
    }
    for exercise in &submission.exercises {
        exercise.checks.iter().for_each(|check| case(xml, exercise, check));
    }
    xml.push_str("  </testsuite>\n");
}

fn case(xml: &mut String, exercise: &ExerciseOutcome, check: &CheckOutcome) {
    let body = match check.status {
        Status::Passed => String::new(),
        Status::Failed => told("failure", &check.message),
        Status::Error => told("error", &check.message),
        Status::Skipped => format!("<skipped message=\"{}\"/>", escaped(first_line(&check.message))),
    };
    let _ = writeln!(
        xml,
        "    <testcase classname=\"{}.{}\" name=\"{} ({} of {} points)\" time=\"{:.3}\">{body}</testcase>",
        escaped(&exercise.chapter),
        escaped(&exercise.name),
        escaped(&check.name),
        check.points,
        check.possible,
        check.seconds,
    );
}

fn told(element: &str, message: &str) -> String {
    format!("<{element} message=\"{}\">{}</{element}>", escaped(first_line(message)), escaped(message))
}

fn escaped(text: &str) -> String {
    let replace = |char| match char {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&apos;".to_owned(),
        char => char.to_string(),
    };
    clean(text).chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        assert_eq!(
            told("error", "a<b>&\"'\u{1}\nc"),
            "<error message=\"a&lt;b&gt;&amp;&quot;&apos;\">a&lt;b&gt;&amp;&quot;&apos;\nc</error>"
        );
    }
}
