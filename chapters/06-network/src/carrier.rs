//! The way out for an ordinary user: a program that carries packets between a network namespace and sockets of its own.
//!
//! An ordinary user cannot put a cable into the host's network. Such a program makes a tap link inside the network
//! namespace, and outside it is an ordinary program with ordinary sockets: for each connection from inside it opens one.
//! [`pasta`] is preferred; [`slirp`] is the older one, and slower.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use namespaces::find_program;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use process::{Error, Kind, OrCall, Result, explain};

use crate::netlink::Netlink;
use crate::{Mac, Port, netns, pasta, pool, slirp, sys};

/// How long it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(10);
const TUN: &str = "/dev/net/tun";

/// A program that carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// pasta(1)
    Pasta,
    /// slirp4netns(1)
    Slirp,
}

/// What it is to make, and of what.
#[derive(Debug, Clone)]
pub struct Tap {
    /// The link's name.
    pub interface: &'static str,
    /// Its subnet: nobody else is in it.
    pub subnet: Ipv4Net,
    /// The link's address.
    pub address: Ipv4Addr,
    /// The way out.
    pub gateway: Ipv4Addr,
    /// The link's hardware address, if it matters.
    pub mac: Option<Mac>,
    /// The ports of the host at which the program itself listens.
    pub ports: Vec<Port>,
    /// Whoever calls the gateway reaches the host's 127.0.0.1.
    pub host_gateway: bool,
    /// This host has no default route.
    pub offline: bool,
    /// IPv6, too, with the host's address.
    pub ipv6: bool,
}

impl Carrier {
    /// The one that is there.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if there is none, or nobody may make tap links.
    pub fn find() -> Result<Self> {
        let found = [Self::Pasta, Self::Slirp].into_iter().find(|it| find_program(it.name()).is_some());
        let found = found.ok_or_else(missing)?;
        tun_usable().map(|()| found)
    }

