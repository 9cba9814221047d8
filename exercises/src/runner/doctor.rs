//! `doctor`: what this machine needs for the exercises, and the command that mends it.

use std::process::ExitCode;

use process::Result;
use process::doctor::{Check, Status, print};

use crate::judge::{self, Place};
use crate::{Exercise, Lab};

/// Prints it; exit code 1 if something is missing without which no exercise can be checked.
///
/// # Errors
/// None but those of printing.
pub fn doctor(all: &[Exercise]) -> Result<ExitCode> {
    let mut checks = vec![compiler(), room()?];
    checks.extend(namespaces::doctor());
    process::cli::end_with_reader()?; // no room is made any more
    print(&checks);
    for exercise in all {
        match judge::place(exercise) {
            Place::Here => {}
            Place::Machine => {
                say!("{}: is checked in a virtual machine, since control groups (v2) are not ours here", exercise.name)
            }
            Place::Nowhere(reason) => say!("{}: {reason}", exercise.name),
        }
    }
    let fatal = checks[..2].iter().any(|check| check.status == Status::Missing);
    Ok(if fatal { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn compiler() -> Check {
    let version = std::process::Command::new("rustc").arg("--version").output();
    match version {
        Ok(output) if output.status.success() => {
            Check::works(0, "the compiler", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => Check::missing(0, "the compiler", "rustc does not run", "install Rust, 1.88 or newer: rustup"),
    }
}

/// A room is made, and true(1) is run in it.
fn room() -> Result<Check> {
    let lab = Lab::new(&judge::tool()?, "/bin/true".as_ref());
    let done = lab.and_then(|lab| lab.run(&[]));
    Ok(match done {
        Ok(done) if done.code == 0 => Check::works(3, "a room to check in", "namespaces of one's own"),
        Ok(done) => Check::missing(3, "a room to check in", done.stderr.trim(), "see `step04 doctor`"),
        Err(failure) => Check::missing(3, "a room to check in", failure.to_string(), "see `step04 doctor`"),
    })
}
