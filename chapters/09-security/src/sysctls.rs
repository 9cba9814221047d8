//! Kernel settings of the container's own namespaces: `--sysctl net.ipv4.ip_forward=1`.
//!
//! Most of /proc/sys is the whole machine's. A few settings belong to the network, IPC or UTS namespace of who writes
//! them; only those are let through, and only where the container has that namespace to itself. The list is runc's
//! (libcontainer/configs/validate).

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

use namespaces::mount::{Mount, NODEV, NOEXEC, NOSUID};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use process::{Error, OrCall, Result, Stage, explain};

use crate::procfs::Procfs;
use crate::sys;

/// What belongs to the IPC namespace (namespaces(7)); beside these, all of `fs.mqueue`.
const OF_IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// The setting that has a call of its own.
const DOMAIN: &str = "kernel.domainname";

/// Ping without a capability; Docker lets every group of a container do it.
const PING: (&str, &str) = ("net.ipv4.ping_group_range", "0 2147483647");

/// Ports below 1024 without a capability: they are the container's own.
const PORTS: (&str, &str) = ("net.ipv4.ip_unprivileged_port_start", "0");

/// The stage that writes the settings. It stands after the namespaces and the network, and before the container's
/// /proc/sys becomes read-only; which directory serves as its root does not matter to it.
pub struct Sysctls {
    settings: BTreeMap<String, String>,
}

impl Sysctls {
    /// The settings of a [`Confinement`](crate::Confinement), [checked](check).
    pub fn new(settings: BTreeMap<String, String>) -> Self {
        Self { settings }
    }
}

impl Stage for Sysctls {
    fn name(&self) -> &'static str {
        "sysctl"
    }

    fn create_container(&mut self) -> Result<()> {
        if let Some(domain) = self.settings.remove(DOMAIN) {
            set_domain_name(&domain)?;
        }
        if self.settings.is_empty() {
            return Ok(());
        }
        let proc = trusted_proc()?;
        self.settings.iter().try_for_each(|(name, value)| write(&proc, name, value))
    }
}

/// What Docker sets in every network that is a container's own (moby, daemon/oci_linux.go, `WithCommonOptions`).
///
/// Ranges of groups cannot be named in a user namespace that does not know them, so there ping is left as it is.
pub fn defaults(own: CloneFlags, in_user_namespace: bool) -> BTreeMap<String, String> {
    let wanted = if in_user_namespace { vec![PORTS] } else { vec![PING, PORTS] };
    let is_there = |name: &str| Path::new("/proc/sys").join(to_path(name)).exists();
    let own_net = own.contains(CloneFlags::CLONE_NEWNET);
    let set = wanted.into_iter().filter(|(name, _)| own_net && is_there(name));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `net.ipv4.ip_forward=1` or `net/ipv4/ip_forward=1`: the name with dots, and the value.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) without a value, or for a name that would lead elsewhere.
pub fn parse(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((canonical(name)?, value.to_owned())),
        _ => Err(Error::invalid(format!("{text:?} is no sysctl")).help("write NAME=VALUE, as net.ipv4.ip_forward=1")),
    }
}

/// The name with dots. Where the first separator is a slash, the dots are part of names, as in
/// `net/ipv4/conf/eth0.100/forwarding`, and become slashes (sysctl(8)).
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) for empty parts, and for those that would lead up.
pub fn canonical(name: &str) -> Result<String> {
    let slashes = name.find(['.', '/']).is_some_and(|at| name[at..].starts_with('/'));
    let dotted = if slashes { swap(name) } else { name.to_owned() };
    let odd = to_path(&dotted).split('/').any(|part| matches!(part, "" | "." | "..")) || dotted.contains('\0');
    if odd {
        return Err(Error::invalid(format!("{name:?} is no name of a sysctl")).help("as net.ipv4.ip_forward"));
    }
    Ok(dotted)
}

/// Its path below /proc/sys.
fn to_path(dotted: &str) -> String {
    swap(dotted)
}

fn swap(name: &str) -> String {
    let other = |one| match one {
        '.' => '/',
        '/' => '.',
        one => one,
    };
    name.chars().map(other).collect()
}

