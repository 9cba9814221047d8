//! What a room is asked for: written by who watches from outside, read by the program that makes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The program's file in the room.
pub const PROGRAM: &str = "/lab/program";

/// The directory that room and checks share.
pub const WORK: &str = "/lab/work";

/// A room, and what runs in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its variables.
    pub env: Vec<(String, String)>,
    /// The directory on this machine that is the room's [`WORK`].
    pub work: PathBuf,
    /// What else of this machine is shown there, read-only: from, to.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Where the program's process and its end are told, line by line.
    pub report: PathBuf,
    /// Make a control group for it.
    pub cgroup: bool,
    /// How much it may take.
    pub limits: Limits,
}

/// How much a program may take, with all that it starts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads.
    pub processes: u64,
    /// Bytes of one file.
    pub file: u64,
    /// Seconds on a processor, each process.
    pub cpu: u64,
    /// Bytes of memory, all processes together.
    pub memory: u64,
    /// Bytes that it may leave in [`WORK`].
    pub disk: u64,
    /// Bytes that it may say, on each stream.
    pub output: usize,
    /// Seconds that it may run.
    pub seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let slower = if std::env::var("COOPER_LANE").is_ok_and(|lane| lane == "vm") { 10 } else { 1 };
        Self {
            processes: 200,
            file: 64 << 20,
            cpu: 20 * slower,
            memory: 512 << 20,
            disk: 512 << 20,
            output: 1 << 20,
            seconds: 10 * slower,
        }
    }
}

/// What is told of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// It runs; the room's first process, as this machine numbers it.
    Runs(i32),
    /// It ended with this code, 128 and the signal's number if by a signal.
    Ended(u8),
    /// There is no room, and why.
    NoRoom(String),
}
