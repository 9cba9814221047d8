//! The process that keeps the network namespace in which an ordinary user's networks are, and its way out.
//!
//! It is itself in the host's network namespace, where it has pasta or slirp4netns started again should that end. It ends
//! when no container is in a network any more, and everything with it: links, addresses and rules.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child as Process, Stdio};
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use namespaces::rootless;
use namespaces::running::start_time;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2, read};
use process::sys::{Cloned, clone3, exit_now, pidfd_open};
use process::{Error, OrCall, Result, explain};
use rootfs::dirs;

use crate::apart::{decode, encode};
use crate::carrier::{self, Carrier, Tap};
use crate::ground::Keeper;
use crate::netlink::Netlink;
use crate::state::{self, State};
use crate::wire::loopback_up;
use crate::{Lease, attend};

/// The name by which the process is executed.
pub const NAME: &str = "cooper-netns";
/// Its way out.
const INTERFACE: &str = "outside";
/// How long a container that has ended, or come, may go unnoticed; and how long until the way out is tried again.
const INTERVAL: Duration = Duration::from_secs(2);

/// Starts the process; it is ready when this returns.
///
/// # Errors
/// As execve(2), and what the process says that keeps it from its work.
pub fn start(state: &State) -> Result<()> {
    let (told, tell) = pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "")?;
    attend::start_with(NAME, &state.keeper_file(), Stdio::null(), tell.into())?;
    let mut line = Vec::new();
    BufReader::new(File::from(told)).read_until(b'\n', &mut line).or_call("read", NAME)?;
    decode(&line)?;
    explain!(6, "a network namespace for all containers of this user", "execve(\"{NAME}\")");
    Ok(())
}

/// That the process is not there.
pub fn gone() -> Error {
    Error::not_found(format!("the process {NAME}, which keeps the network namespace, was killed"))
        .help("end the containers that are in networks of yours, and start them again")
}

/// The process: `file` is where it writes down who it is.
pub fn run(file: &Path) {
    let begun = Kept::new(file);
    let failure = begun.as_ref().err();
    let _ = std::io::stdout().write_all(encode(failure).as_bytes()).and_then(|()| std::io::stdout().flush());
    if let Ok(mut kept) = begun {
        while kept.turn() {}
    }
}

struct Kept {
    netns: OwnedFd,
    carrier: Carrier,
    tap: Tap,
    process: Option<Process>,
    log: std::path::PathBuf,
}

impl Kept {
    fn new(file: &Path) -> Result<Self> {
        rootless::enter()?;
        let carrier = Carrier::find()?;
        // From the end: the default network begins at the other one.
        let tap = carrier.tap(INTERFACE, true)?;
        let tap = Tap { ipv6: !tap.offline && leads_out6()?, ..tap };
        let mut kept = Self { netns: new_namespace()?, carrier, tap, process: None, log: file.with_extension("log") };
        kept.go_out()?;
        let pid = Pid::this().as_raw();
        let keeper = Keeper { pid, start_time: start_time(pid).unwrap_or_default(), fd: kept.netns.as_raw_fd() };
        state::write(file, &keeper)?;
        Ok(kept)
    }

    /// Makes the way out.
    fn go_out(&mut self) -> Result<()> {
        let started = self.carrier.start(&self.tap, self.netns.as_fd(), &self.log);
        let _ = fs::remove_file(&self.log);
        self.process = Some(started?);
        Ok(())
    }

    /// Waits until something may have changed. False: nobody needs us.
    fn turn(&mut self) -> bool {
        let users = users();
        if users.is_empty() {
            // Whoever is about to need us has the lock.
            let Ok(state) = State::lock(&dirs().run) else { return false };
            if self::users().is_empty() {
                let ours = state.keeper().is_some_and(|keeper| keeper.pid == Pid::this().as_raw());
                let _ = if ours { state.set_unkept() } else { Ok(()) };
                if let Some(process) = &mut self.process {
                    let _ = carrier::end(process);
                }
                return false;
            }
            return true;
        }
        if self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None))) {
            self.process = None;
            let _ = self.go_out(); // if not now, then in a moment
        }
        let mut pids: Vec<i32> = users.iter().map(|lease| lease.pid).collect();
        pids.extend(self.process.as_ref().map(|process| process.id().cast_signed()));
        let pidfds: Vec<_> = pids.into_iter().filter_map(|pid| pidfd_open(Pid::from_raw(pid)).ok()).collect();
        let mut fds: Vec<_> = pidfds.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
        let timeout = PollTimeout::try_from(INTERVAL).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut fds, timeout);
        // Those who have ended may take a moment to be gone.
        std::thread::sleep(Duration::from_millis(20));
        true
    }
}

/// The containers that are in networks in which others may be.
fn users() -> Vec<Lease> {
    let shares = |lease: &Lease| lease.endpoints.iter().any(|endpoint| !carrier::is_carried(&endpoint.network));
    state::peek_all(&dirs().run).into_iter().filter(|lease| shares(lease) && !lease.is_stale()).collect()
}

/// Has this host a way out for IPv6?
fn leads_out6() -> Result<bool> {
    let default = IpNet::V6(Ipv6Net::default());
    Ok(Netlink::open()?.routes()?.iter().any(|route| route.destination == default && route.link.is_some()))
}

/// A network namespace with a loopback link, and nobody in it: the descriptor keeps it. A child makes it, since we could
/// not come back.
fn new_namespace() -> Result<OwnedFd> {
    let (wait, go) = pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "")?;
    match clone3(CloneFlags::CLONE_NEWNET, None).or_call("clone3", "NEWNET")? {
        Cloned::Child => {
            drop(go);
            let code = i32::from(loopback_up().is_err());
            let _ = read(&wait, &mut [0]); // until it has been opened
            exit_now(code)
        }
        Cloned::Parent(child, _) => {
            let path = format!("/proc/{child}/ns/net");
            let opened = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", &path);
            drop((go, wait));
            let status = loop {
                match waitpid(child, None) {
                    Err(Errno::EINTR) => {}
                    status => break status.or_call("waitpid", child)?,
                }
            };
            match status {
                WaitStatus::Exited(_, 0) => opened,
                _ => Err(Error::unsupported("the loopback link of a new network namespace cannot be switched on")),
            }
        }
    }
}