/// May a container set `name`, whose `own` namespaces these are?
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) for one that belongs to the whole machine, or to a namespace that is shared.
pub fn check(name: &str, own: CloneFlags) -> Result<()> {
    let (namespace, word, option) = if OF_IPC.contains(&name) || name.starts_with("fs.mqueue.") {
        (CloneFlags::CLONE_NEWIPC, "IPC", "leave `ipc` out of --share")
    } else if name.starts_with("net.") {
        (CloneFlags::CLONE_NEWNET, "network", "give the container a network of its own: --network bridge or none")
    } else if name == DOMAIN {
        (CloneFlags::CLONE_NEWUTS, "UTS", "leave `uts` out of --share")
    } else if name == "kernel.hostname" {
        let error = Error::invalid("sysctl kernel.hostname: the host name has an option of its own");
        return Err(error.help("use --hostname"));
    } else {
        let what = format!("sysctl {name}: it belongs to the whole machine, not to a namespace");
        return Err(Error::invalid(what).help("set it on the host, as root: `sysctl -w`"));
    };
    if own.contains(namespace) {
        return Ok(());
    }
    let what = format!("sysctl {name}: the {word} namespace is not the container's own");
    Err(Error::invalid(what).help(option))
}

/// A /proc that nobody can have mounted anything over, since it is attached nowhere (CVE-2025-52881).
fn trusted_proc() -> Result<Procfs> {
    match Mount::filesystem("proc", &[], NOSUID | NODEV | NOEXEC) {
        Ok(fresh) => {
            explain!(9, "a /proc that nobody else can reach", "fsopen(proc) and fsmount()");
            Procfs::verify(fresh.as_fd().try_clone_to_owned().or_call("dup", "proc")?)
        }
        // A shared PID namespace gives no new instance to an ordinary user; the host's root is in view still.
        Err(error) if error.errno() == Some(Errno::EPERM) => Procfs::open(),
        Err(error) => Err(error),
    }
}

/// The file belongs to the machine's root, also where the namespace does not; the call asks about the namespace.
///
/// # Errors
/// As setdomainname(2).
pub fn set_domain_name(name: &str) -> Result<()> {
    sys::setdomainname(name.as_bytes()).or_call("setdomainname", name)?;
    explain!(9, "a domain name of its own", "setdomainname({name:?})");
    Ok(())
}

/// Writes one setting by handle.
fn write(proc: &Procfs, name: &str, value: &str) -> Result<()> {
    let path = Path::new("sys").join(to_path(name));
    proc.write(&path, value).map_err(|error| match error.errno() {
        Some(Errno::ENOENT) => error.help("this kernel has no such setting, or its module is not loaded"),
        Some(Errno::EINVAL | Errno::ERANGE) => error.help("the setting does not take this value"),
        Some(Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::EXDEV) => {
            error.help("in this user namespace, or inside another container, the setting cannot be written")
        }
        _ => error,
    })?;
    explain!(9, "a setting of its own namespace", "write({value:?} to /proc/{})", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same() {
        assert_eq!(parse("net.ipv4.ip_forward=1").unwrap(), ("net.ipv4.ip_forward".into(), "1".into()));
        assert_eq!(parse("net/ipv4/ip_forward=1").unwrap().0, "net.ipv4.ip_forward");
        assert_eq!(parse("kernel.sem=1 2 3=4").unwrap().1, "1 2 3=4");
        let vlan = canonical("net/ipv4/conf/eth0.100/forwarding").unwrap();
        assert_eq!(vlan, "net.ipv4.conf.eth0/100.forwarding");
        assert_eq!(to_path(&vlan), "net/ipv4/conf/eth0.100/forwarding");
        assert_eq!(canonical("net.ipv4.conf.eth0/100.forwarding").unwrap(), vlan);
    }

    #[test]
    fn no_name_leads_elsewhere() {
        for name in
            ["", "net", ".", "net..x", "net.ipv4.", "/net/x", "net/../kernel/x", "net.//.kernel.x", "net/./x", "net.\0"]
        {
            assert!(canonical(name).is_err() || name == "net", "{name}");
        }
        assert!(parse("net.x").is_err() && parse("=1").is_err());
    }

    #[test]
    fn only_what_is_the_containers_own() {
        let all = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
        for name in ["net.core.somaxconn", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"] {
            assert!(check(name, all).is_ok(), "{name}");
            assert!(check(name, CloneFlags::empty()).is_err(), "{name}");
        }
        for name in ["kernel.hostname", "kernel.core_pattern", "vm.swappiness", "net", "fs.mqueue", "kernel.shmmaxx"] {
            assert!(check(name, all).is_err(), "{name}");
        }
    }
}
