//! One more program in a container that runs: it joins what the first one is in, and is confined as config.json says.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use cgroups::{Group, NumberList};
use nix::unistd::Pid;
use oci_spec::runtime::{LinuxSeccomp, Process};
use process::{Error, Kind, OrCall, Program, Result, Stage};
use security::{Confine, Seal};

use super::attributes::{self, Assume, pin};
use super::confinement;
use super::console::Terminal;
use super::hooks::Told;
use super::process::{self as program, Identity};

/// The container, and how the program shall be in it.
#[derive(Debug)]
pub struct Join<'a> {
    /// What is told of the container.
    pub told: Told,
    /// Its first process.
    pub pid: Pid,
    /// Its control group, if it has one of its own.
    pub cgroup: Option<&'a Path>,
    /// Its filter of system calls.
    pub seccomp: Option<&'a LinuxSeccomp>,
    /// Connected to who waits for the terminal's master; needed if and only if `process.terminal` is set.
    pub console: Option<OwnedFd>,
    /// Also if the container is held still: the program then waits until that goes on.
    pub ignore_paused: bool,
    /// So many descriptors behind the standard ones stay open.
    pub preserve_fds: u32,
}

/// The program of `process` and the stages behind which it runs in `into`.
///
/// # Errors
/// As [`recipe`](super::recipe); `ESRCH` if the container has ended.
pub fn exec_recipe(process: &Process, into: &Join<'_>) -> Result<(Program, Vec<Box<dyn Stage>>)> {
    program::check(process)?;
    let mut confinement = confinement::of_process(process)?;
    confinement.seccomp = into.seccomp.cloned();
    let affinity = process.exec_cpu_affinity().as_ref();
    let first = affinity.and_then(|affinity| affinity.initial().as_deref());
    let last = affinity.and_then(|affinity| affinity.cpu_affinity_final().as_deref());
    let attributes = attributes::of(process)?.on(last)?;
    let mut stages: Vec<Box<dyn Stage>> =
        vec![Box::new(JoinGroup::new(into, first)?), Box::new(::namespaces::Join::new(into.pid)?)];
    match (&into.console, process.terminal() == Some(true)) {
        (_, false) => {}
        (Some(socket), true) => {
            let socket = socket.try_clone().or_call("dup", "the console socket")?;
            stages.push(Box::new(Terminal::new(process, socket, false)));
        }
        (None, true) => {
            return Err(Error::invalid("a terminal needs who holds its other end").help("give --console-socket"));
        }
    }
    if attributes != attributes::Attributes::default() {
        stages.push(Box::new(Assume(attributes)));
    }
    stages.push(Box::new(Confine::beside(confinement.clone())));
    stages.push(Box::new(Identity::new(process.user())));
    stages.push(Box::new(Seal::of(into.told.state(), confinement)));
    Ok((program::program(process, into.preserve_fds), stages))
}

/// The stage that has the child born in the container's group, from these CPUs (`execCPUAffinity.initial`): on others
/// not even the way into the group may use a CPU that is kept for somebody.
struct JoinGroup {
    group: Option<Group>,
    cpus: Option<NumberList>,
}

impl JoinGroup {
    fn new(into: &Join<'_>, cpus: Option<&str>) -> Result<Self> {
        let group = into.cgroup.map(Group::open).transpose()?;
        if !into.ignore_paused && group.as_ref().is_some_and(Group::is_frozen) {
            return Err(Error::new(Kind::Conflict, "the container is paused").help("let it go on first: resume"));
        }
        let cpus = cpus.filter(|cpus| !cpus.is_empty()).map(str::parse).transpose()?;
        Ok(Self { group, cpus })
    }
}

impl Stage for JoinGroup {
    fn name(&self) -> &'static str {
        "cgroup"
    }

    fn prepare(&mut self) -> Result<()> {
        cgroups::delegate();
        self.cpus.as_ref().map_or(Ok(()), pin)
    }

    fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.group.as_ref().map(AsFd::as_fd)
    }
}
