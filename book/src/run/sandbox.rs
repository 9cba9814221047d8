//! `__sandbox`: makes the namespaces of a page's shell and starts their first process.
//!
//! A process namespace, so that the end of its first process is the end of all. A mount namespace, in which this machine
//! is read-only (the first process makes that one: we stay outside, to tidy up). A network of its own, unless a cell needs the real one. As an ordinary user, a user namespace above them.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use process::OrCall;

use crate::Result;
use crate::run::Event;
use crate::run::cgroup::Group;
use crate::run::ids;

/// The other end of the uplink needs a namespace of its own; it lives as long as this process.
const UPLINK: &str = r#"
ip link set lo up
ip link add uplink type veth peer name eth0 netns "$1" || exit
nsenter --net="$1" sh -c 'ip link set lo up; ip link set eth0 up; ip addr add 192.0.2.1/24 dev eth0'
ip link set uplink up
ip addr add 192.0.2.2/24 dev uplink
ip route add default via 192.0.2.1
"#;

/// `__sandbox user|root own-network|host-network REPOSITORY`.
///
/// # Errors
/// Told to the session, too: this machine has no user namespaces, say.
pub fn enter(words: &[String]) -> Result<ExitCode> {
    inside(&super::told(words)).inspect_err(|error| Event::Refused(error.to_string()).say())
}

fn inside(words: &[String]) -> Result<ExitCode> {
    process::sys::cloexec_from(3).or_call("close_range", "")?; // what our caller left open is not the cells'
    let own_network = words.get(1).is_some_and(|word| word == "own-network");
    let mut flags = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if own_network {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    let root = geteuid().is_root();
    // In the virtual machine all ends with it; there, root's groups are the real ones.
    let own_group = root && words.first().is_some_and(|who| who == "root") && !super::guest::is_here();
    let group = if own_group { Group::make()? } else { None };
    let mapped = if root {
        unshare(flags).or_call("unshare", "the sandbox's namespaces")?;
        true
    } else {
        ids::enter(flags)?
    };
    let _outside = if own_network { Some(uplink()?) } else { None };
    unshare(CloneFlags::CLONE_NEWPID).or_call("unshare", "NEWPID")?;
    let ids = if mapped { "mapped" } else { "single" };
    let path = group.as_ref().map_or("-".into(), |group| group.path().to_string_lossy());
    let words: Vec<&str> = words.iter().map(String::as_str).chain([ids, &path]).collect();
    let mut keeper = super::myself("__keeper", &words);
    // Not killed with the session: the keeper notices its end by that of the input, and what it leaves is ours to remove.
    let status = keeper.status().or_call("execve", "__keeper")?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(137)).unwrap_or(1)))
}

/// A link that leads to another namespace, as every host has one that leads out; nobody answers there.
fn uplink() -> Result<OwnedFd> {
    let outside: OwnedFd = fs::File::open("/proc/self/ns/net").or_call("open", "/proc/self/ns/net")?.into();
    unshare(CloneFlags::CLONE_NEWNET).or_call("unshare", "NEWNET")?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), outside.as_raw_fd());
    let mut script = Command::new("sh");
    script.args(["-c", UPLINK, "sh", &path]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    // Without iproute2 or veth there is a network without a way out: cells that need more say so.
    let _ = script.status().or_call("execve", "sh")?;
    Ok(outside)
}
