//! One group: a directory held open, and its files.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use namespaces::running::Running;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use process::{Error, Kind, OrCall, Result, explain};

use crate::Hierarchy;
use crate::hierarchy::cgroup_of;
use crate::place::Place;

/// How long the freezer may take; a process in an uninterruptible call keeps it waiting.
const FREEZE: Duration = Duration::from_secs(10);

/// A group of processes, by a handle of its directory.
#[derive(Debug)]
pub struct Group {
    dir: OwnedFd,
    path: PathBuf,
}

impl Group {
    /// The group whose directory is `path`.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let dir = open(&path, DIRECTORY, Mode::empty()).or_call("open", path.display())?;
        Ok(Self { dir, path })
    }

    /// The group directly below this one.
    ///
    /// # Errors
    /// As openat(2).
    pub fn child(&self, name: &str) -> Result<Self> {
        let path = self.path.join(name);
        let dir = openat(&self.dir, name, DIRECTORY, Mode::empty()).or_call("openat", path.display())?;
        Ok(Self { dir, path })
    }

    /// The group of a running container.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] with the reason if it has none of its own.
    pub fn of_container(container: &Running) -> Result<Self> {
        let none = |reason: Error| {
            let what = format!("container {} has no group of its own: {}", container.name, reason.what());
            Error::unsupported(what).help(reason.way_out().unwrap_or_default())
        };
        let hierarchy = Hierarchy::find().map_err(none)?;
        let inside = cgroup_of(container.pid).map_err(none)?;
        // The program may have made groups of its own below; the container's is the one that is called like it.
        let named = |path: &&Path| path.file_name().is_some_and(|name| name == container.id.as_str());
        let path = Path::new(&inside).ancestors().find(named).and_then(|path| hierarchy.path_of(path.to_str()?));
        match path {
            Some(path) => Self::open(path),
            None => Err(none(Place::find().map_or_else(
                |reason| reason,
                |_| {
                    Error::unsupported("it was started without one")
                        .help("start it with a step from step04 on; `doctor` tells what groups need here")
                },
            ))),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of one of its files.
    ///
    /// # Errors
    /// As openat(2) and read(2): `ENOENT` if the controller is not enabled here, `ENODEV` if the group is gone.
    pub fn read(&self, file: &str) -> Result<String> {
        let mut text = String::new();
        let fd = openat(&self.dir, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        File::from(fd.or_call("openat", self.show(file))?)
            .read_to_string(&mut text)
            .or_call("read", self.show(file))?;
        Ok(text)
    }

    /// Writes one of its files, in one call as the kernel wants it.
    ///
    /// # Errors
    /// As openat(2) and write(2); which errno means what is told with each file in cgroup-v2.rst.
    pub fn write(&self, file: &str, value: &str) -> Result<()> {
        let fd = openat(&self.dir, file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
        let call = || format!("{value:?} to {}", self.show(file));
        File::from(fd.or_call("openat", self.show(file))?).write_all(value.as_bytes()).or_call("write", call())
    }

    /// Does it have this file?
    pub fn has(&self, file: &str) -> bool {
        openat(&self.dir, file, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).is_ok()
    }

    /// One value of a file of lines `KEY VALUE`; none if file, key or number are missing.
    pub fn value(&self, file: &str, key: &str) -> Option<u64> {
        let text = self.read(file).ok()?;
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// The processes directly in it. One of a PID namespace that we do not see into is left out.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn processes(&self) -> Result<Vec<Pid>> {
        let text = self.read("cgroup.procs")?;
        let pids = text.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid != 0);
        Ok(pids.map(Pid::from_raw).collect())
    }

    /// Is any process in it, or below it?
    pub fn is_populated(&self) -> bool {
        self.value("cgroup.events", "populated") != Some(0)
    }

    /// Is every process of it held still?
    pub fn is_frozen(&self) -> bool {
        self.value("cgroup.events", "frozen") == Some(1)
    }

    /// Holds all of its processes still, and returns once they are.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it is held already; `EBUSY` if a process cannot be stopped in time (it is let go again then).
    pub fn pause(&self) -> Result<()> {
        if self.is_frozen() {
            return Err(Error::new(Kind::Conflict, "it is paused already"));
        }
        self.write("cgroup.freeze", "1")?;
        explain!(4, "every process is held still", "write({}, \"1\")", self.show("cgroup.freeze"));
        if self.wait_for("frozen", 1, FREEZE)? {
            return Ok(());
        }
        self.write("cgroup.freeze", "0")?;
        let what = format!("{}: a process did not stop within {} s", self.show("cgroup.freeze"), FREEZE.as_secs());
        Err(Error::new(Kind::Call(Errno::EBUSY), what)
            .help("it waits in the kernel, as for a dead network file system (`ps` shows it as D); try again"))
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it is not held.
    pub fn unpause(&self) -> Result<()> {
        if self.read("cgroup.freeze")?.trim() == "0" {
            return Err(Error::new(Kind::Conflict, "it is not paused"));
        }
        self.write("cgroup.freeze", "0")?;
        explain!(4, "they go on as if nothing had been", "write({}, \"0\")", self.show("cgroup.freeze"));
        self.wait_for("frozen", 0, FREEZE).map(drop)
    }

    /// Kills every process in it and below it, frozen ones too, at once: none can fork away.
    ///
    /// # Errors
    /// As write(2).
    pub fn kill(&self) -> Result<()> {
        match self.write("cgroup.kill", "1") {
            // Before Linux 5.14: one by one, until nobody is left who could fork.
            Err(error) if error.errno() == Some(Errno::ENOENT) => self.kill_each(),
            done => done,
        }
    }

    fn kill_each(&self) -> Result<()> {
        for _ in 0..100 {
            let processes = self.processes()?;
            if processes.is_empty() {
                break;
            }
            for pid in processes {
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits until `key` of cgroup.events has `value`; false if it has not after `limit`.
    pub(crate) fn wait_for(&self, key: &str, value: u64, limit: Duration) -> Result<bool> {
        let file = "cgroup.events";
        let fd = openat(&self.dir, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let mut events = File::from(fd.or_call("openat", self.show(file))?);
        let end = Instant::now() + limit;
        loop {
            // Read before each poll: what changed since then wakes it (kernfs reports a change as POLLPRI).
            let mut text = String::new();
            std::io::Seek::rewind(&mut events)
                .and_then(|()| events.read_to_string(&mut text).map(drop))
                .or_call("read", self.show(file))?;
            if text.lines().any(|line| line == format!("{key} {value}")) {
                return Ok(true);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = PollTimeout::try_from(left.min(Duration::from_millis(100))).unwrap_or(PollTimeout::ZERO);
            let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], timeout);
        }
    }

    fn show(&self, file: &str) -> String {
        self.path.join(file).display().to_string()
    }
}

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}
