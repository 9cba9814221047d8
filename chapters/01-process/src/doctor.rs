//! What this machine can and cannot do. Each chapter checks what it needs; `doctor` prints them all.

use colored::Colorize;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::ForkResult;

use crate::{Result, sys};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It works here.
    Works,
    /// Something else serves in its place, or only a part is missing.
    Limited,
    /// It does not work here.
    Missing,
}

/// One thing that a chapter needs, and whether it is there.
#[derive(Debug, Clone)]
pub struct Check {
    /// The chapter that needs it.
    pub chapter: u8,
    /// What is needed, for example `user namespaces`.
    pub what: &'static str,
    /// Is it there?
    pub status: Status,
    /// What was found, in a few words.
    pub found: String,
    /// The command that mends it, or what serves instead.
    pub mend: Option<String>,
}

impl Check {
    /// A check of `chapter` that came out well.
    pub fn works(chapter: u8, what: &'static str, found: impl Into<String>) -> Self {
        Self { chapter, what, status: Status::Works, found: found.into(), mend: None }
    }

    /// A check that found a part missing; `mend` is the command that helps.
    pub fn limited(chapter: u8, what: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { chapter, what, status: Status::Limited, found: found.into(), mend: Some(mend.into()) }
    }

    /// A check that failed; `mend` is the command that helps.
    pub fn missing(chapter: u8, what: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { chapter, what, status: Status::Missing, found: found.into(), mend: Some(mend.into()) }
    }
}

/// Does `act` in a child of its own, so that what it makes ends with it. Did it succeed?
pub fn in_child(act: impl FnOnce() -> Result<()>) -> bool {
    match sys::fork() {
        Ok(ForkResult::Child) => sys::exit_now(i32::from(act().is_err())),
        Ok(ForkResult::Parent { child }) => matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0))),
        Err(_) => false,
    }
}

/// Prints the checks as a list that a person reads.
pub fn print(checks: &[Check]) {
    for check in checks {
        let mark = match check.status {
            Status::Works => "works  ".green(),
            Status::Limited => "limited".yellow(),
            Status::Missing => "missing".red(),
        };
        println!("{mark} {:<28} {} (chapter {})", check.what, check.found, check.chapter);
        if let Some(mend) = &check.mend {
            println!("        {} {mend}", "mend:".green());
        }
    }
}
