//! The seam: a container is a process plus stages.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::poll::PollFlags;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::{Program, Result};

/// One capability of a container: what it does before the process exists, to it, in it, and after it.
///
/// The methods stand in the order in which they run. The names are those of the OCI runtime
/// specification's hooks (config.md, "POSIX-platform Hooks"). Every method has a default that does
/// nothing, so a stage says only what it changes. All stages run one method before any runs the next.
pub trait Stage {
    /// The stage's name in error messages, for example `pivot_root`.
    fn name(&self) -> &'static str;

    /// Parent, before the child exists. Whatever needs to exist on the host is made here.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// The namespaces that the child must be cloned into.
    fn namespaces(&self) -> CloneFlags {
        CloneFlags::empty()
    }

    /// A user namespace that exists already, in which the child must be made: its new namespaces belong to that one.
    fn user_namespace(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The cgroup directory that the child must be born in (`CLONE_INTO_CGROUP`, clone(2)).
    fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Parent; the child exists and waits. What only the parent may do to it: identity maps, its network.
    fn create_runtime(&mut self, _child: &Child) -> Result<()> {
        Ok(())
    }

    /// Child, in its new namespaces, with the host's root still in view. Mounts are made here.
    fn create_container(&mut self) -> Result<()> {
        Ok(())
    }

    /// Parent; every stage has furnished the child's place, and the host's root is still in the child's view.
    fn furnished(&mut self, _child: &Child) -> Result<()> {
        Ok(())
    }

    /// Child: takes the root. Stages that stand later in the list find themselves in it.
    fn enter_root(&mut self) -> Result<()> {
        Ok(())
    }

    /// Child, after `start`: the last thing before exec. May change the program that will run.
    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        Ok(())
    }

    /// Parent; the program runs. What has to be tended while it does, if anything.
    fn poststart(&mut self, _child: &Child) -> Result<Option<Box<dyn Attend>>> {
        Ok(None)
    }

    /// Parent; its program is about to be replaced, and the container goes on: what has to stay with the process.
    /// [`poststop`](Self::poststop) will not come; whoever finds the container ended sweeps what it leaves.
    fn hand_over(&mut self) -> Vec<Keep> {
        Vec::new()
    }

    /// Parent, after exit or after a failure, in reverse order; always, once [`prepare`](Self::prepare) was called.
    fn poststop(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What a stage has that must live as long as the container.
#[derive(Debug)]
pub enum Keep {
    /// An open descriptor, such as a lock or a port.
    Fd(OwnedFd),
    /// A child of ours that serves the container; it is to be ended after it.
    Process(Pid),
}

/// Something the parent tends while the program runs: a terminal's relay, later a log.
pub trait Attend {
    /// The descriptors to wait for, and for what.
    fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)>;

    /// Some descriptor is ready; `ready` is in the order of [`interests`](Self::interests).
    fn tend(&mut self, ready: &[PollFlags]) -> Result<()>;

    /// A signal came. True means that it is dealt with and must not be forwarded to the program.
    fn signal(&mut self, _signal: Signal) -> bool {
        false
    }

    /// The program has ended: move what is still on the way, without waiting for more.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The container's first process, seen from the parent.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Child {
    /// A process and its descriptor, which must be of the same.
    pub fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd }
    }

    /// Its process id, in the parent's PID namespace.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// A descriptor of the process (`pidfd_open(2)`): unlike the number it never means another one.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// `/proc/PID/file`
    pub fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid))
    }
}
