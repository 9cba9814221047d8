//! The stage of this chapter: a lease, a connection, and the files in `/etc` that tell of it.

use std::path::{Path, PathBuf};

use namespaces::{Plan, id, rootless};
use nix::sched::CloneFlags;
use process::{Child, Error, Keep, Result, Stage};
use rootfs::{RootDir, dirs};

use crate::bridge::delete_link;
use crate::carried::Carried;
use crate::fallback;
use crate::files::{self, Files, Hosts};
use crate::ground;
use crate::join::Join;
use crate::resolv::Reach;
use crate::state::{self, State};
use crate::sweep::sweep;
use crate::wire::{Facts, Host, Nothing, Wire};
use crate::wired::Wired;
use crate::{Lease, Mode, Names, NetworkArgs, Resolv, dns};

/// The stage that gives the container its network. It stands after the root and before the system mounts.
pub struct Net {
    id: String,
    name: String,
    hostname: String,
    root: PathBuf,
    run: PathBuf,
    args: NetworkArgs,
    wire: Box<dyn Wire>,
    /// The container whose files in `/etc` these are: this one, or the one that is joined.
    files_of: String,
    files: Files,
    lease: Option<Lease>,
}

impl Net {
    /// As `args` want it, for the container that is planned; `root` is its root directory.
    ///
    /// Decides whether a network namespace is among the plan's flags.
    ///
    /// # Errors
    /// Options that contradict each other, or a container to join that is not there.
    pub fn new(args: &NetworkArgs, plan: &mut Plan, root: PathBuf) -> Result<Self> {
        let mut args = args.clone();
        share_or_not(&mut args, plan)?;
        fallback::settle(&mut args);
        args.check()?;
        let run = dirs().run.clone();
        let mut files_of = plan.id.clone();
        let wire: Box<dyn Wire> = match args.mode() {
            // With others it is a bridge, as theirs are: a carrier's link leads out, and to nobody else.
            Mode::Bridge if rootless::is_rootless() && args.network.len() < 2 => Box::new(Carried::new(&args)),
            Mode::Bridge | Mode::Named(_) => Box::new(Wired::new(&args, &run)),
            Mode::None => Box::new(Nothing),
            Mode::Host => Box::new(Host),
            Mode::Container(name) => {
                let join = Join::new(&name)?;
                join.id().clone_into(&mut files_of);
                share_name(plan, &run, &files_of);
                Box::new(join)
            }
        };
        let (id, name, hostname) = (plan.id.clone(), plan.name.clone(), plan.hostname.clone());
        Ok(Self { id, name, hostname, root, run, args, wire, files_of, files: Files::default(), lease: None })
    }

    fn write_files(&self, directory: &Path, lease: &Lease, facts: &Facts) -> Result<()> {
        let hosts = Hosts {
            of_host: self.args.mode() == Mode::Host,
            hostname: &self.hostname,
            addresses: lease.addresses(),
            gateway: facts.gateway,
            extra: &self.args.add_host,
        };
        let mut resolv = Resolv::new(&self.args, &facts.reach);
        if facts.reach == Reach::Embedded {
            dns::write_upstream(directory, &resolv)?;
            resolv.embed();
        }
        files::write(directory, &hosts, &resolv)
    }
}

/// `--share net` and `--network host` are the same; chapter 3's flag and this chapter's option must agree.
fn share_or_not(args: &mut NetworkArgs, plan: &mut Plan) -> Result<()> {
    let shared = !plan.flags.contains(CloneFlags::CLONE_NEWNET);
    let mode = args.network.first().map(|attachment| attachment.mode.clone());
    match (mode, shared) {
        (None, true) => args.network = vec![Mode::Host.into()],
        (Some(Mode::Host), _) => plan.flags -= CloneFlags::CLONE_NEWNET,
        (Some(mode), true) => {
            return Err(Error::invalid(format!("--share net excludes --network {mode}")).help("leave out one of them"));
        }
        // To join another container's, too: /sys can be mounted afresh only by who asked for a namespace.
        (_, false) => {}
    }
    Ok(())
}

/// Who shares another container's network shares its name, unless it was given one of its own.
fn share_name(plan: &mut Plan, run: &Path, other: &str) {
    let given = plan.hostname != id::short(&plan.id);
    if !given && let Some(lease) = state::peek(run, other) {
        plan.hostname = lease.hostname;
    }
}

impl Stage for Net {
    fn name(&self) -> &'static str {
        "network"
    }

    fn prepare(&mut self) -> Result<()> {
        let state = State::lock(&self.run)?;
        let others = sweep(&state, &Names::of(&self.run))?;
        let mut lease = Lease::new(&self.id, &self.hostname, &self.args.mode().to_string());
        lease.name.clone_from(&self.name);
        let facts = self.wire.prepare(&state, &others, &mut lease)?;
        state.put(&lease)?;
        if self.files_of == self.id {
            self.write_files(&state.container(&self.id), &lease, &facts)?;
        }
        self.files = Files::take(state.container(&self.files_of))?;
        self.lease = Some(lease);
        Ok(())
    }

    fn create_runtime(&mut self, child: &Child) -> Result<()> {
        self.files = Files::default(); // the child has its own copy by now
        let Some(lease) = &mut self.lease else { return Ok(()) };
        let state = State::lock(&self.run)?;
        lease.keep_with(child.pid().as_raw());
        state.put(lease)?;
        self.wire.connect(&state, child, lease)
    }

    fn create_container(&mut self) -> Result<()> {
        self.wire.configure()?;
        self.files.attach(&RootDir::open(&self.root)?)
    }

    fn hand_over(&mut self) -> Vec<Keep> {
        self.wire.hand_over()
    }

    fn poststop(&mut self) -> Result<()> {
        let state = State::lock(&self.run)?;
        // What is recorded counts: it may have been connected to other networks since it was made.
        let lease = state::peek(&self.run, &self.id).or(self.lease.take());
        // All of it is tried, whatever fails; the first failure is told.
        let deleted = lease.map_or(Ok(()), |lease| release(&state, lease));
        let disconnected = self.wire.disconnect(&state);
        let forgotten = state.forget(&self.id);
        deleted.and(disconnected).and(forgotten)
    }
}

/// Deletes the container's links and notes that it has nothing any more. The lease stays until rules and bridges have
/// followed: whoever finds it, should this engine be killed, has them follow.
fn release(state: &State, mut lease: Lease) -> Result<()> {
    let links: Vec<_> = lease.endpoints.drain(..).filter_map(|endpoint| endpoint.link).collect();
    let delete = || links.iter().map(|link| delete_link(link)).fold(Ok(()), Result::and);
    let deleted = if links.is_empty() { Ok(()) } else { ground::on(state, delete) };
    lease.ports.clear();
    deleted.and(state.put(&lease))
}
