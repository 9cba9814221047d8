//! Where our bridges, cables and rules are: in the host's network namespace, or, for an ordinary user, in one that a
//! [process](crate::keeper) keeps for all containers of this user.
//!
//! All that is done there is the same for both: the ground only says where the calls are made.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use namespaces::rootless;
use namespaces::running::start_time;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use process::sys::{pidfd_open, pidfd_send_signal};
use process::{OrCall, Result, explain};
use serde::{Deserialize, Serialize};

use crate::state::{self, State};
use crate::{keeper, netns};

/// How long the keeper may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where our links and rules are.
pub enum Ground {
    /// In the host's network namespace, which is this process's.
    Host,
    /// In this one.
    Kept(OwnedFd),
}

/// Who keeps a network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
    /// Its descriptor of the namespace.
    pub fd: i32,
}

impl Ground {
    /// The ground that there is. None: an ordinary user's containers have no network in common now, and whatever there
    /// was of links and rules has gone with its namespace.
    ///
    /// # Errors
    /// As open(2) of `/proc/PID/fd`: the keeper is in a user namespace that we cannot look into.
    pub fn find(state: &State) -> Result<Option<Self>> {
        if !rootless::is_rootless() {
            return Ok(Some(Self::Host));
        }
        let Some(keeper) = state.keeper() else { return Ok(None) };
        let path = format!("/proc/{}/fd/{}", keeper.pid, keeper.fd);
        let opened = fs::OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC).open(&path);
        // Looked at after opening: had the process ended before, this would be a stranger's.
        if !keeper.is_alive() {
            state.set_unkept()?;
            return Ok(None);
        }
        opened.or_call("open", &path).map(|netns| Some(Self::Kept(netns.into())))
    }

    /// The ground, made if there is none.
    ///
    /// # Errors
    /// Whatever keeps the keeper from doing its work, such as that the host has no pasta.
    pub fn get(state: &State) -> Result<Self> {
        if let Some(ground) = Self::find(state)? {
            return Ok(ground);
        }
        state.set_rules(None)?; // those of an earlier one
        keeper::start(state)?;
        Self::find(state)?.ok_or_else(keeper::gone)
    }

    /// Does `work` there. In an ordinary user's engine a child does it: what it does to memory is not seen here.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn on(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        match self {
            Self::Host => work(),
            Self::Kept(netns) => netns::within(netns.as_fd(), work),
        }
    }

    /// The network namespace, if it is not the one of this process.
    pub fn netns(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Host => None,
            Self::Kept(netns) => Some(netns.as_fd()),
        }
    }
}

impl Keeper {
    /// Is it still there?
    pub fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.start_time)
    }
}

impl State {
    /// The file that says who keeps an ordinary user's network namespace.
    pub fn keeper_file(&self) -> PathBuf {
        self.file("keeper.json")
    }

    /// Who keeps an ordinary user's network namespace, or did.
    pub fn keeper(&self) -> Option<Keeper> {
        state::read(&self.keeper_file())
    }

    /// Notes that nobody does.
    ///
    /// # Errors
    /// As unlink(2); that nobody did is no error.
    pub fn set_unkept(&self) -> Result<()> {
        let path = self.keeper_file();
        state::remove(fs::remove_file(&path), &path)
    }
}

/// Does `work` on the ground, if there is one: what is to be taken away is gone if not.
///
/// # Errors
/// As [`Ground::find`], or those of `work`.
pub fn on(state: &State, work: impl FnOnce() -> Result<()>) -> Result<()> {
    Ground::find(state)?.map_or(Ok(()), |ground| ground.on(work))
}

/// Ends the keeper: no container has a network in common with others any more. All that is there goes with it.
///
/// # Errors
/// As kill(2), unlink(2).
pub fn leave(state: &State) -> Result<()> {
    let Some(keeper) = state.keeper() else { return Ok(()) };
    let process = pidfd_open(Pid::from_raw(keeper.pid)).ok();
    if let Some(process) = process.filter(|_| keeper.is_alive()) {
        explain!(6, "nobody is in a network of ours any more", "pidfd_send_signal({}, SIGKILL)", keeper.pid);
        let _ = pidfd_send_signal(process.as_fd(), Signal::SIGKILL);
        wait_for_end(process.as_fd());
    }
    state.set_unkept()
}

fn wait_for_end(process: BorrowedFd<'_>) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let left = PollTimeout::try_from(end.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::ZERO);
        if poll(&mut [PollFd::new(process, PollFlags::POLLIN)], left).is_ok() {
            return;
        }
    }
}
