//! The stage that writes down what later commands need, as soon as the process has its place and before it is let go.

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use cgroups::Hierarchy;
use namespaces::running::start_time;
use process::{Child, OrCall, Result, Stage, explain};

use super::entry::{self, Held};
use super::members::Home;
use super::state::State;

/// Writes `state.json`. It stands first in the list, so that hooks find it written.
pub struct Record {
    path: PathBuf,
    state: State,
    lock: RawFd,
}

impl Record {
    /// Writes `state` for the container that is `held`, with what is known of the process by then.
    pub fn new(held: &Held, state: State) -> Self {
        Self { path: held.entry.state_file(), state, lock: held.descriptor() }
    }
}

impl Stage for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    /// Should this process be killed, its child must not hold the container in its place. Nobody in the child uses the
    /// descriptor any more: it never returns to the code that owns it.
    fn create_container(&mut self) -> Result<()> {
        nix::unistd::close(self.lock).or_call("close", "the container's lock")
    }

    fn furnished(&mut self, child: &Child) -> Result<()> {
        let pid = child.pid();
        self.state.pid = pid.as_raw();
        self.state.start_time = start_time(pid.as_raw()).unwrap_or_default();
        self.state.home = Home::of(pid);
        self.state.cgroup = own_group(pid.as_raw());
        entry::save(&self.path, &self.state)?;
        explain!(10, "what `start` and `delete` will need", "rename({})", self.path.display());
        Ok(())
    }
}

/// The directory of the group that process `pid` is in, if that is not our own.
fn own_group(pid: i32) -> Option<PathBuf> {
    let theirs = group_of(&pid.to_string())?;
    (theirs != group_of("self")?).then_some(())?;
    Hierarchy::find().ok()?.path_of(&theirs)
}

/// Its line `0::` in /proc/PID/cgroup (cgroups(7)).
fn group_of(pid: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid).join("cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}
