//! Joining a container's group, so that what `exec` starts is under the same limits.

use std::os::fd::{AsFd, BorrowedFd};

use namespaces::rootless;
use namespaces::running::Running;
use process::{Error, Kind, Result, Stage};

use crate::{Group, systemd};

/// The stage that has the child born in the group of a running container. It stands beside `namespaces::Join`.
pub struct JoinGroup {
    group: Option<Group>,
}

impl JoinGroup {
    /// The group of `container`; none if it has none of its own.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the container is paused: the child would be held before it could become anything.
    pub fn new(container: &Running) -> Result<Self> {
        let group = Group::of_container(container).ok();
        if group.as_ref().is_some_and(Group::is_frozen) {
            let what = format!("container {} is paused", container.name);
            return Err(Error::new(Kind::Conflict, what).help("let it go on first: unpause"));
        }
        Ok(Self { group })
    }
}

impl Stage for JoinGroup {
    fn name(&self) -> &'static str {
        "cgroup"
    }

    fn prepare(&mut self) -> Result<()> {
        // The group that is above ours and the container's must be ours to write, as for a new one.
        if self.group.is_some() && !rootless::is_rootless() {
            systemd::delegate();
        }
        Ok(())
    }

    fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.group.as_ref().map(AsFd::as_fd)
    }
}
