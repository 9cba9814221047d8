//! Chapter 1: a process.

mod drop_root;
mod exit_code;
mod leaks;
mod moments;
mod reaper;

use crate::Failure;
use crate::check::Check;
use crate::lab::{Process, Running};

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "drop_root" => &drop_root::CHECKS,
        "exit_code" => &exit_code::CHECKS,
        "leaks" => &leaks::CHECKS,
        "moments" => &moments::CHECKS,
        "reaper" => &reaper::CHECKS,
        _ => return None,
    })
}

/// A shell's script that says its first argument, and waits for a line.
const WAITS: &str = "echo \"$0\"; read line";

/// The process that runs [`WAITS`]: it has said its word, so all that happens before is over.
fn waiting(running: &mut Running, word: &str) -> Result<Process, Failure> {
    running.wait_for("the program's first line", |running| running.stdout().contains(word).then_some(()))?;
    running.process_with(word)
}
