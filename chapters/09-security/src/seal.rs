//! The stage after the user is assumed: the last thing before the program. What it gives up does not come back.
//!
//! The order is a checklist; each line needs something that a later one takes away:
//!
//! 1. a session and a null device of its own, groups, limits, keyring, labels: calls that the filter may forbid, some of
//!    which need a capability;
//! 2. no_new_privs, and Landlock behind it, which hides the files that the former needed;
//! 3. the filter, while `CAP_SYS_ADMIN` is there, if exec may still give rights (seccomp(2): one or the other);
//! 4. the capabilities;
//! 5. the filter, last of all, where no_new_privs made it anybody's to install.
//!
//! One promise does not survive this chapter: a set-user-ID program, or one with capabilities of its own, clears
//! `PR_SET_PDEATHSIG` when it is executed (PR_SET_PDEATHSIG(2const)). As the first process of a PID namespace it ends
//! with its engine no more; `--security-opt no-new-privileges` rules it out.

use std::fs::File;
use std::io::Read;

use nix::fcntl::OFlag;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Gid, geteuid, getgroups, setgroups};
use oci_spec::runtime::{ContainerState, State};
use process::{Child, Error, OrCall, Program, Result, Stage, explain};
use rootfs::RootDir;

use crate::capset::sys::{self, ThreadCaps};
use crate::seccomp::{self, Programs};
use crate::{CapSet, Capabilities, Confinement, keyring, labels, landlock, stdio};

/// The version of the runtime specification in whose words the container's state is told.
const OCI_VERSION: &str = "1.2.0";

/// How much of /etc/group is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Seals the process. It stands behind everything else, the console too.
pub struct Seal {
    confinement: Confinement,
    /// What is told of the container to who answers its calls.
    state: State,
    filter: Option<Programs>,
    /// To who answers the calls that the filter puts to somebody, if it does.
    call: Option<seccomp::Call>,
}

impl Seal {
    /// As the confinement of the container with this id says; [`Confine`](crate::Confine) has come before.
    pub fn new(container: &str, confinement: Confinement) -> Self {
        let mut state = State::default();
        state.set_version(OCI_VERSION.to_owned()).set_id(container.to_owned()).set_status(ContainerState::Creating);
        Self { confinement, state, filter: None, call: None }
    }

    /// Of a container of which there is more to tell than its id, should its calls be put to somebody.
    #[must_use]
    pub fn of(state: State, confinement: Confinement) -> Self {
        Self { confinement, state, filter: None, call: None }
    }
}

impl Stage for Seal {
    fn name(&self) -> &'static str {
        "seal"
    }

    /// The filter is made here, so that the child has nothing left to do but to hand it over.
    fn prepare(&mut self) -> Result<()> {
        self.confinement.landlock.as_ref().map_or(Ok(()), |_| landlock::check())?;
        self.filter = self.confinement.seccomp.as_ref().map(seccomp::compile).transpose()?;
        let listener = self.filter.as_ref().and_then(Programs::listener);
        self.call = listener.map(|listener| listener.call(self.state.clone())).transpose()?;
        Ok(())
    }

    fn create_runtime(&mut self, child: &Child) -> Result<()> {
        self.call.as_ref().map_or(Ok(()), |call| call.tell_number(child))
    }

    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        let confinement = &self.confinement;
        stdio::own_session()?;
        stdio::own_null()?;
        raise_permitted()?;
        join_groups(&confinement.groups)?;
        confinement.rlimits.iter().try_for_each(crate::Rlimit::apply)?;
        if !confinement.keep_keyring {
            keyring::join(self.state.id())?;
        }
        labels::apply(confinement.apparmor.as_deref(), confinement.selinux.as_ref())?;
        if confinement.no_new_privs {
            set_no_new_privs().or_call("prctl", "PR_SET_NO_NEW_PRIVS")?;
            explain!(9, "no exec gives more rights, set-user-ID or not", "prctl(PR_SET_NO_NEW_PRIVS)");
        }
        confinement.landlock.as_ref().map_or(Ok(()), |rules| landlock::restrict(rules, confinement.no_new_privs))?;
        if !confinement.no_new_privs {
            install(self.filter.as_ref(), self.call.as_mut())?;
        }
        match &confinement.capabilities {
            Some(capabilities) => limit_to(capabilities)?,
            None if geteuid().is_root() => {}
            None => limit_to(&Capabilities::default())?, // what KEEPCAPS has kept
        }
        if confinement.no_new_privs { install(self.filter.as_ref(), self.call.as_mut()) } else { Ok(()) }
    }
}

