//! The table's lines: each one question, answered for the container and for the host's root.

use std::collections::BTreeSet;
use std::path::Path;

use namespaces::Namespace;

use super::facts::Facts;
use super::{Row, Verdict};
use crate::paths::{MASKED, READONLY};
use crate::seccomp::{Arch, numbers};
use crate::{CapSet, Confinement};

/// What one may do who has it, for those that lead out of a container (capabilities(7)).
const DANGEROUS: [(&str, &str); 12] = [
    ("CAP_SYS_ADMIN", "mount, and half of the kernel's administration"),
    ("CAP_SYS_MODULE", "load code into the kernel"),
    ("CAP_SYS_PTRACE", "read and write other processes"),
    ("CAP_SYS_RAWIO", "reach memory and disks past the kernel"),
    ("CAP_DAC_READ_SEARCH", "open any file of a mounted file system by its handle"),
    ("CAP_SYS_BOOT", "restart the machine, load another kernel"),
    ("CAP_BPF", "load programs into the kernel"),
    ("CAP_PERFMON", "watch all processes"),
    ("CAP_SYSLOG", "read the kernel's log and addresses"),
    ("CAP_SYS_TIME", "set everybody's clock"),
    ("CAP_NET_ADMIN", "change links, routes and rules of its network"),
    ("CAP_MAC_ADMIN", "change the rules of AppArmor or SELinux"),
];

/// The nodes that every container has.
const USUAL_DEVICES: [&str; 9] = ["console", "full", "null", "ptmx", "random", "stderr", "tty", "urandom", "zero"];

/// All lines.
pub fn all(here: &Facts, host: &Facts, meant: Option<&Confinement>) -> Vec<Row> {
    let rows = [
        user(here),
        capabilities(here, host),
        regained(here, host),
        new_privileges(here),
        system_calls(here, meant),
        namespaces(here),
        root(here),
        settings(here),
        masks(here),
        devices(here, host),
        hosts_files(here),
        label(here, host),
    ];
    rows.into_iter().chain(limits(here, host)).collect()
}

fn row(about: &'static str, here: impl Into<String>, host: impl Into<String>, verdict: Verdict) -> Row {
    Row { about, here: here.into(), host: host.into(), verdict, why: None }
}

impl Row {
    fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }
}

fn user(here: &Facts) -> Row {
    let ids = here.status("Uid").split_whitespace().next().unwrap_or("?").to_owned();
    match here.root_outside() {
        Some(0) if ids == "0" => row("user", "root, and outside too", "root", Verdict::Held).because(
            "whoever leaves the container is root: --userns maps it to a user without rights, --user to another",
        ),
        Some(0) => row("user", format!("user {ids}"), "root", Verdict::Held),
        Some(outside) => row("user", format!("user {ids} outside; root inside is {outside}"), "root", Verdict::Held),
        None => row("user", format!("user {ids}"), "root", Verdict::Held),
    }
}

fn capabilities(here: &Facts, host: &Facts) -> Row {
    let (ours, all) = (here.capabilities("CapEff"), host.capabilities("CapBnd"));
    let shown = format!("{} of {}", ours.numbers().count(), all.numbers().count());
    let full = format!("all {}", all.numbers().count());
    // In a user namespace of its own they count for what belongs to that namespace only.
    let own_users = here.root_outside() != Some(0);
    let dangerous = dangerous(ours);
    match (ours, &dangerous[..]) {
        _ if own_users => {
            let shown = format!("{shown}, over its own namespaces only");
            row("capabilities", shown, full, Verdict::Held)
        }
        (ours, _) if ours == all => row("capabilities", shown, full, Verdict::Free)
            .because("it is root in all but name: leave out --privileged, and --cap-add what it needs"),
        (_, []) => row("capabilities", shown, full, Verdict::Held),
        (_, [..]) => row("capabilities", shown, full, Verdict::Loose).because(dangerous.join("; ")),
    }
}

fn dangerous(set: CapSet) -> Vec<String> {
    let named: Vec<_> = set.names().collect();
    let found = DANGEROUS.iter().filter(|(name, _)| named.iter().any(|one| one == name));
    found.map(|(name, what)| format!("{name}: {what}")).collect()
}

fn regained(here: &Facts, host: &Facts) -> Row {
    let (bounding, all) = (here.capabilities("CapBnd"), host.capabilities("CapBnd"));
    let shown = format!("{} at most, by a set-user-ID program", bounding.numbers().count());
    let verdict = if bounding == all && here.root_outside() == Some(0) { Verdict::Free } else { Verdict::Held };
    row("capabilities to gain", shown, format!("all {}", all.numbers().count()), verdict)
}

fn new_privileges(here: &Facts) -> Row {
    match here.status("NoNewPrivs") {
        "1" => row("rights by exec", "none: no_new_privs", "yes", Verdict::Held),
        _ => row("rights by exec", "those of set-user-ID programs", "yes", Verdict::Held)
            .because("--security-opt no-new-privileges takes them"),
    }
}

fn system_calls(here: &Facts, meant: Option<&Confinement>) -> Row {
    let allowed = meant.and_then(|meant| meant.seccomp.as_ref()).map(|profile| {
        let allow = oci_spec::runtime::LinuxSeccompAction::ScmpActAllow;
        let rules = profile.syscalls().iter().flatten().filter(|rule| rule.action() == allow);
        let names: BTreeSet<_> = rules.flat_map(|rule| rule.names()).collect();
        let known: Vec<_> = numbers::names().filter(|name| numbers::number(name, Arch::native()).is_some()).collect();
        let passing = known.iter().filter(|name| names.iter().any(|one| one.as_str() == **name)).count();
        format!(", {passing} of {} pass", known.len())
    });
    match here.status("Seccomp") {
        "2" => {
            let filters = here.status("Seccomp_filters");
            let shown = format!("filtered by {filters} program(s){}", allowed.unwrap_or_default());
            row("system calls", shown, "all", Verdict::Held)
        }
        "1" => row("system calls", "read, write, exit only", "all", Verdict::Held),
        _ => row("system calls", "all", "all", Verdict::Free)
            .because("every bug of the kernel is in reach: leave out --privileged and seccomp=unconfined"),
    }
}

