//! What a session and its keeper say to each other: a line of JSON each.

use std::io::Write;

use serde::{Deserialize, Serialize};

/// To the keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A new sandbox in the virtual machine; the old one ends.
    Open {
        /// The words of `__sandbox`.
        words: Vec<String>,
    },
    /// Run a command in the page's shell.
    Run {
        /// As it is typed.
        command: String,
        /// On the terminal?
        tty: bool,
        /// What to type, a line each time that the terminal has been quiet for a while.
        keys: Vec<String>,
        /// How long that is, in milliseconds.
        quiet: u64,
        /// How long it may take, in milliseconds.
        millis: u64,
    },
    /// Keys for the terminal.
    Type(String),
    /// The terminal's size: rows, columns.
    Size(u16, u16),
    /// End the sandbox and all that is in it.
    End,
}

/// From the keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The shell waits for a command; where it runs.
    Ready {
        /// The kernel's release.
        kernel: String,
        /// `v2`, `v1` or `hybrid`.
        cgroup: String,
    },
    /// The sandbox could not be made.
    Refused(String),
    /// Output of the running command.
    Output(String),
    /// The command ended with this exit code; the shell waits for the next.
    Done(i32),
    /// The shell and all in the sandbox are gone, for this reason.
    Ended(String),
}

impl Event {
    /// Writes it as a line of its own. A reader that is gone is no error: the keeper ends with its input.
    pub fn say(&self) {
        let line = serde_json::to_string(self).unwrap_or_default();
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}
