//! What became of the cells: on the terminal as it happens, and as JUnit for those who collect.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use colored::Colorize;
use process::OrCall;

use crate::cell::Cell;
use crate::{Page, Result, escape};

/// How a cell went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As recorded.
    Passed,
    /// It said something else, and that is recorded now.
    Recorded,
    /// Not run, and why.
    Skipped(String),
    /// Not as recorded, and how.
    Failed(String),
}

/// All cells of a run.
#[derive(Debug, Default)]
pub struct Report {
    cells: Vec<(String, String, Outcome, Duration)>,
}

impl Report {
    /// Adds a cell, and prints a line of it.
    pub fn add(&mut self, page: &Page, cell: &Cell, outcome: Outcome, took: Duration) {
        let name = format!("{}:{} {}", page.shown, cell.line, cell.name);
        let seconds = took.as_secs_f64();
        match &outcome {
            Outcome::Passed => println!("{} {name} ({seconds:.1} s)", "ok     ".green()),
            Outcome::Recorded => println!("{} {name} ({seconds:.1} s)", "new    ".cyan()),
            Outcome::Skipped(reason) => println!("{} {name}: {reason}", "skipped".yellow()),
            Outcome::Failed(how) => println!("{} {name}\n{how}", "failed ".red()),
        }
        self.cells.push((page.name(), cell.name.clone(), outcome, took));
    }

    /// How many were run.
    pub fn ran(&self) -> usize {
        self.cells.iter().filter(|cell| !matches!(cell.2, Outcome::Skipped(_))).count()
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.cells.iter().filter(|cell| matches!(cell.2, Outcome::Failed(_))).count()
    }

    /// The closing line.
    pub fn summary(&self) -> String {
        let (failed, skipped) = (self.failed(), self.cells.len() - self.ran());
        format!("{} passed, {failed} failed, {skipped} skipped", self.ran() - failed)
    }

    /// Writes it as JUnit's XML.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn junit(&self, file: &Path) -> Result<()> {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let (all, failed, skipped) = (self.cells.len(), self.failed(), self.cells.len() - self.ran());
        let _ = writeln!(xml, "<testsuite name=\"book\" tests=\"{all}\" failures=\"{failed}\" skipped=\"{skipped}\">");
        for (page, name, outcome, took) in &self.cells {
            let seconds = took.as_secs_f64();
            let _ = write!(xml, "  <testcase classname=\"{page}\" name=\"{name}\" time=\"{seconds:.3}\">");
            let _ = match outcome {
                Outcome::Passed | Outcome::Recorded => Ok(()),
                Outcome::Skipped(reason) => write!(xml, "<skipped message=\"{}\"/>", attribute(reason)),
                Outcome::Failed(how) => write!(xml, "<failure message=\"{}\"/>", attribute(how)),
            };
            xml += "</testcase>\n";
        }
        xml += "</testsuite>\n";
        std::fs::write(file, xml).or_call("write", file.display())
    }
}

/// Text as XML takes it in an attribute: control characters are none (XML 1.0, 2.2).
fn attribute(text: &str) -> String {
    let allowed = |one: &char| !one.is_control() || matches!(one, '\n' | '\t');
    escape(&text.chars().filter(allowed).collect::<String>())
}
