//! Processes of a container whose supervisor was killed. They die with it (`PR_SET_PDEATHSIG`), but that takes a
//! moment, and a program that changed its user has shed it (prctl(2)).

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use process::{OrCall, Result, explain};

use super::container::Kept;
use crate::supervisor;
use cgroups::Group;
use namespaces::running::start_time;

/// How long the kernel may take to end a process that was sent SIGKILL, in milliseconds.
const PATIENCE: u16 = 10_000;

/// Ends what is left of the container's processes.
///
/// # Errors
/// As pidfd_send_signal(2) and poll(2).
pub fn end(kept: &Kept) -> Result<()> {
    let (pid, began) = (kept.state.pid, kept.state.start_time);
    if pid <= 0 {
        return Ok(());
    }
    let record = kept.as_record();
    let pidfd = match process::sys::pidfd_open(record.pid()) {
        Err(Errno::ESRCH) => return Ok(()),
        pidfd => pidfd.or_call("pidfd_open", pid)?,
    };
    // The number may be another process's by now; the descriptor is not, and was opened before we ask.
    if !is(pid, began) {
        return Ok(());
    }
    if let Ok(group) = Group::of_container(&record) {
        let _ = group.kill(); // also those that have left the init's PID namespace
    }
    match process::sys::pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        refused => refused.or_call("pidfd_send_signal", "SIGKILL")?,
    }
    explain!(10, "nobody looks after it any more", "pidfd_send_signal({pid}, SIGKILL)");
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(PATIENCE)) {
        Err(Errno::EINTR) => Ok(()),
        done => done.or_call("poll", "the container's process").map(drop),
    }
}

/// Removes what the container had outside of its directory: its group, its link, its runtime files. A supervisor does
/// that itself; one that was killed has left a note of where its container's group is.
///
/// # Errors
/// As [`supervisor::end::sweep`].
pub fn sweep(kept: &Kept) -> Result<()> {
    let directory = supervisor::directory(kept.id());
    let note: Option<serde_json::Value> = crate::file::read(&directory.join("handover.json")).unwrap_or_default();
    let group = note.and_then(|note| Group::open(note.get("cgroup")?.as_str()?).ok());
    let _ = std::fs::remove_dir_all(&directory);
    supervisor::end::sweep(group.as_ref())
}

/// Is process `pid` the one that started then? One that is on its way out counts too: it is to be waited for.
fn is(pid: i32, began: u64) -> bool {
    if start_time(pid) == Some(began) {
        return true;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let field = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19));
    field.and_then(|field| field.parse::<u64>().ok()) == Some(began)
}
