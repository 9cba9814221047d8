//! How a test inside the virtual machine tells its end to the runner outside: a line on standard output, at once.

use std::fmt;

/// What happened to a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The test's name.
    pub name: String,
    /// What happened.
    pub event: Event,
}

/// The ends of a test, and its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It starts; what follows is its output.
    Begin,
    /// It passed.
    Passed,
    /// It could not run, for this reason.
    Skipped(String),
    /// It failed, with this message.
    Failed(String),
}

const MARK: &str = "@cooper-test ";

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, message) = match &self.event {
            Event::Begin => ("begin", ""),
            Event::Passed => ("passed", ""),
            Event::Skipped(reason) => ("skipped", reason.as_str()),
            Event::Failed(message) => ("failed", message.as_str()),
        };
        let message = message.replace('\\', "\\\\").replace('\n', "\\n");
        write!(out, "{MARK}{word}\t{}\t{message}", self.name)
    }
}

impl Report {
    /// The report in a line of output, if it is one.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim_end_matches(['\r', '\n']).strip_prefix(MARK)?.splitn(3, '\t');
        let (word, name) = (fields.next()?, fields.next()?.to_owned());
        let message = unescape(fields.next()?);
        let event = match word {
            "begin" => Event::Begin,
            "passed" => Event::Passed,
            "skipped" => Event::Skipped(message),
            "failed" => Event::Failed(message),
            _ => return None,
        };
        Some(Self { name, event })
    }
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next() == Some('n') => plain.push('\n'),
            other => plain.push(other), // of an escaped backslash the first: the second has been taken
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_the_line() {
        for event in
            [Event::Begin, Event::Passed, Event::Skipped("no nft".into()), Event::Failed("a\n\\n\\b\tc".into())]
        {
            let report = Report { name: "a test's name".into(), event };
            assert_eq!(Report::parse(&format!("{report}\n")), Some(report));
        }
        assert_eq!(Report::parse("test result: ok"), None);
    }
}
