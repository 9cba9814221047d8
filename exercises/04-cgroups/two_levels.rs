//! A limit on one level.
//!
//! This engine gives a container a control group of its own to divide, as it takes to run systemd or another engine in
//! it. The container sees its group as the top of /sys/fs/cgroup; its first process is put into the group `main` below
//! it, and `main` gets a `pids.max` of 20. A fork bomb cannot take more than 20 processes then. Can it?
//!
//! 1. Break. In `ATTACK`, write the lines of shell that run in the container before the bomb goes off, so that all of
//!    the bomb's 40 processes come to life. You are root there, with `main` around you.
//! 2. Close. In `close`, which the engine calls before the container exists, do what makes 20 the end of it, whatever
//!    the container does with its groups. It must still be able to make groups of its own, and go on when the bomb has
//!    gone off.
//!
//! `two_levels open NUMBER` runs your lines and a bomb of `sleep NUMBER` in a container as it was, `two_levels closed
//! SCRIPT` runs a script in one with your `close`.
//!
//! Read: the book, chapter 4, "Delegation" and "A fork bomb"; Documentation/admin-guide/cgroup-v2.rst, "PID" and
//! "Delegation".

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

use cgroups::{Controller, Group, Held, Place, kill_and_remove};
use namespaces::Isolation;
use namespaces::mount::Mount;
use nix::sched::CloneFlags;
use process::{Container, Error, OrCall, Program, Result, Stage};

/// Part one: what the container does before the bomb goes off.
const ATTACK: &str = "
    cat /proc/self/cgroup
";

/// Forty processes that wait, which is harmless.
const BOMB: &str = "for i in $(seq 40); do sleep $0 & done; wait";

/// How many processes a container may have.
const LIMIT: &str = "20";

/// Part two: what is to be done with the container's group before the container exists.
fn close(top: &Group) -> Result<()> {
    // `top.write(FILE, VALUE)` writes one of its files. The group has no processes yet, and `main` is not there.
    let _ = top;
    Ok(())
}

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (closed, script, number) = match words.as_slice() {
        [mode, number] if mode == "open" => (false, format!("{ATTACK}\n{BOMB}"), number.as_str()),
        [mode, script] if mode == "closed" => (true, script.clone(), "sh"),
        _ => return Err(Error::invalid("two_levels open NUMBER | closed SCRIPT")),
    };
    let held = Place::find()?.make(None, "container", &[Controller::Pids])?;
    let new = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP;
    let isolation = Isolation { flags: new, hostname: String::new(), boot_offset: 0 };
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(isolation), Box::new(Delegated { held, closed })];
    let command = ["sh", "-c", &script, number];
    Ok(Container::new(Program::new(command, std::env::vars_os().collect()), stages).run()?.exit.into())
}

/// The stage that gives the container a group to divide.
struct Delegated {
    held: Held,
    closed: bool,
}

impl Stage for Delegated {
    fn name(&self) -> &'static str {
        "a group to divide"
    }

    fn prepare(&mut self) -> Result<()> {
        if self.closed { close(&self.held.group) } else { Ok(()) }
    }

    fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        Some(self.held.group.as_fd())
    }

    /// Born in the group, and in a cgroup namespace whose top it is: now into `main`, so that groups can be beside it.
    fn create_container(&mut self) -> Result<()> {
        let place = "/sys/fs/cgroup";
        Mount::filesystem("cgroup2", &[], 0)?.attach(File::open(place).or_call("open", place)?, place)?;
        let top = Group::open(place)?;
        fs::create_dir("/sys/fs/cgroup/main").or_call("mkdir", "main")?;
        let main = top.child("main")?;
        main.write("cgroup.procs", "0")?;
        top.write("cgroup.subtree_control", "+pids")?;
        main.write("pids.max", LIMIT)
    }

    fn poststop(&mut self) -> Result<()> {
        kill_and_remove(&self.held.group)
    }
}
