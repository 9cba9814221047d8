//! `delete`: what a container leaves is removed, and its id is free again.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cgroups::{Group, kill_and_remove};
use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use process::{Error, Kind, Result, explain};

use super::{Context, Verb, kill, sys};
use crate::oci::cgroup::{self, PARENT};
use crate::oci::entry::Held;
use crate::oci::state::{State, Status};
use crate::oci::{errors, hooks};

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Remove what a container leaves
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Kill it if it runs; one that does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// The container
    id: String,
}

impl Verb for Delete {
    fn run(self, context: &Context) -> Result<ExitCode> {
        match self.delete(context) {
            Err(error) if self.force && error.kind() == Kind::NotFound => Ok(ExitCode::SUCCESS),
            done => done.map(|()| ExitCode::SUCCESS),
        }
    }
}

impl Delete {
    fn delete(&self, context: &Context) -> Result<()> {
        let held = context.store.find(&self.id)?.hold()?;
        let (mut state, status) = held.look()?;
        if state.pid == 0 {
            state.cgroup = abandoned_group(&held);
        }
        if status != Status::Stopped {
            // A created one has run nothing yet that could lose by it: runc deletes it too.
            if !self.force && status != Status::Created {
                return Err(errors::delete_running(&self.id, status));
            }
            end(&state)?;
        }
        remove(context, held, &state)
    }
}

/// Removes all that is left of a container that has ended.
///
/// # Errors
/// As rmdir(2) and unlink(2). A hook that fails is told, and the rest done.
pub(super) fn remove(context: &Context, held: Held, state: &State) -> Result<()> {
    remove_group(state)?;
    held.remove()?;
    let errors = hooks::run_all("poststop", &state.hooks.poststop, &state.told(Status::Stopped));
    errors.iter().for_each(|error| context.log.warning(error));
    Ok(())
}

/// Kills a container's processes and waits for the first one's end.
pub(super) fn end(state: &State) -> Result<()> {
    let Ok(process) = state.process() else { return Ok(()) };
    let _ = sys::pidfd_send_signal(process.as_fd(), libc::SIGKILL);
    explain!(10, "nothing in it can refuse", "pidfd_send_signal({}, SIGKILL)", state.pid);
    let _ = kill::all(state, libc::SIGKILL);
    let deadline = Instant::now() + PATIENCE;
    // A descriptor of a process is readable once it has ended, also if somebody else is its parent (pidfd_open(2)).
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    while Instant::now() < deadline {
        // One that is on its way out counts as ended too: as first process of its namespace it waits there until the
        // others' parents have collected them, and those are not ours.
        if poll(&mut fds, PollTimeout::from(10u8)).is_ok_and(|ready| ready > 0) || !state.is_alive() {
            return Ok(());
        }
    }
    let what = format!("process {} of container {} does not end", state.pid, state.id);
    Err(Error::new(Kind::Call(Errno::EBUSY), what).help("it waits in the kernel, as for a dead network file system"))
}

/// The group of a container whose creator was killed before it could write down what it had made. Its child ends with
/// it, and the group with others in it is somebody else's.
fn abandoned_group(held: &Held) -> Option<PathBuf> {
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(held.entry.config()).ok()?).ok()?;
    let path = cgroup::planned(config.pointer("/linux/cgroupsPath").and_then(|path| path.as_str()), &held.entry.id())?;
    let group = Group::open(&path).ok()?;
    let end = Instant::now() + Duration::from_secs(1);
    while group.is_populated() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    (!group.is_populated()).then_some(path)
}

/// Removes the control group, with those below it that the program has made.
fn remove_group(state: &State) -> Result<()> {
    let Some(path) = &state.cgroup else { return Ok(()) };
    if let Some(group) = state.group() {
        kill_and_remove(&group)?;
    }
    // What we have made above it goes with the last one. Whose path a driver has named, the driver removes.
    if let Some(parent) = path.parent().filter(|parent| parent.ends_with(PARENT)) {
        let _ = std::fs::remove_dir(parent);
    }
    Ok(())
}
