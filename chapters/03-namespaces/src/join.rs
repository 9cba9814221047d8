//! Joining a running container: setns by pidfd, all of its namespaces, then its root.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_dumpable;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, chroot, fchdir};
use process::{Error, OrCall, Result, Stage, explain, sys};

use crate::args::Namespace;
use crate::{inspect, isolation, user};

/// The stage that puts the child where process `pid` is. With it, no namespace is made.
pub struct Join {
    pid: Pid,
    /// Those in which it differs from us.
    flags: CloneFlags,
    pidfd: OwnedFd,
    root: OwnedFd,
    /// Its user namespace has no supplementary groups. Asked of the host's /proc: the container's may lie.
    groups_denied: bool,
}

impl Join {
    /// Joins what process `pid` is in.
    ///
    /// # Errors
    /// `ESRCH` if there is no such process, `EACCES` if it is not ours to look into (ptrace(2), access mode checking).
    pub fn new(pid: Pid) -> Result<Self> {
        let pidfd = sys::pidfd_open(pid).map_err(|errno| no_process(pid, errno))?;
        explain!(3, "a handle of the process, not its number", "pidfd_open({pid})");
        let path = format!("/proc/{pid}/root");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path.as_str(), flags, Mode::empty())
            .or_call("open", &path)
            .map_err(|error| error.help("it is another user's container: become that user, or root"))?;
        let different = Namespace::ALL
            .into_iter()
            .filter(|&namespace| inspect::inode(pid, namespace) != inspect::inode(Pid::this(), namespace));
        let flags = different.fold(CloneFlags::empty(), |all, namespace| all | namespace.flag());
        if flags.is_empty() {
            let what = format!("process {pid} shares every namespace with this one: it is in no container");
            return Err(Error::invalid(what).help("`inspect` shows the namespaces of a process"));
        }
        let setgroups = std::fs::read_to_string(format!("/proc/{pid}/setgroups"));
        let groups_denied = setgroups.is_ok_and(|text| text.trim() == "deny");
        Ok(Self { pid, flags, pidfd, root, groups_denied })
    }
}

fn no_process(pid: Pid, errno: Errno) -> Error {
    let error = Error::call("pidfd_open", pid, errno);
    if matches!(errno, Errno::ESRCH | Errno::EINVAL) {
        error.help("no such process; `ps` lists those there are")
    } else {
        error
    }
}

impl Stage for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    /// A PID namespace is joined by the children of who asks, so the parent asks. It needs the rights of the
    /// container's user namespace for that, so it joins that one first.
    fn prepare(&mut self) -> Result<()> {
        // Nobody in the container may look into this process through /proc before it has become theirs (CVE-2016-9962).
        set_dumpable(false).or_call("prctl", "PR_SET_DUMPABLE")?;
        let flags = self.flags & (CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID);
        if !flags.is_empty() {
            setns(self.pidfd.as_fd(), flags).or_call("setns", format!("user and PID namespace of {}", self.pid))?;
            explain!(3, "the next child is born in there", "setns({}, USER|PID)", self.pid);
        }
        Ok(())
    }

    fn create_container(&mut self) -> Result<()> {
        let flags = self.flags - (CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID);
        if !flags.is_empty() {
            setns(self.pidfd.as_fd(), flags).or_call("setns", format!("the namespaces of {}", self.pid))?;
            explain!(3, "in all of its namespaces at once", "setns({}, {})", self.pid, process::namespace_names(flags));
        }
        isolation::own_umask();
        fchdir(&self.root).or_call("fchdir", "the container's root")?;
        chroot(".").or_call("chroot", "the container's root")?;
        if self.flags.contains(CloneFlags::CLONE_NEWUSER) {
            user::become_root_inside(self.groups_denied)?;
        }
        Ok(())
    }
}