    /// The program's name. A network by which nobody but one container goes is called so.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pasta => "pasta",
            Self::Slirp => "slirp4netns",
        }
    }

    /// Where it answers for the host's own name server, if that listens on the loopback link only.
    pub fn forwarder(self, subnet: Ipv4Net) -> Ipv4Addr {
        match self {
            Self::Pasta => pasta::FORWARDER,
            Self::Slirp => slirp::forwarder(subnet),
        }
    }

    /// A subnet in the order of [`pool::candidates`], or from its end, and what is in it.
    ///
    /// # Errors
    /// As [`pool::choose_subnet`] and netlink(7).
    pub fn tap(self, interface: &'static str, from_the_end: bool) -> Result<Tap> {
        let taken: Vec<_> = Netlink::open()?.routes()?.into_iter().map(|route| route.destination).collect();
        let mut candidates: Vec<_> = pool::candidates().collect();
        if from_the_end {
            candidates.reverse();
        }
        let subnet = pool::choose_subnet(candidates.into_iter(), &taken)?;
        let (subnet, address, gateway) = match self {
            Self::Pasta => pasta::addresses(subnet),
            Self::Slirp => slirp::addresses(subnet),
        };
        let offline = !taken.contains(&IpNet::V4(Ipv4Net::default()));
        let (mac, ports, host_gateway, ipv6) = (None, Vec::new(), false, false);
        Ok(Tap { interface, subnet, address, gateway, mac, ports, host_gateway, offline, ipv6 })
    }

    /// Starts it on the network namespace `netns`, so that it ends with us, whatever happens to us; ready when this
    /// returns. What it says goes to the file `log`.
    ///
    /// # Errors
    /// As execve(2); [`Kind::Unavailable`] with what it said if it did not become ready.
    pub fn start(self, tap: &Tap, netns: BorrowedFd<'_>, log: &Path) -> Result<Process> {
        let program = find_program(self.name()).ok_or_else(missing)?;
        let place = namespace_place().join("container");
        let arguments = match self {
            Self::Pasta => pasta::arguments(tap, &place),
            Self::Slirp => slirp::arguments(tap, &place),
        };
        let stderr = File::create(log).or_call("open", log.display())?;
        let namespace = PathBuf::from(format!("/proc/self/fd/{}", netns.as_raw_fd()));
        let mut command = Command::new(&program);
        command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        sys::before_exec(&mut command, move || {
            process::sys::die_with_parent()?;
            // Ours are blocked while a container runs, and it reaps its children when SIGCHLD comes.
            SigSet::empty().thread_set_mask()?;
            bind_namespace(&namespace, &place)
        });
        let mut process = command.spawn().or_call("exec", program.display())?;
        explain!(6, "it carries our packets", "execve({:?}, {:?}) = {}", self.name(), arguments, process.id());
        let ready = self.wait_until_ready(&mut process, netns, log);
        if ready.is_err() {
            let _ = end(&mut process);
        }
        ready.map(|()| process)
    }

    /// Waits until the namespace has a default route, which is the last thing that is set up.
    fn wait_until_ready(self, process: &mut Process, netns: BorrowedFd<'_>, log: &Path) -> Result<()> {
        let begun = Instant::now();
        let waiting = || Error::new(Kind::Unavailable, "no default route");
        let default = |ours: &crate::netlink::Route| ours.destination == IpNet::V4(Ipv4Net::default());
        let look = || if Netlink::open()?.routes()?.iter().any(default) { Ok(()) } else { Err(waiting()) };
        loop {
            match netns::within(netns, look) {
                Err(error) if error.kind() == Kind::Unavailable => {}
                done => return done,
            }
            if let Some(status) = process.try_wait().or_call("waitpid", self.name())? {
                return Err(self.failed(&format!("ended with {status}"), log));
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.failed("did not become ready in 10 s", log));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the program itself said, but for its complaints that there is no syslog.
    fn failed(self, how: &str, log: &Path) -> Error {
        let said = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = said.lines().filter(|line| !line.contains("syslog") && !line.trim().is_empty()).collect();
        Error::new(Kind::Unavailable, format!("{} {how}: {}", self.name(), lines.join("; ")))
            .help("`doctor` checks what it needs; --network none and host need no such program")
    }
}

/// Does this name mean a network by which nobody but one container goes?
pub fn is_carried(network: &str) -> bool {
    [Carrier::Pasta, Carrier::Slirp].iter().any(|carrier| carrier.name() == network)
}

/// Ends it.
///
/// # Errors
/// As kill(2), waitpid(2).
pub fn end(process: &mut Process) -> Result<()> {
    process.kill().or_call("kill", process.id())?;
    process.wait().or_call("waitpid", process.id()).map(drop)
}

fn missing() -> Error {
    Error::unsupported("the program pasta is not installed, and neither is slirp4netns")
        .help("as root: apt-get install passt (dnf, pacman: passt); or run with --network none or host")
}

/// A directory on which a tmpfs can be mounted in the program's own mount namespace. The first choice is where
/// rootless Podman keeps its namespaces, which is what distributions' AppArmor profiles let pasta read.
fn namespace_place() -> PathBuf {
    let users = Path::new("/run/user");
    if users.is_dir() { users.join("0/netns") } else { std::env::temp_dir().join("netns") }
}

/// In the process that becomes the program: gives the network namespace a path.
///
/// Through /proc/PID pasta may not open it, since it gives up most capabilities first, and a process may
/// look only at those with no more than its own (ptrace(2)). The mount is in a mount namespace of its own,
/// so it leaves nothing behind.
fn bind_namespace(netns: &Path, target: &Path) -> std::io::Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)?;
    let base = if target.starts_with("/run/user") { PathBuf::from("/run/user") } else { std::env::temp_dir() };
    mount(Some("tmpfs"), &base, Some("tmpfs"), MsFlags::empty(), none)?;
    target.parent().map_or(Ok(()), fs::create_dir_all)?;
    File::create(target)?;
    mount(Some(netns), target, none, MsFlags::MS_BIND, none)?;
    Ok(())
}

/// Can this user open the device by which programs make tap links?
///
/// # Errors
/// [`Kind::Unsupported`] with the command that mends it.
pub fn tun_usable() -> Result<()> {
    let opened = fs::OpenOptions::new().read(true).write(true).open(TUN);
    match opened {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::unsupported(format!("open {TUN}: {error}")).help(tun_mend(&error))),
    }
}

/// The command that makes the device usable.
fn tun_mend(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "as root: chmod 0666 /dev/net/tun (the mode that udev gives it); or --network none or host"
        }
        ErrorKind::NotFound => {
            "as root: modprobe tun, or mkdir -p /dev/net && mknod -m 0666 /dev/net/tun c 10 200; or --network none or host"
        }
        _ => "as root: modprobe tun; or --network none or host",
    }
}
