//! What an engine leaves open.
//!
//! A descriptor needs no path and asks for no right: it is open already. Whatever an engine has open when it executes a
//! program, the program has too, unless it is marked close-on-exec. Through a directory of the host that runc had left
//! open, programs walked out of their containers (CVE-2024-21626).
//!
//! This engine runs a program, and keeps a log and the exit code in a directory of its own: `leaks STATE COMMAND…`. The
//! program inherits both, and also whatever the engine's caller had left open. Mend that: the program shall have
//! 0, 1 and 2, and nothing else. The engine itself must go on with what it has open, since it writes when the program
//! has ended.
//!
//! Try: `cargo run -q -p lab01 --bin leaks -- /tmp ls -l /proc/self/fd`, and the same with `7< /etc/passwd` behind it.
//! (One of what you see is ls's own: it opened the directory that it lists.)
//!
//! Read: the book, chapter 1, "execve: another program in the same process"; open(2), O_CLOEXEC; close_range(2).
//! Nothing here needs `unsafe`: what does is in the chapter's crate, whose name is `process`.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitCode};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

/// What the engine has open while a program runs.
struct Engine {
    state: OwnedFd,
    log: File,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [state, command @ ..] = words.as_slice() else {
        eprintln!("usage: leaks STATE COMMAND…");
        return ExitCode::from(125);
    };
    let mut engine = Engine::open(state).expect("the directory for the engine's state");
    engine.run(command).map_or(ExitCode::from(125), ExitCode::from)
}

impl Engine {
    fn open(path: &str) -> nix::Result<Self> {
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let append = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND;
        let state = open(path, directory, Mode::empty())?;
        let log = openat(&state, "engine.log", append, Mode::S_IRUSR | Mode::S_IWUSR)?;
        Ok(Self { state, log: log.into() })
    }

    /// Runs the program to its end, and keeps its exit code in the file `exit`.
    fn run(&mut self, command: &[String]) -> std::io::Result<u8> {
        writeln!(self.log, "start: {command:?}")?;
        let status = Command::new(&command[0]).args(&command[1..]).status()?;
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        writeln!(self.log, "end: {code}")?;
        let write = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC;
        let mut exit: File = openat(&self.state, "exit", write, Mode::S_IRUSR | Mode::S_IWUSR)?.into();
        writeln!(exit, "{code}")?;
        Ok(code)
    }
}
