//! The phase in which a supervisor knows everything: it builds the container, then becomes the light one, which only
//! tends it. Afterwards it is this one again, which starts anew or cleans up.

use std::convert::Infallible;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cgroups::Group;
use layers::{Config, ContainerDir};
use namespaces::rootless;
use namespaces::running::{self, start_time};
use nix::unistd::{chdir, setsid};
use process::{Error, Exit, Handed, Keep, OrCall, Result};

use super::handover::{Descriptors, FILE, Handover, NAME, Then};
use super::report::Report;
use super::spawn::PROGRAM;
use super::stdio::{Ends, Stdio};
use super::{directory, end, sys};
use crate::engine::options::{CreateArgs, Options};
use crate::engine::{create, events, recipe};
use crate::state::{Health, State};

/// What the heavy phase has of an earlier program: the one that spawned it, or the light phase.
struct Inherited {
    /// Of the container's directory.
    lock: OwnedFd,
    /// The supervisor's socket, which others may have called already.
    control: OwnedFd,
}

/// `start ID LOCK CONTROL`: a command has spawned us, and waits for a report on standard output. `again ID`, `end ID`:
/// we were the light phase. Never returns.
pub fn enter(words: &[&str]) -> ! {
    let explained = words.last() == Some(&"--explain");
    if explained {
        process::explain::enable();
    }
    let done = match words[..words.len() - usize::from(explained)] {
        ["start", id, lock, control] => first(id, lock, control),
        ["again", id] => again(id),
        ["end", id] => last(id),
        _ => Err(Error::invalid(format!("{NAME} is started by `run` and `start`, not by hand"))),
    };
    if let Err(error) = &done {
        eprintln!("{NAME}: {error}");
    }
    std::process::exit(if done.is_ok() { 0 } else { Exit::ENGINE.into() })
}

fn first(id: &str, lock: &str, control: &str) -> Result<()> {
    let _ = setsid(); // no Ctrl-C of the command's terminal is meant for us
    let number = |text: &str| text.parse().map_err(|_| Error::invalid(format!("{text:?} is no descriptor")));
    let inherited = Inherited { lock: sys::own(number(lock)?), control: sys::own(number(control)?) };
    let report = std::io::stdout().as_fd().try_clone_to_owned().or_call("dup", "the report's pipe")?;
    let mut report = Some(report);
    let done = begin(id, inherited, |pid| {
        report.take().into_iter().for_each(|pipe| Report::Started(pid).send(pipe));
    });
    match (done, report) {
        // The command tells it; in the log of a supervisor nobody looks for it.
        (Err(error), Some(pipe)) => {
            Report::failed(&error).send(pipe);
            std::process::exit(Exit::ENGINE.into())
        }
        (done, _) => done.map(|never| match never {}),
    }
}

fn again(id: &str) -> Result<()> {
    let handover = Handover::read(&directory(id).join(FILE))?;
    let inherited = Inherited { lock: lock_of(&handover)?, control: sys::own(handover.fds.control) };
    begin(id, inherited, |_| {}).map(|never| match never {})
}

/// Cleans up: what the container leaves, and itself if it was not to stay.
fn last(id: &str) -> Result<()> {
    rootless::enter()?;
    let handover = Handover::read(&directory(id).join(FILE))?;
    let mut container = ContainerDir::find(id)?;
    container.inherit(lock_of(&handover)?)?;
    let _ = fs::remove_dir_all(directory(id));
    let group = handover.cgroup.and_then(|path| Group::open(path).ok());
    end::end(container, group.as_ref())
}

fn lock_of(handover: &Handover) -> Result<OwnedFd> {
    let lock = handover.fds.carry.first().copied().map(sys::own);
    lock.ok_or_else(|| Error::invalid("the light phase has lost the container's lock"))
}

/// Starts the container, tells `started` its process, and becomes its light supervisor. A failure stands in its state.
fn begin(id: &str, inherited: Inherited, started: impl FnOnce(i32)) -> Result<Infallible> {
    rootless::enter()?;
    let mut container = ContainerDir::find(id)?;
    container.inherit(inherited.lock)?;
    let path = container.path().to_owned();
    let begun = start(container, inherited.control).and_then(|(handover, fds)| {
        started(handover.pid);
        leave_streams(&path)?;
        Err(handover.exec(&directory(id), fds))
    });
    begun.inspect_err(|error| {
        failed(&path, error);
        let _ = fs::remove_dir_all(directory(id));
    })
}

