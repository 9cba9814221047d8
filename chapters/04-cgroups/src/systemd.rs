//! Asking systemd for a place of our own, for users whose session it began in a group that is not theirs.
//!
//! A login over ssh stands in `session-N.scope`, which belongs to root; the group delegated to the user is
//! `user@UID.service`. Nobody but systemd may move a process from one to the other, and it does so for a
//! transient scope: `systemd-run --user --scope` asks for one, and so do we, for the process that we are.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, geteuid};
use process::explain;

use crate::hierarchy::cgroup_of;
use crate::place::Place;

/// Moves this process into a scope of the user's own systemd, where it needs one and can have it.
///
/// Does nothing for root, without cgroup v2, without systemd, or where a group is delegated to us already. To be
/// called before `namespaces::rootless::enter`: in there we are nobody that the user's bus knows.
pub fn delegate() {
    let needed = !geteuid().is_root() && crate::Hierarchy::find().is_ok() && Place::find().is_err();
    if needed && has_user_manager() {
        ask();
    }
}

/// Is there a systemd of this user's to ask?
pub fn has_user_manager() -> bool {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR");
    runtime.is_some_and(|runtime| Path::new(&runtime).join("systemd/private").exists())
}

/// `StartTransientUnit` (org.freedesktop.systemd1(5)) with our own pid; what systemd-run does, without a new exec.
fn ask() {
    let pid = Pid::this().to_string();
    let scope = format!("cooper-{pid}.scope");
    let before = cgroup_of("self").ok();
    let call = [
        "--user",
        "--quiet",
        "call",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
    ];
    let properties = ["fail", "2", "PIDs", "au", "1", &pid, "Delegate", "b", "true", "0"];
    let mut command = Command::new("busctl");
    command.args(call).arg(&scope).args(properties);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        return; // whoever needs the group finds it missing, and says so
    }
    explain!(4, "systemd moves us into a group of the user's", "StartTransientUnit({scope}, Delegate)");
    // The answer is a job; we are moved when it is done.
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end && cgroup_of("self").ok() == before {
        std::thread::sleep(Duration::from_millis(5));
    }
}
