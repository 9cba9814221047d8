//! A check, and what it finds.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::lab::Lab;

/// One thing that is looked at, from outside, as the kernel shows it.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// What holds if it passes, in a few words.
    pub name: &'static str,
    /// What it is worth.
    pub points: u32,
    /// It is worth something only beside this other check of the exercise: what forbids something is met by a program
    /// that does nothing at all.
    pub beside: Option<&'static str>,
    /// Looks.
    pub run: fn(&Lab) -> Verdict,
}

impl Check {
    /// A check worth one point.
    pub const fn new(name: &'static str, run: fn(&Lab) -> Verdict) -> Self {
        Self { name, points: 1, beside: None, run }
    }

    /// The same, worth something only if the check of this name passes too.
    #[must_use]
    pub const fn beside(mut self, other: &'static str) -> Self {
        self.beside = Some(other);
        self
    }

    /// The same, worth more.
    #[must_use]
    pub const fn points(mut self, points: u32) -> Self {
        self.points = points;
        self
    }
}

/// What a check finds.
pub type Verdict = Result<(), Failure>;

/// Why a check does not pass.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Failure {
    /// The learner's program does something else than it should.
    Wrong {
        /// What was looked at.
        what: String,
        /// What should be there.
        expected: String,
        /// What is.
        seen: String,
        /// What that may mean, or what to look for.
        note: Option<String>,
    },
    /// The machine cannot look: this is nobody's fault, and nobody's point.
    Machine(String),
}

impl Failure {
    /// Something else was seen than expected.
    pub fn wrong(what: impl Display, expected: impl Display, seen: impl Display) -> Self {
        let text = |words: &dyn Display| words.to_string();
        Self::Wrong { what: text(&what), expected: text(&expected), seen: text(&seen), note: None }
    }

    /// The same, with what it may mean.
    #[must_use]
    pub fn note(self, words: impl Display) -> Self {
        match self {
            Self::Wrong { what, expected, seen, .. } => {
                Self::Wrong { what, expected, seen, note: Some(words.to_string()) }
            }
            machine @ Self::Machine(_) => machine,
        }
    }

    /// The same, with one more line about what it may mean.
    #[must_use]
    pub fn and_note(self, words: impl Display) -> Self {
        match &self {
            Self::Wrong { note: Some(note), .. } => {
                let both = format!("{note}\n{words}");
                self.note(both)
            }
            _ => self.note(words),
        }
    }
}

/// Passes if both are the same.
///
/// # Errors
/// A failure that shows both.
pub fn same<T: Display, U: Display + PartialEq<T>>(what: &str, expected: T, seen: U) -> Verdict {
    if seen == expected { Ok(()) } else { Err(Failure::wrong(what, expected, seen)) }
}

/// Passes if the condition holds.
///
/// # Errors
/// A failure with these words.
pub fn that(holds: bool, what: &str, expected: impl Display, seen: impl Display) -> Verdict {
    if holds { Ok(()) } else { Err(Failure::wrong(what, expected, seen)) }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(why) => write!(f, "this machine cannot check it: {why}"),
            Self::Wrong { what, expected, seen, note } => {
                write!(f, "{what}\n  expected: {}\n  seen:     {}", indented(expected), indented(seen))?;
                note.as_ref().map_or(Ok(()), |note| write!(f, "\n  {}", note.replace('\n', "\n  ")))
            }
        }
    }
}

/// Further lines stand below the first one.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n            ")
}