fn start(container: ContainerDir, control: OwnedFd) -> Result<(Handover, Descriptors)> {
    end::sweep(None)?; // what an earlier life of it has left, should that have been cut short
    let (path, config) = (container.path().to_owned(), container.config().clone());
    let kept = Options::load(&path)?;
    let args = kept.parse()?;
    let _ = chdir(&kept.directory); // relative paths in the options count from there
    let lock = container.lock_for_heirs();
    let (stdio, ends) = Stdio::new(kept.tty, kept.stdin)?;
    let created = recipe::plan(container, &kept, &args, stdio)?.create()?;
    // Asked now: a short program may have ended before the next line is done.
    let pid = created.child().pid().as_raw();
    let since = start_time(pid).unwrap_or_default();
    let cgroup = running::find(&config.id).and_then(|record| Group::of_container(&record));
    let running = created.start()?;
    let ends = ends.arrived()?;
    let cgroup = cgroup.ok().map(|group| group.path().to_owned());
    let mut handover = handover(&config, path, &kept, &args);
    (handover.pid, handover.cgroup) = (pid, cgroup);
    let mut state = State::read(&handover.directory)?;
    state.begin(pid, since);
    // Whoever sees it running sees that it is watched.
    state.health = handover.health.as_ref().map(|_| Health::default());
    state.write(&handover.directory)?;
    events::started(&config);
    let fds = descriptors(&mut handover, running.hand_over(), ends, control, lock);
    Ok((handover, fds))
}

/// What does not depend on this very life of the container.
fn handover(config: &Config, directory: PathBuf, kept: &Options, args: &CreateArgs) -> Handover {
    let words = |life: &str| [NAME, life, &config.id].map(str::to_owned).to_vec();
    Handover {
        id: config.id.clone(),
        name: config.name.clone(),
        directory,
        pid: 0,
        helpers: Vec::new(),
        cgroup: None,
        log: args.life.log().unwrap_or_default(),
        restart: args.life.restart,
        stop_signal: create::stop_signal(kept) as i32,
        stop_timeout_ms: args.life.stop_timeout_ms(),
        stdin_once: kept.stdin_once,
        health: kept.health.as_ref().and_then(|check| check.settings(&config.id)),
        events: Some(events::file()),
        then: Then { program: PROGRAM.into(), ended: words("end"), restart: words("again") },
        fds: Default::default(),
    }
}

fn descriptors(
    handover: &mut Handover,
    handed: Handed,
    ends: Ends,
    control: OwnedFd,
    lock: Option<OwnedFd>,
) -> Descriptors {
    let (stdin, stdout, stderr, terminal) = match ends {
        Ends::Terminal(master) => (None, None, None, Some(master)),
        Ends::Pipes { stdin, stdout, stderr } => (stdin, Some(stdout), Some(stderr), None),
    };
    let mut keep = Vec::new();
    for one in handed.keep {
        match one {
            Keep::Fd(fd) => keep.push(fd),
            Keep::Process(pid) => handover.helpers.push(pid.as_raw()),
        }
    }
    Descriptors { stdin, stdout, stderr, terminal, control, keep, carry: lock.into_iter().collect() }
}

/// From here on nobody reads what we say; the report's pipe, too, must end.
fn leave_streams(container: &Path) -> Result<()> {
    let log = container.join("supervisor.log");
    let errors = File::options().append(true).create(true).open(&log).or_call("open", log.display())?;
    let null = File::options().read(true).write(true).open("/dev/null").or_call("open", "/dev/null")?;
    nix::unistd::dup2_stdin(&null).or_call("dup2", "standard input")?;
    nix::unistd::dup2_stdout(&null).or_call("dup2", "standard output")?;
    nix::unistd::dup2_stderr(&errors).or_call("dup2", "standard error")
}

/// Writes down why it did not start. Its exit code is the one that the command gives.
fn failed(container: &Path, error: &Error) {
    let Ok(mut state) = State::read(container) else { return };
    state.could_not_start(error);
    if let Err(error) = state.write(container) {
        eprintln!("{NAME}: {error}");
    }
}
