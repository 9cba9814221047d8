//! A room's control group: chapter 4's, handed to who is root in the room.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use cgroups::{Controller, Group, Held, Place, kill_and_remove};
use namespaces::id::random_id;
use namespaces::mount::{Mount, NODEV, NOEXEC, NOSUID};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use process::{OrCall, Result, Stage};

use super::spec::Limits;

/// The group above those of all rooms.
const PARENT: &str = "cooper-exercises";

/// What a room may divide.
const CONTROLLERS: [Controller; 3] = [Controller::Cpu, Controller::Memory, Controller::Pids];

/// What belongs to who may divide a group ("Delegation Containment", cgroup-v2.rst). Its limits do not.
const DELEGATED: [&str; 4] = ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];

/// The stage that has a room born in a group of its own, shows it as the whole of /sys/fs/cgroup, and removes it.
pub struct RoomGroup {
    root: PathBuf,
    owner: u32,
    limits: Limits,
    held: Option<Held>,
}

impl RoomGroup {
    /// For the room whose root is laid out in `root`, and whose own root is `owner` here.
    pub fn new(root: PathBuf, owner: u32, limits: Limits) -> Self {
        Self { root, owner, limits, held: None }
    }

    fn hand_over_to_owner(&self, group: &Group) -> Result<()> {
        for (file, most) in [("memory.max", self.limits.memory), ("pids.max", self.limits.processes)] {
            group.write(file, &most.to_string())?;
        }
        for file in DELEGATED {
            let path = group.path().join(file);
            chown(&path, Some(self.owner), Some(self.owner)).or_call("chown", path.display())?;
        }
        Ok(())
    }
}

impl Stage for RoomGroup {
    fn name(&self) -> &'static str {
        "the room's control group"
    }

    fn prepare(&mut self) -> Result<()> {
        let held = Place::find()?.make(Some(Path::new(PARENT)), &random_id()?, &CONTROLLERS)?;
        let group = Group::open(held.group.path())?;
        self.held = Some(held);
        self.hand_over_to_owner(&group)
    }

    fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.held.as_ref().map(|held| held.group.as_fd())
    }

    /// In a cgroup namespace already, whose top the group is.
    fn create_container(&mut self) -> Result<()> {
        let place = self.root.join("sys/fs/cgroup");
        let mount = Mount::filesystem("cgroup2", &[], NOSUID | NODEV | NOEXEC)?;
        mount.attach(File::open(&place).or_call("open", place.display())?, "/sys/fs/cgroup")
    }

    fn poststop(&mut self) -> Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        kill_and_remove(&held.group)?;
        // Other rooms may have theirs beside it; then it stays.
        if let Some(parent) = held.group.path().parent() {
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }
}

/// Removes the groups of rooms whose maker was killed before it could. Who lives holds the lock of its group.
pub fn sweep() {
    let parent = Place::find().and_then(|place| Group::open(place.base.join(PARENT)));
    let Ok(parent) = parent else { return };
    // As long as this is held, nobody makes a group without locking it too.
    let Ok(_making) = lock(&parent, FlockArg::LockExclusive) else { return };
    for entry in fs::read_dir(parent.path()).into_iter().flatten().flatten() {
        let group = entry.file_name().to_str().and_then(|name| parent.child(name).ok());
        let Some(group) = group else { continue };
        if lock(&group, FlockArg::LockExclusiveNonblock).is_ok() {
            let _ = kill_and_remove(&group);
        }
    }
    let _ = fs::remove_dir(parent.path());
}

fn lock(group: &Group, how: FlockArg) -> Result<Flock<OwnedFd>, Errno> {
    let fd = group.as_fd().try_clone_to_owned().map_err(|_| Errno::last())?;
    Flock::lock(fd, how).map_err(|(_, errno)| errno)
}
