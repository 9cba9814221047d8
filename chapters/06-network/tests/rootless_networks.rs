//! Networks that an ordinary user makes, and slirp4netns where pasta is missing.

use std::path::PathBuf;

use harness::{Done, Outcome, Sandbox, Suite};

mod common;
use common::Place::Outside;
use common::{Running, call, container, inside, ip, leftovers, serve, start};

#[path = "rootless_networks/kills.rs"]
mod kills;
#[path = "rootless_networks/ports.rs"]
mod ports;
#[path = "rootless_networks/slirp.rs"]
mod slirp;

const NEEDS: &[&str] = &["pasta", "userns", "subuid", "tun", "nft", "perl", "busybox"];
const SLIRP: &[&str] = &["slirp4netns", "userns", "subuid", "tun", "nft", "perl", "busybox"];

fn main() {
    Suite::new()
        .root("made, listed, looked at and removed", life)
        .needs(NEEDS)
        .root("names, neighbours, and strangers", neighbours)
        .needs(NEEDS)
        .root("the outside is reached, from an internal network it is not", outside)
        .needs(NEEDS)
        .root("connected and disconnected while it runs", connected)
        .needs(NEEDS)
        .root("what an ordinary user cannot have is refused", refused)
        .needs(NEEDS)
        .root("many at once are in one user namespace", at_once)
        .needs(NEEDS)
        .root("published ports, TCP and UDP", ports::published)
        .needs(NEEDS)
        .root("ports that are taken", ports::taken)
        .needs(NEEDS)
        .root("much data, both ways, and an end at a time", ports::much)
        .needs(NEEDS)
        .root("killed: the engine", kills::engine)
        .needs(NEEDS)
        .root("killed: who keeps the network namespace", kills::keeper)
        .needs(NEEDS)
        .root("killed: pasta comes again", kills::pasta)
        .needs(NEEDS)
        .root("killed: who relays the ports", kills::relay)
        .needs(NEEDS)
        .root("killed: who answers for names", kills::resolver)
        .needs(NEEDS)
        .root("killed at any moment", kills::any_moment)
        .needs(NEEDS)
        .root("slirp4netns: the default network", slirp::default_network)
        .needs(SLIRP)
        .root("slirp4netns: networks of one's own", slirp::own_networks)
        .needs(SLIRP)
        .run();
}

/// `network WORDS`
pub fn network(sandbox: &Sandbox, words: &str) -> Outcome<Done> {
    sandbox.step(6).arg("network").args(words.split_whitespace()).run()
}

/// A program in a running container, given as one line.
pub fn exec(sandbox: &Sandbox, name: &str, line: &str) -> Outcome<Done> {
    sandbox.step(6).args(["exec", name, "--"]).args(line.split_whitespace()).run()
}

/// Nothing is left: no state, and no process of the engine's. Links and rules have gone with their namespace.
pub fn nothing_left(sandbox: &Sandbox) -> Outcome {
    assert_eq!(leftovers(sandbox), Vec::<PathBuf>::new());
    for name in ["cooper-netns", "cooper-dns", "cooper-ports", "pasta", "slirp4netns"] {
        for _ in 0..100 {
            if processes(name)?.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(processes(name)?, Vec::<i32>::new(), "{name}");
    }
    Ok(())
}

/// The processes of this test that were executed under this name: others may run others on this machine.
pub fn processes(name: &str) -> Outcome<Vec<i32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|text| text.parse().ok()) else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let first = String::from_utf8_lossy(command.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
        let file = first.rsplit('/').next().unwrap_or_default();
        // pasta executes itself anew as `passt.avx2`, but keeps its name.
        if (file == name || file.starts_with(&format!("{name}."))) && is_ours(pid) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Does it descend from this test program, which adopts the orphans among its descendants?
fn is_ours(mut pid: i32) -> bool {
    let parent = |pid: i32| -> Option<i32> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    while let Some(above) = parent(pid) {
        if above.unsigned_abs() == std::process::id() {
            return true;
        }
        pid = above;
    }
    false
}

/// Does a ping from there arrive?
pub fn reaches(from: &Running, address: &str) -> Outcome<bool> {
    Ok(common::ping(from.place(), address)?.ok().is_ok())
}

fn life() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "ls")?.ok()?.stdout_has("bridge")?;
    network(&sandbox, "create --label team=a blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    network(&sandbox, "ls")?.ok()?.stdout_has("blue")?;
    let text = network(&sandbox, "inspect blue")?.ok()?;
    text.stdout_has("\"Name\": \"web\"")?.stdout_has("\"IPv4Address\": \"10.220.0.2/24\"")?;
    network(&sandbox, "rm blue")?.code(1)?.stderr_has("has active endpoints (name:\"web\"")?;
    // Nothing of it is in the host's network.
    assert!(!ip("-o link")?.contains("br-"));
    web.stop()?;
    nothing_left(&sandbox)?;
    network(&sandbox, "rm blue")?.ok()?;
    network(&sandbox, "create red")?.ok()?;
    assert_eq!(network(&sandbox, "prune -f")?.ok()?.stdout, "Deleted Networks:\nred\n\n");
    Ok(())
}

