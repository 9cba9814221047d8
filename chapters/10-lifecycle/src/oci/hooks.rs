//! Hooks: programs that config.json has run at certain moments of a container's life (config.md, "POSIX-platform Hooks").
//!
//! Each gets the container's state as JSON on its standard input. In the runtime's namespaces run `prestart`,
//! `createRuntime`, `poststart` and `poststop`, in the container's `createContainer` and `startContainer`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;
use oci_spec::runtime::{ContainerState, Hook, Hooks, State};
use process::{Child, Error, OrCall, Program, Result, Stage, explain};
use serde::Serialize;

use super::bundle::invalid;
use super::state::Status;

/// What a hook is told: the state of runtime.md.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The specification's version.
    pub oci_version: String,
    /// The container's name.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// Its first process, as the hook sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// As config.json has them.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub annotations: HashMap<String, String>,
}

impl Told {
    /// The same for who answers the container's calls (`linux.seccomp.listenerPath`).
    pub fn state(&self) -> State {
        let mut state = State::default();
        state.set_version(self.oci_version.clone()).set_id(self.id.clone()).set_pid(self.pid);
        state.set_status(match self.status {
            Status::Creating => ContainerState::Creating,
            Status::Created => ContainerState::Created,
            Status::Running | Status::Paused => ContainerState::Running,
            Status::Stopped => ContainerState::Stopped,
        });
        state.set_bundle(self.bundle.clone()).set_annotations(Some(self.annotations.clone()));
        state
    }
}

/// The hooks that run while a container is created and started, as a stage. It stands after all that furnishes the
/// root and before who takes it.
pub struct CreateHooks {
    /// In the runtime's namespaces, once the container's are furnished: `prestart`, then `createRuntime`.
    pub runtime: Vec<(&'static str, Hook)>,
    /// In the container's namespaces, before the root is taken.
    pub container: Vec<Hook>,
    /// In the container, before its program.
    pub start: Vec<Hook>,
    /// What they are told.
    pub told: Told,
}

impl CreateHooks {
    /// The hooks of `hooks`; none if there are none of these kinds.
    pub fn new(hooks: &Hooks, told: Told) -> Option<Self> {
        #[allow(deprecated)] // `prestart` is deprecated by the specification, and still in use
        let prestart = hooks.prestart();
        let named = |name, list: &Option<Vec<Hook>>| list.iter().flatten().map(|hook| (name, hook.clone())).collect();
        let mut runtime: Vec<_> = named("prestart", prestart);
        runtime.extend::<Vec<_>>(named("createRuntime", hooks.create_runtime()));
        let container = hooks.create_container().clone().unwrap_or_default();
        let start = hooks.start_container().clone().unwrap_or_default();
        let any = !(runtime.is_empty() && container.is_empty() && start.is_empty());
        any.then_some(Self { runtime, container, start, told })
    }
}

impl Stage for CreateHooks {
    fn name(&self) -> &'static str {
        "hooks"
    }

    fn furnished(&mut self, child: &Child) -> Result<()> {
        self.told.pid = Some(child.pid().as_raw());
        self.runtime.iter().try_for_each(|(name, hook)| run(name, hook, &self.told))
    }

    fn enter_root(&mut self) -> Result<()> {
        if self.container.is_empty() {
            return Ok(());
        }
        self.told.pid = Some(Pid::this().as_raw());
        self.container.iter().try_for_each(|hook| run("createContainer", hook, &self.told))
    }

    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        if self.start.is_empty() {
            return Ok(());
        }
        (self.told.pid, self.told.status) = (Some(Pid::this().as_raw()), Status::Created);
        self.start.iter().try_for_each(|hook| run("startContainer", hook, &self.told))
    }
}

/// Runs the hooks of one moment that later commands come to, in their order. A `poststart` hook that fails ends the
/// container, so the first error ends the list; of `poststop` all run, whatever happens to one (runtime.md,
/// "Lifecycle").
///
/// # Errors
/// Those of [`run`]: the first one.
pub fn run_all(moment: &'static str, hooks: &[Hook], told: &Told) -> Vec<Error> {
    let mut errors = Vec::new();
    for hook in hooks {
        if let Err(error) = run(moment, hook, told) {
            errors.push(error);
            if moment != "poststop" {
                break;
            }
        }
    }
    errors
}

