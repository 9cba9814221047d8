//! A user namespace that nobody lives in: the kernel takes the ids of a mount from one (mount_setattr(2)).

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use ::namespaces::IdMap;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use process::sys::{Cloned, clone3, die_with_parent, pidfd_send_signal};
use process::{OrCall, Result};

/// A user namespace with the maps `map`. It lives as long as its descriptor or a mount that uses it.
///
/// # Errors
/// As clone3(2), and as write(2) of the maps.
pub fn namespace(map: &IdMap) -> Result<OwnedFd> {
    match clone3(CloneFlags::CLONE_NEWUSER, None).or_call("clone3", "NEWUSER")? {
        Cloned::Child => {
            let _ = die_with_parent();
            loop {
                nix::unistd::pause(); // until it is killed
            }
        }
        Cloned::Parent(pid, pidfd) => {
            let path = format!("/proc/{pid}/ns/user");
            let made = map.write(pid).and_then(|()| File::open(&path).or_call("open", &path));
            let _ = pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL);
            let _ = waitpid(pid, None);
            made.map(OwnedFd::from)
        }
    }
}
