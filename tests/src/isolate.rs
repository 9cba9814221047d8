//! A host of its own for a suite that root runs: what a test does to mounts, links and rules, it does to this one.
//!
//! The host has a way out, as every host has: the link `uplink`, at whose other end another network namespace plays the
//! rest of the world.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::geteuid;

use crate::sys;
use crate::user::{GID, NAME, SUBIDS, UID};

/// The network namespace that the suite was started in.
static MACHINE: OnceLock<OwnedFd> = OnceLock::new();

/// The network namespace beyond the uplink.
static OUTSIDE: OnceLock<OwnedFd> = OnceLock::new();

/// The address of the world outside, the default gateway of the suite's host (RFC 5737: for documentation).
pub const OUTSIDE_ADDRESS: &str = "192.0.2.1";

/// Puts this process into namespaces of its own if it is root; adopts orphans, so that none escapes the count.
///
/// Called once, before there is a second thread: unshare(2) moves one thread only.
pub(crate) fn enter() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    sys::heed_signals()?;
    if !geteuid().is_root() {
        return Ok(());
    }
    let machine = fs::File::open("/proc/self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
    let outside = fs::File::open("/proc/self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    MACHINE.get_or_init(|| machine.into());
    OUTSIDE.get_or_init(|| outside.into());
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    sys::loopback_up()?;
    if crate::find_program("ip").is_some() {
        uplink()?;
    }
    let scratch = tempfile::tempdir()?;
    let scratch = scratch.path();
    show_our_links(scratch)?;
    mount(Some("tmpfs"), scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    let done = account(scratch).and_then(|()| open_tun(scratch)).and_then(|()| hide_the_machines(scratch));
    umount2(scratch, MntFlags::MNT_DETACH)?; // what was bound from it stays
    done
}

/// A sysfs shows the links of the network namespace that mounted it; the cgroups below it are taken along.
fn show_our_links(scratch: &Path) -> io::Result<()> {
    let cgroup = "/sys/fs/cgroup";
    bind(cgroup, scratch)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>)?;
    bind(scratch, cgroup)?;
    Ok(umount2(scratch, MntFlags::MNT_DETACH)?)
}

/// Adds the account of [`User`](crate::User): copies of the files that name it lie over the real ones.
fn account(scratch: &Path) -> io::Result<()> {
    let (start, length) = SUBIDS;
    let files = [
        ("/etc/passwd", format!("{NAME}:x:{UID}:{GID}:{NAME}:/nonexistent:/bin/sh\n")),
        ("/etc/group", format!("{NAME}:x:{GID}:\n")),
        ("/etc/subuid", format!("{NAME}:{start}:{length}\n")),
        ("/etc/subgid", format!("{NAME}:{start}:{length}\n")),
    ];
    for (path, line) in files {
        let Ok(text) = fs::read_to_string(path) else {
            continue; // a machine without subordinate ids: `needs("subuid")` tells
        };
        let copy = scratch.join(Path::new(path).file_name().unwrap_or_default());
        fs::write(&copy, text + &line)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o644))?;
        bind(&copy, path)?;
    }
    Ok(())
}

/// /dev/net/tun with the mode that it has on a desktop: rootless networks need it open to all.
fn open_tun(scratch: &Path) -> io::Result<()> {
    let path = "/dev/net/tun";
    if !Path::new(path).exists() {
        return Ok(());
    }
    let node = scratch.join("tun");
    mknod(&node, SFlag::S_IFCHR, Mode::empty(), makedev(10, 200))?;
    fs::set_permissions(&node, fs::Permissions::from_mode(0o666))?;
    bind(&node, path)
}

/// Covers what an engine that is installed here keeps, and `ip netns`: a test must neither see nor change it.
fn hide_the_machines(scratch: &Path) -> io::Result<()> {
    for path in MACHINES.iter().chain(&["/run/netns"]).filter(|path| Path::new(path).is_dir()) {
        let empty = scratch.join(path.replace('/', "-"));
        fs::create_dir(&empty)?;
        bind(&empty, path)?;
    }
    Ok(())
}

/// Where an engine of root keeps its things.
pub(crate) const MACHINES: [&str; 2] = ["/var/lib/cooper", "/run/cooper"];

fn bind(source: impl AsRef<Path>, target: impl AsRef<Path>) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source.as_ref()), target.as_ref(), None::<&str>, flags, None::<&str>)?)
}

/// Joins the suite's host to the world outside. No address comes by itself, or it would come in the middle of a test.
fn uplink() -> io::Result<()> {
    // A kernel may lack IPv6: what is about it may fail.
    let script = r#"set -e
        ip link add uplink type veth peer name eth0 netns "$1"
        nsenter --net="$1" sh -c '
            ip link set eth0 addrgenmode none 2>/dev/null
            ip link set lo up && ip link set eth0 up && ip addr add 192.0.2.1/24 dev eth0 || exit
            ip addr add 2001:db8::1/64 dev eth0 nodad 2>/dev/null || :'
        ip link set uplink addrgenmode none 2>/dev/null || :
        ip link set uplink up
        ip addr add 192.0.2.2/24 dev uplink
        ip route add default via 192.0.2.1
        ip addr add 2001:db8::2/64 dev uplink nodad 2>/dev/null && ip -6 route add default via 2001:db8::1 || :
        for _ in $(seq 100); do # the kernel notices the carrier a moment later
            case $(ip link show uplink) in *"state UP"*) break ;; esac
            sleep 0.02
        done
        [ -z "$(ip -6 addr show dev uplink)" ] || for _ in $(seq 100); do # and takes the address into use after that
            case $(ip -6 route show table local) in *2001:db8::2*) break ;; esac
            sleep 0.02
        done"#;
    let outside = OUTSIDE.get().map(path_of).unwrap_or_default();
    let output = Command::new("sh").args(["-c", script, "sh", &outside]).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("uplink: {}", String::from_utf8_lossy(&output.stderr))))
}

/// A command in the machine's own network, for what fetches: apt, cargo.
pub fn host_command(program: &str) -> Command {
    in_network(MACHINE.get(), program)
}

/// A command in the world outside of the suite's host, at [`OUTSIDE_ADDRESS`]: a server to reach, a client to be reached
/// by. Only in a suite that root runs.
pub fn outside_command(program: &str) -> Command {
    in_network(OUTSIDE.get(), program)
}

fn in_network(net: Option<&OwnedFd>, program: &str) -> Command {
    let Some(net) = net else {
        return Command::new(program);
    };
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", path_of(net))).args(["--", program]);
    command
}

/// A path by which other processes find what this descriptor means.
fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd())
}
