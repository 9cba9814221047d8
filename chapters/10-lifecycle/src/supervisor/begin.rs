//! The beginning of the light phase: what was handed over is taken up.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use process::{OrCall, Result};

use super::handover::{Handover, keep_back};
use super::health::Monitor;
use super::input::Input;
use super::json::Stream;
use super::light::Light;
use super::log::{Driver, Log, path_of};
use super::output::{CHUNK, Output};
use crate::state::{Health, State};

impl Light {
    /// Takes up what stands in `file`.
    pub(super) fn new(file: &Path) -> Result<Self> {
        let handover = Handover::read(file)?;
        stand_alone(&handover.directory)?;
        // Before the first look at the children: a death that comes now is in the descriptor.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).or_call("sigprocmask", "")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&SigSet::all(), flags).or_call("signalfd", "")?;
        let fds = handover.fds.take();
        let ends = [&fds.stdin, &fds.stdout, &fds.stderr, &fds.terminal].into_iter().flatten();
        ends.clone().chain([&fds.control]).try_for_each(at_once)?;
        ends.chain([&fds.control]).chain(&fds.keep).chain(&fds.carry).try_for_each(keep_back)?;
        let terminal = fds.terminal.as_ref().map(OwnedFd::try_clone).transpose().or_call("dup", "the terminal")?;
        let tty = terminal.is_some();
        let own = |fd: Option<OwnedFd>, stream, tty| fd.map(|fd| Output::new(fd, stream, tty));
        let to_terminal = terminal.as_ref().map(OwnedFd::try_clone).transpose().or_call("dup", "the terminal")?;
        let input = Input::new(fds.stdin.or(to_terminal), tty, handover.stdin_once);
        let outputs = [
            own(fds.terminal, Stream::Stdout, true),
            own(fds.stdout, Stream::Stdout, false),
            own(fds.stderr, Stream::Stderr, false),
        ];
        let path = path_of(&handover.directory, &handover.id);
        let log = match handover.log.driver {
            Driver::JsonFile => Some(Log::open(&path, handover.log)?),
            Driver::None => None,
        };
        let started = Instant::now();
        let mut light = Self {
            state: State::read(&handover.directory)?,
            signals,
            control: fds.control,
            peers: Vec::new(),
            clients: Vec::new(),
            outputs: outputs.into_iter().flatten().collect(),
            input,
            terminal,
            log,
            monitor: handover.health.clone().map(|settings| Monitor::new(settings, started)),
            buffer: vec![0; CHUNK],
            started,
            kill_at: None,
            restart_at: None,
            is_leaving: false,
            is_full: false,
            is_rested: false,
            keep: fds.keep,
            carry: fds.carry,
            handover,
        };
        if light.monitor.is_some() && light.state.health.is_none() {
            light.state.health = Some(Health::default());
            light.note();
        }
        Ok(light)
    }
}

/// A session of its own, the root as working directory, nothing on standard input and output. What goes wrong is told
/// in `supervisor.log`, a panic too.
fn stand_alone(directory: &Path) -> Result<()> {
    let path = directory.join("supervisor.log");
    let errors =
        OpenOptions::new().append(true).create(true).mode(0o600).open(&path).or_call("open", path.display())?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", "/dev/null")?;
    dup2_stdin(&null).or_call("dup2", "standard input")?;
    dup2_stdout(&null).or_call("dup2", "standard output")?;
    dup2_stderr(&errors).or_call("dup2", "standard error")?;
    let _ = setsid(); // EPERM: the heavy phase has done so
    chdir("/").or_call("chdir", "/")?;
    nix::sys::prctl::set_name(c"cooper-supervis").or_call("prctl", "PR_SET_NAME") // 15 characters are kept
}

/// Reading and writing never waits. It is our end alone that is changed, not the program's.
fn at_once(fd: &OwnedFd) -> Result<()> {
    let flags = fcntl(fd, FcntlArg::F_GETFL).or_call("fcntl", "F_GETFL")?;
    let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
    fcntl(fd, FcntlArg::F_SETFL(flags)).or_call("fcntl", "F_SETFL").map(drop)
}
