//! `--network bridge` without root: pasta(1) carries packets between the container and sockets of ours.
//!
//! An ordinary user cannot put a cable into the host's network. pasta makes a tap link inside the
//! container's network namespace, and outside it is an ordinary program with ordinary sockets: for each
//! connection of the container it opens one, and for each published port it listens.
//!
//! Known of the version in Debian 12 (2023-03-09): a UDP port that is published under another number does
//! not answer calls from 127.0.0.1, though it does all others.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use namespaces::find_program;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;
use process::{Child, Error, Keep, Kind, OrCall, Result, explain};

use crate::bridge::INSIDE;
use crate::netlink::Netlink;
use crate::resolv::Reach;
use crate::state::State;
use crate::wire::{Facts, Wire, loopback_up};
use crate::{Endpoint, Lease, Mac, Names, Network, NetworkArgs, Port, Protocol, Reserved, Wanted, pool, sys};

/// Where pasta answers for the host's own name server, if that listens on the loopback link only.
const FORWARDER: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// How long it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(10);
const TUN: &str = "/dev/net/tun";

/// The connection by pasta.
pub struct Pasta {
    wanted: Vec<Wanted>,
    ip: Option<Ipv4Addr>,
    mac: Option<Mac>,
    host_gateway: bool,
    program: PathBuf,
    network: Option<Network>,
    /// This host has no default route.
    offline: bool,
    process: Option<Process>,
}

impl Pasta {
    /// As `args` want it.
    pub fn new(args: &NetworkArgs) -> Self {
        let host_gateway = args.add_host.iter().any(|host| host.address.is_none());
        let (wanted, first) = (args.ports(), args.attachments().swap_remove(0).options);
        let (ip, mac) = (first.ip, first.mac);
        let program = PathBuf::new();
        Self { wanted, ip, mac, host_gateway, program, network: None, offline: false, process: None }
    }

    /// The arguments: nothing is forwarded that was not asked for, in neither direction.
    fn arguments(&self, network: &Network, lease: &Lease) -> Vec<String> {
        let text = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let mut all = text(&["--config-net", "--foreground", "--quiet", "--ipv4-only", "--ns-ifname", INSIDE]);
        let address = lease.address().unwrap_or(network.gateway).to_string();
        let (prefix, gateway) = (network.subnet.prefix_len().to_string(), network.gateway.to_string());
        all.extend(text(&["--address", &address, "--netmask", &prefix, "--gateway", &gateway]));
        all.extend(text(&["--dns-forward", &FORWARDER.to_string(), "--tcp-ns", "none", "--udp-ns", "none"]));
        if let Some(mac) = lease.mac() {
            all.extend(text(&["--ns-mac-addr", &mac.to_string()]));
        }
        // Older versions take the outward link's, and refuse to start where that has none, such as a VPN's.
        all.extend(text(&["--mac-addr", &Mac::of(network.gateway).to_string()]));
        if self.offline {
            // They also want a link that leads outward; without one there is still the host itself.
            all.extend(text(&["--interface", "lo"]));
        }
        if !self.host_gateway {
            // Otherwise whatever listens on the host's 127.0.0.1 could be called by the gateway's address.
            all.push("--no-map-gw".into());
        }
        for (option, protocol) in [("--tcp-ports", Protocol::Tcp), ("--udp-ports", Protocol::Udp)] {
            let ports: Vec<_> = lease.ports.iter().filter(|port| port.protocol == protocol).map(port_option).collect();
            let ports = if ports.is_empty() { vec!["none".to_owned()] } else { ports };
            all.extend(ports.into_iter().flat_map(|port| [option.to_owned(), port]));
        }
        all
    }
}

/// `127.0.0.1/8080:80`
fn port_option(port: &Port) -> String {
    let address = if port.host_ip.is_unspecified() { String::new() } else { format!("{}/", port.host_ip) };
    format!("{address}{}:{}", port.host_port, port.container_port)
}

impl Wire for Pasta {
    fn prepare(&mut self, _: &State, others: &[Lease], lease: &mut Lease) -> Result<Facts> {
        self.program = find_program("pasta").ok_or_else(missing)?;
        tun_usable()?;
        let mut netlink = Netlink::open()?;
        let taken: Vec<_> = netlink.routes()?.into_iter().map(|route| route.destination).collect();
        self.offline = !taken.contains(&IpNet::V4(Ipv4Net::default()));
        let names = Names { bridge: String::new(), table: String::new() };
        // Everybody has this network for himself, so the addresses need not differ.
        let network = Network::default_on(pool::choose_subnet(pool::candidates(), &taken)?, &names);
        lease.network = "pasta".into();
        let address = Some(pool::choose_address(&network, &[], self.ip)?);
        let (name, interface) = ("pasta".to_owned(), INSIDE.to_owned());
        let endpoint =
            Endpoint { network: name, interface, address, mac: self.mac, gateway: true, ..Endpoint::default() };
        lease.endpoints = vec![endpoint];
        // Found free and let go at once: pasta will bind them, and the child must not hold a copy.
        lease.ports = Reserved::take(&self.wanted, false, others)?.ports;
        let gateway = self.host_gateway.then_some(IpAddr::V4(network.gateway));
        self.network = Some(network);
        Ok(Facts { gateway, reach: Reach::Forwarded(FORWARDER.into()) })
    }

