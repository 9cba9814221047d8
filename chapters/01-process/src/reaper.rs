//! `--init`: a parent inside the container that reaps orphans and passes signals on.
//!
//! PID 1 inherits every orphan, and the kernel shields it from signals that it has no handler for
//! (pid_namespaces(7)). Programs are not written for that; this process is.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid};

use crate::signals::is_forwarded;
use crate::{Exit, OrCall, Result, explain, sys};

/// Forks. Returns in the child, which goes on to exec; the parent stays behind as init and never returns.
///
/// `close` is called in the parent: its end of the report socket must not keep the engine waiting.
pub fn become_parent(close: impl FnOnce()) -> Result<()> {
    // Outside a PID namespace orphans would go to the host's init; a subreaper gets them instead.
    nix::sys::prctl::set_child_subreaper(true).or_call("prctl", "PR_SET_CHILD_SUBREAPER")?;
    explain!(1, "orphans become ours to reap", "prctl(PR_SET_CHILD_SUBREAPER)");
    match sys::fork().or_call("fork", "the program below init")? {
        ForkResult::Child => sys::die_with_parent().or_call("prctl", "PR_SET_PDEATHSIG"),
        ForkResult::Parent { child } => {
            close();
            sys::close_from(3);
            let exit = tend(child);
            sys::exit_now(exit.code().into())
        }
    }
}

/// All signals are blocked since before clone3; they are taken one by one.
fn tend(child: Pid) -> Exit {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(exit) = reap(child) {
                    return exit;
                }
            }
            Ok(signal) if is_forwarded(signal) => drop(kill(child, signal)),
            _ => {}
        }
    }
}

/// Reaps whoever has ended; the end of `child` is the end of us all.
fn reap(child: Pid) -> Option<Exit> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(status) if status.pid() == Some(child) => ended = Exit::from_wait(status).or(ended),
            Ok(status) if status.pid().is_some() => {}
            Err(Errno::EINTR) => {}
            _ => return ended,
        }
    }
}