fn neighbours() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create --ipv6 --subnet 10.9.0.0/24 --subnet fd00:9::/64 blue")?.ok()?;
    network(&sandbox, "create --subnet 10.8.0.0/24 red")?.ok()?;
    let web = start(&sandbox, "web", "--network name=blue,alias=www", "")?;
    let friend = start(&sandbox, "friend", "--network blue", "")?;
    let stranger = start(&sandbox, "stranger", "--network red", "")?;
    let both = start(&sandbox, "both", "--network red --network blue --network bridge", "")?;
    for name in ["web", "www"] {
        exec(&sandbox, "friend", &format!("ping -c 1 -W 1 {name}"))?.ok()?;
        exec(&sandbox, "stranger", &format!("ping -c 1 -W 1 {name}"))?.fails()?;
        exec(&sandbox, "both", &format!("ping -c 1 -W 1 {name}"))?.ok()?;
    }
    let server = serve(web.place(), "tcp", 80, "web")?;
    call(friend.place(), "tcp", "10.9.0.2", 80)?.ok()?.stdout_has("web 10.9.0.3")?;
    call(stranger.place(), "tcp", "10.9.0.2", 80)?.fails()?;
    drop(server);
    assert!(reaches(&friend, "fd00:9::2")?);
    assert!(!reaches(&stranger, "10.9.0.2")? && !reaches(&stranger, "fd00:9::2")?);
    assert!(reaches(&both, "10.9.0.2")? && reaches(&both, "10.8.0.2")?);
    for one in [web, friend, stranger, both] {
        one.stop()?;
    }
    nothing_left(&sandbox)
}

fn outside() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create --ipv6 blue")?.ok()?;
    network(&sandbox, "create --internal --subnet 10.7.0.0/24 inner")?.ok()?;
    let servers = [
        serve(Outside, "tcp", 7, "outside")?,
        serve(Outside, "udp", 7, "outside")?,
        common::serve_at(Outside, "tcp", "2001:db8::1", 8, "outside6")?,
        serve(common::Place::Host, "tcp", 7777, "host")?,
    ];
    // Every link that has IPv6 has such an address, but for this one; without it pasta leaves IPv6 out.
    ip("addr add fe80::2/64 dev uplink nodad")?;
    let web = start(&sandbox, "web", "--network blue --add-host up:host-gateway", "grep up /etc/hosts")?;
    let inner = start(&sandbox, "inner", "--network inner", "")?;
    call(web.place(), "tcp", "192.0.2.1", 7)?.ok()?.stdout_has("outside 192.0.2.2")?;
    call(web.place(), "udp", "192.0.2.1", 7)?.ok()?.stdout_has("outside 192.0.2.2")?;
    call(web.place(), "tcp", "2001:db8::1", 8)?.ok()?.stdout_has("outside6 2001:db8::2")?;
    // The host itself is there by its address, and what listens on its loopback link only is not.
    exec(&sandbox, "web", "grep up /etc/hosts")?.ok()?.stdout_has("192.0.2.2")?;
    call(web.place(), "tcp", "192.0.2.2", 7777)?.ok()?.stdout_has("host ")?;
    drop(servers);
    let local = common::serve_at(common::Place::Host, "tcp", "127.0.0.1", 7778, "host")?;
    let routes = inside(web.place(), "ip").args(["route"]).run()?.ok()?.stdout;
    let gateway = routes.split_whitespace().nth(2).ok_or("no gateway")?.to_owned();
    call(web.place(), "tcp", &gateway, 7778)?.fails()?;
    call(web.place(), "tcp", "192.0.2.2", 7778)?.fails()?;
    drop(local);
    let server = serve(Outside, "tcp", 7, "outside")?;
    call(inner.place(), "tcp", "192.0.2.1", 7)?.fails()?;
    drop(server);
    web.stop()?;
    inner.stop()?;
    ip("addr del fe80::2/64 dev uplink")?;
    nothing_left(&sandbox)
}