    fn connect(&mut self, state: &State, child: &Child, lease: &Lease) -> Result<()> {
        let Some(network) = &self.network else { return Ok(()) };
        let arguments = self.arguments(network, lease);
        let log = state.container(&lease.container).join("pasta.log");
        let process = start(&self.program, &arguments, child, &log)?;
        explain!(6, "it carries our packets", "execve(\"pasta\", {:?}) = {}", arguments, process.id());
        let process = self.process.insert(process);
        wait_until_ready(process, child, &log)
    }

    fn configure(&mut self) -> Result<()> {
        loopback_up()
    }

    fn hand_over(&mut self) -> Vec<Keep> {
        let process = self.process.take();
        process.map(|process| Keep::Process(Pid::from_raw(process.id().cast_signed()))).into_iter().collect()
    }

    fn disconnect(&mut self, _: &State) -> Result<()> {
        match self.process.take() {
            Some(mut process) => end(&mut process),
            None => Ok(()),
        }
    }
}

impl Drop for Pasta {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = end(process);
        }
    }
}

fn end(process: &mut Process) -> Result<()> {
    process.kill().or_call("kill", "pasta")?;
    process.wait().or_call("waitpid", "pasta").map(drop)
}

/// Starts pasta so that it ends with us, whatever happens to us.
fn start(program: &Path, arguments: &[String], child: &Child, log: &Path) -> Result<Process> {
    let stderr = File::create(log).or_call("open", log.display())?;
    let (netns, ours) = (child.proc("ns/net"), namespace_place());
    let mut command = Command::new(program);
    command.args(arguments).arg("--netns").arg(ours.join("container"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    sys::before_exec(&mut command, move || {
        process::sys::die_with_parent()?;
        // Ours are blocked while a container runs, and it reaps its children when SIGCHLD comes.
        SigSet::empty().thread_set_mask()?;
        bind_namespace(&netns, &ours)
    });
    command.spawn().or_call("exec", program.display())
}

fn missing() -> Error {
    Error::unsupported("the program pasta is not installed")
        .help("as root: apt-get install passt (dnf, pacman: passt); or run with --network none or host")
}

/// A directory on which a tmpfs can be mounted in pasta's own mount namespace. The first choice is where
/// rootless Podman keeps its namespaces, which is what distributions' AppArmor profiles let pasta read.
fn namespace_place() -> PathBuf {
    let users = Path::new("/run/user");
    if users.is_dir() { users.join("0/netns") } else { std::env::temp_dir().join("netns") }
}

/// In the process that becomes pasta: gives the network namespace a path.
///
/// Through /proc/PID pasta may not open it, since it gives up most capabilities first, and a process may
/// look only at those with no more than its own (ptrace(2)). The mount is in a mount namespace of pasta's
/// own, so it leaves nothing behind.
fn bind_namespace(netns: &Path, place: &Path) -> std::io::Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)?;
    let base = place.parent().and_then(Path::parent).filter(|_| place.starts_with("/run/user"));
    mount(Some("tmpfs"), base.unwrap_or(&std::env::temp_dir()), Some("tmpfs"), MsFlags::empty(), none)?;
    fs::create_dir_all(place)?;
    let target = place.join("container");
    File::create(&target)?;
    mount(Some(netns), &target, none, MsFlags::MS_BIND, none)?;
    Ok(())
}

/// Waits until the namespace has a default route, which is the last thing that pasta sets up.
fn wait_until_ready(process: &mut Process, child: &Child, log: &Path) -> Result<()> {
    let begun = Instant::now();
    loop {
        let routes = fs::read_to_string(child.proc("net/route")).unwrap_or_default();
        if routes.lines().any(|route| route.starts_with(INSIDE) && route.split('\t').nth(1) == Some("00000000")) {
            return Ok(());
        }
        if let Some(status) = process.try_wait().or_call("waitpid", "pasta")? {
            return Err(failed(&format!("ended with {status}"), log));
        }
        if begun.elapsed() > PATIENCE {
            return Err(failed("did not become ready in 10 s", log));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What pasta itself said, but for its complaints that there is no syslog.
fn failed(how: &str, log: &Path) -> Error {
    let said = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = said.lines().filter(|line| !line.contains("syslog") && !line.trim().is_empty()).collect();
    Error::new(Kind::Unavailable, format!("pasta {how}: {}", lines.join("; ")))
        .help("`doctor` checks what it needs; --network none and host need no pasta")
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
