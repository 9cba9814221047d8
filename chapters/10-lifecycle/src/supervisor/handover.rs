//! How the heavy phase, which builds a container, passes it to the light one, which tends it.
//!
//! It is one process: execve(2) keeps children and descriptors, and leaves the memory behind. What the light phase must
//! know stands in a file that a reader can `cat`, `handover.json`; the numbers of the descriptors stand there too.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use process::{Error, Kind, OrCall, Result};
use serde::{Deserialize, Serialize};

use super::restart::Policy;
use super::{health, log, sys};

/// What the light phase is called: `argv[0]`, by which `main` knows it.
pub const NAME: &str = "cooper-supervisor";

/// The file's name in the container's runtime directory.
pub(super) const FILE: &str = "handover.json";

/// A running container, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `data/containers/ID`: `state.json` (written already, status running), `log/` and `supervisor.log` are in it.
    pub directory: PathBuf,
    /// The container's first process, a child of this one.
    pub pid: i32,
    /// Children of this process that serve the container, such as pasta: ended after it.
    pub helpers: Vec<i32>,
    /// Its control group, if it has one: it tells of memory that ran out, and freezes.
    pub cgroup: Option<PathBuf>,
    /// How its log is kept.
    pub log: log::Settings,
    /// Whether it is started again.
    pub restart: Policy,
    /// What `stop` sends, if nothing else is asked for.
    pub stop_signal: i32,
    /// How long it waits before SIGKILL; negative means for ever.
    pub stop_timeout_ms: i64,
    /// The first client that closes its side of standard input closes the program's (`run -i`).
    pub stdin_once: bool,
    /// Its health check.
    pub health: Option<health::Settings>,
    /// The engine's file of events, which is appended to.
    pub events: Option<PathBuf>,
    /// What this process becomes when the container has ended.
    pub then: Then,
    /// Where the descriptors are. Filled by [`exec`](Self::exec).
    #[serde(default)]
    pub fds: Numbers,
}

/// The program that the light phase becomes when the container has ended: the heavy one again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Then {
    /// Its file; `/proc/self/exe` is this very one, even if it was replaced meanwhile.
    pub program: PathBuf,
    /// Its arguments, the name first, if it is to clean up.
    pub ended: Vec<String>,
    /// And if it is to start the container again.
    pub restart: Vec<String>,
}

/// The descriptors that are handed over, whatever their close-on-exec flags.
#[derive(Debug)]
pub struct Descriptors {
    /// The writing end of the program's standard input, if it has one.
    pub stdin: Option<OwnedFd>,
    /// The reading end of its standard output.
    pub stdout: Option<OwnedFd>,
    /// The reading end of its standard error.
    pub stderr: Option<OwnedFd>,
    /// Or, in the place of these three, the master of its terminal.
    pub terminal: Option<OwnedFd>,
    /// The control socket, from [`control::listen`](super::control::listen). A restarted heavy phase inherits it under
    /// the same number; one that cleans up does not, so that whoever calls then learns that the container has ended.
    pub control: OwnedFd,
    /// What must stay open while the container runs.
    pub keep: Vec<OwnedFd>,
    /// What must also stay open when this process becomes the heavy phase again, such as the container's lock.
    pub carry: Vec<OwnedFd>,
}

/// [`Descriptors`] by their numbers, as they stand in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    pub(super) stdin: Option<RawFd>,
    pub(super) stdout: Option<RawFd>,
    pub(super) stderr: Option<RawFd>,
    pub(super) terminal: Option<RawFd>,
    pub(super) control: RawFd,
    pub(super) keep: Vec<RawFd>,
    pub(super) carry: Vec<RawFd>,
}

impl Handover {
    /// Becomes the light phase; `run` is the container's runtime directory. Returns only if that failed.
    pub fn exec(mut self, run: &Path, fds: Descriptors) -> Error {
        let number = |fd: &Option<OwnedFd>| fd.as_ref().map(AsRawFd::as_raw_fd);
        let numbers = |fds: &[OwnedFd]| fds.iter().map(AsRawFd::as_raw_fd).collect();
        self.fds = Numbers {
            stdin: number(&fds.stdin),
            stdout: number(&fds.stdout),
            stderr: number(&fds.stderr),
            terminal: number(&fds.terminal),
            control: fds.control.as_raw_fd(),
            keep: numbers(&fds.keep),
            carry: numbers(&fds.carry),
        };
        match self.become_light(run, &fds) {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    fn become_light(&self, run: &Path, fds: &Descriptors) -> Result<Infallible> {
        let all = [&fds.stdin, &fds.stdout, &fds.stderr, &fds.terminal].into_iter().flatten();
        all.chain([&fds.control]).chain(&fds.keep).chain(&fds.carry).try_for_each(inherit)?;
        let path = run.join(FILE);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| Error::invalid(error.to_string()))?;
        text.push(b'\n');
        fs::write(&path, text).or_call("write", path.display())?;
        let path = path.to_str().ok_or_else(|| Error::invalid(format!("{} is no UTF-8", path.display())))?;
        Err(exec(&self.then.program, &[NAME, &self.id, path]))
    }

    /// Reads what was handed over.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).or_call("read", path.display())?;
        serde_json::from_slice(&text).map_err(|error| Error::new(Kind::Corrupt, format!("{}: {error}", path.display())))
    }
}

impl Numbers {
    /// Owns each of them, once.
    pub(super) fn take(&self) -> Descriptors {
        Descriptors {
            stdin: self.stdin.map(sys::own),
            stdout: self.stdout.map(sys::own),
            stderr: self.stderr.map(sys::own),
            terminal: self.terminal.map(sys::own),
            control: sys::own(self.control),
            keep: self.keep.iter().copied().map(sys::own).collect(),
            carry: self.carry.iter().copied().map(sys::own).collect(),
        }
    }
}

/// Lets the next program have `fd`.
pub(super) fn inherit(fd: &OwnedFd) -> Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).or_call("fcntl", "F_SETFD").map(drop)
}

/// Keeps `fd` from the next program.
pub(super) fn keep_back(fd: &OwnedFd) -> Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).or_call("fcntl", "F_SETFD").map(drop)
}

/// execve(2) with our own environment. Returns only on failure.
pub(super) fn exec(program: &Path, argv: &[impl AsRef<str>]) -> Error {
    let strings = |items: Vec<Vec<u8>>| items.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    let env = std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
    let argv = argv.iter().map(|word| word.as_ref().as_bytes().to_vec()).collect();
    match (CString::new(program.as_os_str().as_bytes()), strings(argv), strings(env)) {
        (Ok(path), Ok(argv), Ok(env)) => {
            Error::call("execve", program.display(), process::sys::execve(&path, &argv, &env))
        }
        _ => Error::invalid("an argument of the supervisor holds a NUL byte"),
    }
}