fn connected() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    network(&sandbox, "create --subnet 10.8.0.0/24 red")?.ok()?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    let other = start(&sandbox, "other", "--network red", "")?;
    assert!(!reaches(&other, "10.9.0.2")?);
    network(&sandbox, "connect --alias www --ip 10.8.0.77 red web")?.ok()?;
    exec(&sandbox, "other", "ping -c 1 -W 1 www")?.ok()?.stdout_has("(10.8.0.77)")?;
    network(&sandbox, "connect blue other")?.ok()?;
    assert!(reaches(&other, "10.9.0.2")?);
    // From the first network to the second, and the way out with it.
    network(&sandbox, "disconnect red other")?.ok()?;
    let server = serve(Outside, "tcp", 7, "outside")?;
    call(other.place(), "tcp", "192.0.2.1", 7)?.ok()?;
    drop(server);
    network(&sandbox, "disconnect blue web")?.ok()?;
    assert!(!reaches(&other, "10.9.0.2")?);
    assert!(exec(&sandbox, "other", "ping -c 1 -W 1 web")?.ok().is_err());
    web.stop()?;
    other.stop()?;
    nothing_left(&sandbox)
}

fn refused() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    for driver in ["macvlan", "ipvlan", "vxlan"] {
        let done = network(&sandbox, &format!("create -d {driver} lan"))?.fails()?;
        done.stderr_has("an ordinary user has no place on the wire of this host")?;
    }
    container(&sandbox, "--network nobody", "true")?.run()?.code(125)?.stderr_has("network nobody not found")?;
    network(&sandbox, "create blue")?.ok()?;
    let alone = start(&sandbox, "alone", "", "")?;
    let done = network(&sandbox, "connect blue alone")?.fails()?;
    done.stderr_has("has a network of its own, made by pasta")?.stderr_has("--network bridge --network blue")?;
    alone.stop()?;
    nothing_left(&sandbox)
}

fn at_once() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    let mut all = Vec::new();
    for number in 0..12 {
        let script = "ip -4 -o addr show eth0; readlink /proc/self/ns/user; echo ready; sleep 60";
        all.push(container(&sandbox, &format!("--name c{number} --network blue"), script)?.spawn()?);
    }
    for one in &mut all {
        one.says("ready")?;
    }
    let mut inodes: Vec<_> = (0..12)
        .map(|number| {
            Ok(std::fs::read_link(format!("/proc/{}/ns/user", common::pid_of(&sandbox, &format!("c{number}"))?))?)
        })
        .collect::<Outcome<_>>()?;
    inodes.dedup();
    assert_eq!(inodes.len(), 1, "{inodes:?}");
    assert_eq!(processes("cooper-netns")?.len(), 1);
    let text = network(&sandbox, "inspect blue")?.ok()?.stdout;
    let mut addresses: Vec<_> = text.lines().filter(|line| line.contains("\"IPv4Address\"")).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 12, "{text}");
    for number in 0..12 {
        let pid = common::pid_of(&sandbox, &format!("c{number}"))?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?;
    }
    for one in all {
        drop(one.wait()?);
    }
    nothing_left(&sandbox)
}
