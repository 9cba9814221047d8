//! Into the group too late.
//!
//! `too_late LIMIT READY COMMAND…` is an engine that limits a command: it makes the control group `job`, with LIMIT as
//! its `memory.max`, and runs the command in it. So that the command starts at full speed, as somebody thought, it is
//! put into the group when it is ready, which it says by making the file READY.
//!
//! What a process has touched before stays on the bill of the group where it touched it: a move takes the process
//! along, not its memory. So the command can take as much as it likes before it says that it is ready, and the group's
//! numbers are wrong for ever.
//!
//! Have the command be in its group from its first instant. The engine itself does not belong in there.
//!
//! Read: the book, chapter 4, "The stage", and chapter 1 for `Stage`; clone(2), CLONE_INTO_CGROUP.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cgroups::{Controller, Held, Place, kill_and_remove};
use process::{Attend, Child, Container, Error, Program, Result, Stage};

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [limit, ready, command @ ..] = words.as_slice() else {
        return Err(Error::invalid("too_late LIMIT READY COMMAND…"));
    };
    let held = Place::find()?.make(None, "job", &[Controller::Memory])?;
    held.group.write("memory.max", limit)?;
    let stage = Limited { held, ready: ready.into() };
    let env = std::env::vars_os().collect();
    Ok(Container::new(Program::new(command, env), vec![Box::new(stage)]).run()?.exit.into())
}

/// The stage that holds a command in a group.
struct Limited {
    held: Held,
    ready: PathBuf,
}

impl Stage for Limited {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn poststart(&mut self, child: &Child) -> Result<Option<Box<dyn Attend>>> {
        while !self.ready.exists() && child.proc("root").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.held.group.write("cgroup.procs", &child.pid().to_string())?;
        Ok(None)
    }

    fn poststop(&mut self) -> Result<()> {
        kill_and_remove(&self.held.group)
    }
}