fn install(filter: Option<&Programs>, call: Option<&mut seccomp::Call>) -> Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    let Some(call) = call else { return filter.install().map(drop) };
    let message = call.message()?;
    match filter.install()? {
        Some(listener) => call.send(&message, &listener),
        None => Ok(()),
    }
}

/// Setting the user emptied the effective set, and KEEPCAPS left the permitted one: what is permitted counts again.
fn raise_permitted() -> Result<()> {
    let now = sys::capget().or_call("capget", "")?;
    sys::capset(ThreadCaps { effective: now.permitted, ..now }).or_call("capset", "all that is permitted")
}

/// The capabilities that the program starts with. Where this process does not have one (inside another container),
/// neither gets the program: `--cap-add` has refused what was asked for by name.
///
/// For a user who is not root an exec leaves the ambient ones only (capabilities(7), "Transformation of capabilities
/// during execve()"). That is done here already, so that the directory is entered and the program found with that
/// user's rights.
fn limit_to(wanted: &Capabilities) -> Result<()> {
    let ours = sys::capget().or_call("capget", "")?.permitted;
    let (mut effective, mut permitted) = (wanted.effective.and(ours), wanted.permitted.and(ours));
    let (inheritable, ambient) = (wanted.inheritable.and(ours), wanted.ambient.and(ours));
    if !geteuid().is_root() {
        (effective, permitted) = (ambient, ambient);
    }
    sys::capset(ThreadCaps { effective, permitted, inheritable }).or_call("capset", permitted)?;
    explain!(9, "the capabilities of the program, no others", "capset(effective {effective}, permitted {permitted})");
    sys::clear_ambient().or_call("prctl", "PR_CAP_AMBIENT_CLEAR_ALL")?;
    for number in ambient.numbers() {
        let name = CapSet::name(number);
        sys::raise_ambient(number).or_call("prctl", format!("PR_CAP_AMBIENT_RAISE {name}")).map_err(|error| {
            error.help("an ambient capability must be permitted and inheritable too (capabilities(7))")
        })?;
        explain!(9, "kept over an exec, for any user", "prctl(PR_CAP_AMBIENT_RAISE, {name})");
    }
    Ok(())
}

/// `--group-add`: beside the groups that the user has.
fn join_groups(wanted: &[String]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let known = group_file();
    let mut groups = getgroups().or_call("getgroups", "")?;
    for name in wanted {
        let group = Gid::from_raw(group_id(name, &known)?);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let numbers: Vec<_> = groups.iter().map(|group| group.as_raw()).collect();
    setgroups(&groups).or_call("setgroups", format!("{numbers:?}")).map_err(|error| {
        error.help("this user namespace does not know the group, or forbids setgroups (a map of a single id)")
    })?;
    explain!(9, "supplementary groups that were asked for", "setgroups({numbers:?})");
    Ok(())
}

/// The root's own /etc/group, which may be anything: see chapter 1's identity.
fn group_file() -> String {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = RootDir::open("/").and_then(|root| root.open_at("etc/group", flags)).map(File::from);
    let Ok(file) = file else { return String::new() };
    let is_file = file.metadata().is_ok_and(|about| about.is_file());
    let mut bytes = Vec::new();
    let _ = file.take(if is_file { LONGEST } else { 0 }).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A name of the file (group(5)), or a number. The greatest number is no id.
fn group_id(name: &str, file: &str) -> Result<u32> {
    let number = |text: &str| text.parse().ok().filter(|&id| id != u32::MAX);
    let mut entries = file.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|entry| entry.first() == Some(&name));
    entry.and_then(|entry| number(entry.get(2)?)).or_else(|| number(name)).ok_or_else(|| {
        Error::not_found(format!("no group {name:?} in the root's /etc/group"))
            .help("give a number, or a name that the file has")
    })
}

#[cfg(test)]
mod tests {
    use super::group_id;

    #[test]
    fn groups_by_name_or_number() {
        let file = "root:x:0:\nvideo:x:44:ada\n7:x:70:\nodd:x:4294967295:\n";
        assert_eq!(group_id("video", file).unwrap(), 44);
        assert_eq!(group_id("4242", file).unwrap(), 4242);
        assert_eq!(group_id("7", file).unwrap(), 70, "a name wins over a number");
        for name in ["eve", "odd", "4294967295", "-1", ""] {
            assert!(group_id(name, file).is_err(), "{name}");
        }
    }
}