/// Runs one hook and waits for it.
///
/// # Errors
/// A program that cannot be executed, that fails (with the end of what it said), or that takes too long.
pub fn run(moment: &'static str, hook: &Hook, told: &Told) -> Result<()> {
    let show = &hook.path().display();
    let at = |error: Error| error.at(format_args!("{moment} hook {show}"));
    let mut command = Command::new(hook.path());
    let args = hook.args().as_deref().unwrap_or_default();
    if let Some((name, rest)) = args.split_first() {
        command.arg0(name).args(rest);
    }
    let env = hook.env().iter().flatten().map(|entry| entry.split_once('=').unwrap_or((entry, "")));
    command.env_clear().envs(env);
    command.stdin(Stdio::from(state(told).map_err(at)?));
    if told.bundle.is_dir() {
        command.current_dir(&told.bundle);
    }
    let said = scratch("hook-stderr").map_err(at)?;
    for which in [Command::stdout, Command::stderr] {
        which(&mut command, Stdio::from(said.try_clone().or_call("dup", "a memory file").map_err(at)?));
    }
    let mut child = command.spawn().or_call("exec", show).map_err(|error| {
        at(error.help("hooks of the runtime are programs of the host, startContainer hooks programs of the container"))
    })?;
    explain!(10, "a hook, with the container's state on its input", "{moment}: exec({show}) = {}", child.id());
    let status = match hook.timeout() {
        None => child.wait().or_call("waitpid", show).map_err(at)?,
        Some(seconds) => match within(&mut child, Duration::from_secs(seconds.unsigned_abs())).map_err(at)? {
            Some(status) => status,
            None => {
                let _ = child.kill();
                let _ = child.wait();
                let what = format!("it did not end within {seconds} s and was killed");
                return Err(at(Error::invalid(what).help("raise its timeout, or find out what it waits for")));
            }
        },
    };
    if status.success() { Ok(()) } else { Err(at(failure(status, said))) }
}

/// Hooks can be run as they are written.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid): a path that is not absolute, no time at all.
pub fn check(hooks: &Hooks) -> Result<()> {
    #[allow(deprecated)]
    let all = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (name, list) in all {
        for hook in list.iter().flatten() {
            if !hook.path().is_absolute() {
                return Err(invalid(&format!("hooks.{name}: the path {:?} is not absolute", hook.path())));
            }
            if hook.timeout().is_some_and(|seconds| seconds <= 0) {
                return Err(invalid(&format!("hooks.{name}: the timeout must be greater than 0 s")));
            }
        }
    }
    Ok(())
}

/// A file in memory: unlike a pipe, it holds a state of any length for a hook that never reads.
fn state(told: &Told) -> Result<File> {
    let mut file = scratch("container-state")?;
    let json = serde_json::to_vec(told).map_err(|error| Error::invalid(error.to_string()))?;
    file.write_all(&json).and_then(|()| file.rewind()).or_call("write", "the container's state")?;
    Ok(file)
}

fn scratch(name: &str) -> Result<File> {
    memfd_create(name, MFdFlags::MFD_CLOEXEC).map(File::from).or_call("memfd_create", name)
}

/// Waits so long at most; none if it has not ended.
fn within(child: &mut std::process::Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let pidfd = process::sys::pidfd_open(Pid::from_raw(child.id() as i32)).or_call("pidfd_open", "a hook")?;
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // Rounded up: a timeout of 0 would poll without waiting until the last millisecond is over.
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout);
        match child.try_wait().or_call("waitpid", "a hook")? {
            None if !left.is_zero() => {}
            done => return Ok(done),
        }
    }
}

/// How it ended, and the last of what it said.
fn failure(status: ExitStatus, mut said: File) -> Error {
    use std::io::Read;
    let mut text = Vec::new();
    let _ = said.rewind().and_then(|()| said.read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    let start = text.char_indices().rev().nth(399).map_or(0, |(at, _)| at);
    let colon = if text.is_empty() { "" } else { ": " };
    Error::invalid(format!("it ended with {status}{colon}{}", &text[start..]))
}