fn namespaces(here: &Facts) -> Row {
    // A time namespace hides nothing; a user namespace has a line of its own.
    let shared =
        here.shared.iter().filter(|(one, shared)| *shared && !matches!(one, Namespace::Time | Namespace::User));
    let shared: Vec<_> = shared.map(|(namespace, _)| namespace.file()).collect();
    if shared.is_empty() {
        return row("what it sees", "its own processes, mounts, network, …", "the host's", Verdict::Held);
    }
    let verdict = if here.shares(Namespace::Mnt) { Verdict::Free } else { Verdict::Loose };
    row("what it sees", format!("the host's {}", shared.join(", ")), "the host's", verdict)
        .because("it can find, and often disturb, what runs beside it")
}

fn root(here: &Facts) -> Row {
    let read_only = here.mount_at("/").is_some_and(|mount| mount.read_only);
    let shown = if read_only { "read-only" } else { "its own, writable" };
    let verdict = if here.shares(Namespace::Mnt) { Verdict::Free } else { Verdict::Held };
    let shown = if verdict == Verdict::Free { "the host's" } else { shown };
    row("root directory", shown, "the host's", verdict)
}

fn settings(here: &Facts) -> Row {
    let there = READONLY.iter().filter(|path| Path::new(path).exists());
    let writable: Vec<_> = there.filter(|path| here.is_writable_mount(path)).copied().collect();
    if here.is_writable_mount("/sys") && here.mount_at("/sys").is_some() {
        return row("the kernel's settings", "/sys can be written", "yes", Verdict::Free)
            .because("devices, and by uevent_helper a program of the host's, are in reach");
    }
    match &writable[..] {
        [] => row("the kernel's settings", "read-only", "yes", Verdict::Held),
        paths => row("the kernel's settings", format!("{} can be written", paths.join(", ")), "yes", Verdict::Loose)
            .because("by core_pattern or sysrq-trigger the host runs, or does, what the container says"),
    }
}

fn masks(here: &Facts) -> Row {
    let there = |path: &&&str| Path::new(path).exists();
    let open = MASKED.iter().filter(there).filter(|path| here.mount_at(path).is_none());
    let open: Vec<_> = open.copied().collect();
    match &open[..] {
        [] => row("what tells about the host", "covered", "open", Verdict::Held),
        paths => row("what tells about the host", format!("open: {}", paths.join(", ")), "open", Verdict::Loose),
    }
}

fn devices(here: &Facts, host: &Facts) -> Row {
    let more: Vec<_> = here.devices.iter().filter(|name| !USUAL_DEVICES.contains(&name.as_str())).collect();
    let all = format!("{} in /dev", host.devices.len());
    let shown = format!("{} in /dev", here.devices.len());
    match &more[..] {
        [] => row("devices", shown, all, Verdict::Held),
        more if here.devices.len() >= host.devices.len() && more.len() > 5 => {
            row("devices", shown, all, Verdict::Free).because("the host's disks can be read and written past its files")
        }
        more => {
            let names: Vec<_> = more.iter().take(6).map(|name| name.as_str()).collect();
            row("devices", shown, all, Verdict::Loose).because(format!("more than usual: {}", names.join(", ")))
        }
    }
}

/// Directories of the host that were mounted into it and can be written.
fn hosts_files(here: &Facts) -> Row {
    const OURS: [&str; 8] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "overlay", "cgroup2", "cgroup"];
    let foreign = here.mounts.iter().filter(|mount| !OURS.contains(&mount.kind.as_str()) && !mount.read_only);
    // Files of the engine's own, and what lies over others to cover them.
    let ours = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/proc", "/sys", "/dev"];
    let foreign: Vec<_> = foreign.filter(|mount| !ours.iter().any(|place| mount.target.starts_with(place))).collect();
    let whole = foreign.iter().find(|mount| mount.root == "/" && mount.target.as_os_str() != "/");
    match (&foreign[..], whole) {
        ([], _) => row("the host's files", "none", "all", Verdict::Held),
        (_, Some(mount)) => {
            row("the host's files", format!("all of one disk, at {}", mount.target.display()), "all", Verdict::Loose)
                .because("mount what it needs, read-only where that will do")
        }
        (some, None) => {
            let names: Vec<_> = some.iter().take(4).map(|mount| mount.target.display().to_string()).collect();
            row("the host's files", format!("what is mounted on {}", names.join(", ")), "all", Verdict::Held)
        }
    }
}

fn label(here: &Facts, host: &Facts) -> Row {
    match here.label.as_str() {
        "" => row("AppArmor, SELinux", "not on this host", "not on this host", Verdict::Held),
        "unconfined" => row("AppArmor, SELinux", "unconfined", "unconfined", Verdict::Loose),
        label => row("AppArmor, SELinux", label, host.label.clone(), Verdict::Held),
    }
}

fn limits(here: &Facts, host: &Facts) -> Vec<Row> {
    let wanted =
        [("open files", "Max open files"), ("processes", "Max processes"), ("core dumps", "Max core file size")];
    let known =
        wanted.into_iter().filter_map(|(about, name)| Some((about, here.limits.get(name)?, host.limits.get(name)?)));
    known.map(|(about, (soft, _), (hosts, _))| row(about, soft.clone(), hosts.clone(), Verdict::Held)).collect()
}
