//! Running cells: a sandbox with a shell for each page, and what to make of the output.
//!
//! ```text
//! book check ── Session ──▶ book __sandbox ──▶ book __keeper ──▶ book __reader = bash
//!                            (makes namespaces)  (pid 1: mounts,    (the reader's shell:
//!                                                 limits, output)    one per page and lane)
//! ```
//! In the virtual machine, `book __guest` takes the place of the first arrow.

pub mod bless;
mod cgroup;
pub mod check;
mod compare;
mod guest;
mod ids;
mod keeper;
mod lane;
mod mounts;
mod programs;
mod protocol;
mod reader;
mod record;
mod redact;
pub mod report;
mod sandbox;
pub mod session;
mod warden;

pub use check::judge;
pub use compare::{difference, marked, matches};
pub use lane::{Lane, Place, lacking};
pub use programs::{build as build_programs, target_dir};
pub use protocol::{Event, Request};
pub use redact::plain;
pub use session::Session;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::Result;

/// The part of this program that `words` name, if they name one: what a session starts of itself.
pub fn inner(words: &[String]) -> Option<Result<ExitCode>> {
    let (name, rest) = words.split_first()?;
    match name.as_str() {
        "__sandbox" => Some(sandbox::enter(rest)),
        "__keeper" => Some(keeper::keep(rest)),
        "__reader" => Some(reader::become_reader(rest)),
        "__guest" => Some(guest::serve(rest)),
        "__warden" => Some(warden::guard(rest)),
        "__warden-init" => Some(warden::init(rest)),
        _ => None,
    }
}

/// The variable with the words of an inner part: in the command line, readers would find them in `ps`.
const WORDS: &str = "COOPER_BOOK_WORDS";

/// This program again, in the part of `name`.
fn myself(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("book").arg(name).env(WORDS, words.join("\n"));
    command
}

/// The words that [`myself`] was given.
fn told(words: &[String]) -> Vec<String> {
    let told = std::env::var(WORDS).unwrap_or_default();
    if words.is_empty() { told.lines().map(str::to_owned).collect() } else { words.to_vec() }
}
