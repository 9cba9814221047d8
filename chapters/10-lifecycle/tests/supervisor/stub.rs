//! The test program itself in the place of the engine: it is the heavy phase of a supervisor that builds nothing but a
//! child, and the commands that look at its log and attach to it.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser;
use harness::Outcome;
use lifecycle::engine::attach::{Attachment, Ended, Wanted};
use lifecycle::engine::detach::DetachKeys;
use lifecycle::engine::logs::LogsArgs;
use lifecycle::state::State;
use lifecycle::supervisor::control::{self, SOCKET};
use lifecycle::supervisor::handover::Numbers;
use lifecycle::supervisor::health::Settings as Health;
use lifecycle::supervisor::log::Settings as LogSettings;
use lifecycle::supervisor::restart::Policy;
use lifecycle::supervisor::{Descriptors, Handover, Then};
use nix::fcntl::OFlag;
use nix::unistd::{dup, pipe2};
use serde::{Deserialize, Serialize};

use crate::sys;

/// The id of every container here.
pub const ID: &str = "c0ffee";

/// What the stub is to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    pub command: Vec<String>,
    pub tty: bool,
    pub stdin: bool,
    pub restart: String,
    pub stop_timeout_ms: i64,
    pub log: LogSettings,
    pub health: Option<Health>,
    pub cgroup: Option<PathBuf>,
    pub helper: bool,
    /// Say `ready` when the socket is there, and go on when something is answered.
    pub wait: bool,
}

impl Spec {
    /// A shell that runs `script`.
    pub fn shell(script: &str) -> Self {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let (restart, log) = ("no".to_owned(), LogSettings::default());
        Self {
            command,
            tty: false,
            stdin: false,
            restart,
            stop_timeout_ms: 10_000,
            log,
            health: None,
            cgroup: None,
            helper: false,
            wait: true,
        }
    }
}

/// `logs` and `attach` as commands.
#[derive(Parser)]
enum Tool {
    Heavy {
        how: String,
        dir: PathBuf,
        control: Option<i32>,
    },
    Logs {
        dir: PathBuf,
        #[command(flatten)]
        args: LogsArgs,
    },
    Attach {
        dir: PathBuf,
        patience_ms: Option<u64>,
    },
}

/// Is this process to be one of them?
pub fn enter_if_asked() {
    lifecycle::supervisor::enter_if_asked();
    if !matches!(std::env::args().nth(1).as_deref(), Some("heavy" | "logs" | "attach")) {
        return;
    }
    let done = match Tool::parse() {
        Tool::Heavy { how, dir, control } => heavy(&how, &dir, control),
        Tool::Logs { dir, args } => args.print(&dir, ID, &dir.join(SOCKET)).map(|()| 0).map_err(Into::into),
        Tool::Attach { dir, patience_ms } => attach(&dir, patience_ms),
    };
    std::process::exit(done.unwrap_or_else(|failed| {
        eprintln!("{}", failed.message().unwrap_or_default());
        125
    }))
}

fn attach(dir: &Path, patience_ms: Option<u64>) -> Outcome<i32> {
    let detach_keys = DetachKeys::parse("ctrl-p,ctrl-q")?;
    let patience = patience_ms.map(Duration::from_millis);
    let wanted = Wanted { stdin: true, stdout: true, stderr: true, patience, detach_keys, sig_proxy: true };
    let ended = Attachment::connect(&dir.join(SOCKET), wanted)?.run()?;
    eprintln!("{ended:?}");
    Ok(if let Ended::Exit(code) = ended { code } else { 100 })
}

fn heavy(how: &str, dir: &Path, control: Option<i32>) -> Outcome<i32> {
    let mut life = OpenOptions::new().append(true).create(true).open(dir.join("life"))?;
    writeln!(life, "{how}")?;
    if how == "ended" {
        return Ok(0);
    }
    let spec: Spec = serde_json::from_slice(&std::fs::read(dir.join("spec.json"))?)?;
    let control = match control {
        Some(number) => sys::inherited(number),
        None => control::listen(&dir.join(SOCKET))?,
    };
    if how == "start" && spec.wait {
        println!("ready");
        std::io::stdin().read_exact(&mut [0])?;
    }
    let mut state = State::read(dir).unwrap_or_default();
    let (pid, mut fds) = if spec.tty { on_terminal(&spec)? } else { on_pipes(&spec)? };
    state.begin(pid, 1);
    state.write(dir)?;
    fds.control = control;
    let helpers =
        if spec.helper { vec![Command::new("sleep").arg("1000").spawn()?.id().cast_signed()] } else { vec![] };
    let (file, own) = (dir.to_string_lossy().into_owned(), "/proc/self/exe");
    let words = |how: &str| ["test", "heavy", how, &file].map(str::to_owned).to_vec();
    let mut restart = words("restart");
    restart.push(fds.control.as_raw_fd().to_string());
    let handover = Handover {
        id: ID.into(),
        name: "web".into(),
        directory: dir.to_owned(),
        pid,
        helpers,
        cgroup: spec.cgroup,
        log: spec.log,
        restart: spec.restart.parse::<Policy>()?,
        stop_signal: 15,
        stop_timeout_ms: spec.stop_timeout_ms,
        stdin_once: spec.stdin,
        health: spec.health,
        events: Some(dir.join("events.json")),
        then: Then { program: own.into(), ended: words("ended"), restart },
        fds: Numbers::default(),
    };
    Err(handover.exec(dir, fds).into())
}

fn command(spec: &Spec) -> Command {
    let mut command = Command::new(&spec.command[0]);
    command.args(&spec.command[1..]);
    command
}

fn on_pipes(spec: &Spec) -> Outcome<(i32, Descriptors)> {
    let flags = OFlag::O_CLOEXEC;
    let (stdin, stdout, stderr) = (pipe2(flags)?, pipe2(flags)?, pipe2(flags)?);
    let mut command = command(spec);
    command.stdout(stdout.1).stderr(stderr.1);
    command.stdin(if spec.stdin { Stdio::from(stdin.0) } else { Stdio::null() });
    let child = command.spawn()?;
    let stdin = spec.stdin.then_some(stdin.1);
    Ok((child.id().cast_signed(), descriptors(stdin, Some(stdout.0), Some(stderr.0), None)?))
}

fn on_terminal(spec: &Spec) -> Outcome<(i32, Descriptors)> {
    let pty = nix::pty::openpty(None, None)?;
    for fd in [&pty.master, &pty.slave] {
        nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    }
    // setsid(1) makes it the controlling terminal, and executes the program in its own place.
    let mut command = Command::new("setsid");
    command.arg("--ctty").args(&spec.command);
    command.stdin(pty.slave.try_clone()?).stdout(pty.slave.try_clone()?).stderr(pty.slave);
    let child = command.spawn()?;
    Ok((child.id().cast_signed(), descriptors(None, None, None, Some(pty.master))?))
}

fn descriptors(
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
) -> Outcome<Descriptors> {
    let control = dup(std::io::stderr())?; // replaced by the caller
    Ok(Descriptors { stdin, stdout, stderr, terminal, control, keep: Vec::new(), carry: Vec::new() })
}
