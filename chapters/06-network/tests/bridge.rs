//! The default network as root has it, seen from all sides: host, outside, neighbour, the container itself.

use std::time::Duration;

use harness::{Outcome, Sandbox, Suite};
use nix::sys::signal::Signal;

mod common;
use common::Place::{Host, Outside};
use common::{call, container, inside, ip, layer, leftovers, serve, start};

const NEEDS: &[&str] = &["nft", "ip", "perl", "busybox"];

fn main() {
    Suite::new()
        .root("the gateway answers, and containers reach each other", reach)
        .needs(NEEDS)
        .root("a published port answers from everywhere", published)
        .needs(NEEDS)
        .root("it does so where bridged frames bypass the IP rules, too", published_plain)
        .needs(NEEDS)
        .root("what is not published does not answer", not_published)
        .needs(NEEDS)
        .root("a port that is taken is refused, and the holder named", port_taken)
        .needs(NEEDS)
        .root("random ports and ranges", random_ports)
        .needs(NEEDS)
        .root("the host's routes are avoided", routes_avoided)
        .needs(NEEDS)
        .root("addresses: asked for, refused, twenty at once", addresses)
        .needs(NEEDS)
        .root("/etc/hosts, hostname and resolv.conf", files)
        .needs(NEEDS)
        .root("none, host and another container's network", other_networks)
        .needs(NEEDS)
        .root("a killed engine's things are cleared by the next start", killed)
        .needs(NEEDS)
        .root("killed at any moment", killed_at_any_moment)
        .needs(NEEDS)
        .root("a failed start leaves nothing", failed_start)
        .needs(NEEDS)
        .root("others' rules are not touched", foreign_rules)
        .needs(NEEDS)
        .run();
}

fn reach() -> Outcome {
    let sandbox = Sandbox::new()?;
    let one = start(&sandbox, "one", "", "")?;
    let script = "ping -c 1 -W 2 10.210.0.1 && ping -c 1 -W 2 10.210.0.2 && ping -c 1 -W 2 192.0.2.1 && ip -4 route";
    let done = container(&sandbox, "", script)?.run()?.ok()?;
    done.stdout_has("default via 10.210.0.1 dev eth0")?;
    let server = serve(Outside, "tcp", 7, "outside")?;
    // Outside one sees the host's address.
    call(one.place(), "tcp", "192.0.2.1", 7)?.ok()?.stdout_has("outside 192.0.2.2")?;
    drop(server);
    one.stop()
}

fn published() -> Outcome {
    everywhere(true)
}

fn published_plain() -> Outcome {
    everywhere(false)
}

/// Every caller, TCP and UDP, with and without br_netfilter.
fn everywhere(bridge_nf: bool) -> Outcome {
    let switch = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if std::path::Path::new(switch).exists() {
        std::fs::write(switch, if bridge_nf { "1" } else { "0" })?;
    }
    let sandbox = Sandbox::new()?;
    let web = start(&sandbox, "web", "-p 8080:80 -p 5353:53/udp", "")?;
    let other = start(&sandbox, "other", "", "")?;
    let servers = [serve(web.place(), "tcp", 80, "web")?, serve(web.place(), "udp", 53, "web")?];
    for (protocol, port) in [("tcp", 8080), ("udp", 5353)] {
        for (who, place) in
            [("host", Host), ("outside", Outside), ("neighbour", other.place()), ("itself", web.place())]
        {
            let addresses: &[&str] = match who {
                "host" => &["127.0.0.1", "192.0.2.2", "10.210.0.1"],
                "outside" => &["192.0.2.2"],
                _ => &["192.0.2.2", "10.210.0.1"],
            };
            for address in addresses {
                let answer = call(place, protocol, address, port)?;
                answer.ok().and_then(|done| done.stdout_has("web ")).map_err(|error| {
                    format!("{who} calls {address}:{port}/{protocol}: {}", error.message().unwrap_or_default())
                })?;
            }
        }
    }
    // The caller from outside is seen with its own address.
    call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?.stdout_has("web 192.0.2.1")?;
    drop(servers);
    web.stop()?;
    other.stop()
}

fn not_published() -> Outcome {
    let sandbox = Sandbox::new()?;
    let web = start(&sandbox, "web", "-p 127.0.0.1:8081:80", "")?;
    let servers = [serve(web.place(), "tcp", 80, "web")?, serve(Host, "tcp", 7777, "host")?];
    call(Host, "tcp", "127.0.0.1", 8081)?.ok()?.stdout_has("web ")?;
    call(Host, "tcp", "192.0.2.2", 8081)?.fails()?;
    call(Outside, "tcp", "192.0.2.2", 8081)?.fails()?;
    // One who sends packets for the container's own address to the host gets no answer either.
    inside(Outside, "ip").args(["route", "add", "10.210.0.0/16", "via", "192.0.2.2"]).run()?.ok()?;
    let called = call(Outside, "tcp", "10.210.0.2", 80);
    inside(Outside, "ip").args(["route", "del", "10.210.0.0/16"]).run()?.ok()?;
    called?.fails()?;
    // route_localnet must not open the host's own loopback to the container.
    inside(web.place(), "ip").args(["route", "add", "127.0.0.9/32", "via", "10.210.0.1"]).run()?.ok()?;
    inside(web.place(), "ip").args(["route", "del", "local", "127.0.0.0/8", "dev", "lo"]).run()?.ok()?;
    call(web.place(), "tcp", "127.0.0.9", 7777)?.fails()?;
    drop(servers);
    web.stop()
}

fn port_taken() -> Outcome {
    let sandbox = Sandbox::new()?;
    let server = serve(Host, "tcp", 8080, "host")?;
    let done = container(&sandbox, "-p 8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("port 8080/tcp of this host is taken by perl (pid ")?.stderr_has("--publish 80")?;
    drop(server);
    let web = start(&sandbox, "web", "-p 8080:80", "")?;
    let done = container(&sandbox, "-p 127.0.0.1:8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("port 127.0.0.1:8080/tcp of this host is taken by container ")?;
    // A program of the host is told at once.
    inside(Host, "perl")
        .args([
            "-e",
            "use IO::Socket::INET; IO::Socket::INET->new(LocalPort => 8080, Listen => 1, ReuseAddr => 1) or die $!",
        ])
        .run()?
        .fails()?
        .stderr_has("in use")?;
    web.stop()?;
    container(&sandbox, "-p 8080:80", "true")?.run()?.ok()?;
    let done = container(&sandbox, "-p 192.0.2.77:8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("EADDRNOTAVAIL")?.stderr_has("no address of this host")?;
    Ok(())
}

fn random_ports() -> Outcome {
    let sandbox = Sandbox::new()?;
    let web = start(&sandbox, "web", "-p 80 -p 8000-8001:9000-9001 -p 8000-8009:70", "")?;
    let ports = common::host_ports(&sandbox, "web")?;
    assert_eq!(ports.len(), 4, "{ports:?}");
    assert_eq!(ports[1..], [8000, 8001, 8002], "{ports:?}");
    let server = serve(web.place(), "tcp", 80, "web")?;
    call(Host, "tcp", "127.0.0.1", ports[0])?.ok()?.stdout_has("web ")?;
    drop(server);
    web.stop()
}

fn routes_avoided() -> Outcome {
    let sandbox = Sandbox::new()?;
    ip("address add 10.210.9.1/24 dev lo")?;
    let done = container(&sandbox, "", "ip -4 address show eth0")?.run();
    ip("address del 10.210.9.1/24 dev lo")?;
    done?.ok()?.stdout_has("inet 10.211.0.2/16")?;
    Ok(())
}

fn addresses() -> Outcome {
    let sandbox = Sandbox::new()?;
    let options = "--ip 10.210.7.7 --mac-address 02:00:00:00:00:07";
    let done = container(&sandbox, options, "ip address show eth0")?.run()?.ok()?;
    done.stdout_has("inet 10.210.7.7/16")?.stdout_has("02:00:00:00:00:07")?;
    let first = start(&sandbox, "first", "--ip 10.210.0.5", "")?;
    let done = container(&sandbox, "--ip 10.210.0.5", "true")?.run()?.code(125)?;
    done.stderr_has("10.210.0.5 is taken by another container")?;
    container(&sandbox, "--ip 10.9.0.5", "true")?.run()?.code(125)?.stderr_has("not one of network bridge")?;
    let script = "ip -4 address show eth0 | grep inet; echo ready; sleep 3";
    let twenty: Vec<_> = (0..20).map(|_| container(&sandbox, "-p 80", script)?.spawn()).collect::<Outcome<_>>()?;
    let mut seen = std::collections::BTreeSet::new();
    for engine in twenty {
        let done = engine.wait()?.ok()?;
        let address = done.stdout.split_whitespace().nth(1).unwrap_or_default().to_owned();
        assert!(address.starts_with("10.210.0.") && seen.insert(address.clone()), "{address} twice: {seen:?}");
    }
    assert_eq!(seen.len(), 20);
    first.stop()
}

fn files() -> Outcome {
    let sandbox = Sandbox::new()?;
    let options = "--hostname web.test --add-host db:192.0.2.9 --add-host up:host-gateway \
                   --dns 192.0.2.53 --dns-search a.test --dns-option ndots:3";
    let script = "cat /etc/hosts /etc/hostname /etc/resolv.conf; hostname; touch /etc/hosts && echo writable";
    let done = container(&sandbox, options, script)?.run()?.ok()?;
    let done = done.stdout_has("127.0.0.1\tlocalhost")?.stdout_has("192.0.2.9\tdb")?.stdout_has("10.210.0.1\tup")?;
    let done =
        done.stdout_has("10.210.0.2\tweb.test web\nweb.test\nnameserver 192.0.2.53\nsearch a.test\noptions ndots:3\n")?;
    done.stdout_has("\nweb.test\nwritable")?;
    // An image as systemd makes it: the file is a link to what is not there.
    let etc = sandbox.dir("layer/etc")?;
    std::os::unix::fs::symlink("../run/systemd/resolve/stub-resolv.conf", etc.join("resolv.conf"))?;
    let done = container(&sandbox, "--dns 192.0.2.53 --read-only", "cat /etc/resolv.conf")?.run()?.ok()?;
    assert_eq!(done.stdout.lines().next(), Some("nameserver 192.0.2.53"));
    Ok(())
}

fn other_networks() -> Outcome {
    let sandbox = Sandbox::new()?;
    let done = container(&sandbox, "--network none", "ls /sys/class/net; ping -c 1 -W 1 127.0.0.1")?.run()?.ok()?;
    assert!(done.stdout.starts_with("lo\n"), "{}", done.stdout);
    container(&sandbox, "--network host", "ip link")?.run()?.ok()?.stdout_has("uplink")?;
    container(&sandbox, "--share net", "ip link")?.run()?.ok()?.stdout_has("uplink")?;
    let web = start(&sandbox, "web", "-p 8080:80", "")?;
    let server = serve(web.place(), "tcp", 80, "web")?;
    let script = "echo hi | nc 127.0.0.1 80; ls /sys/class/net; tail -n 1 /etc/hosts; cat /etc/hostname";
    let done = container(&sandbox, "--network container:web", script)?.run()?.ok()?;
    done.stdout_has("web 127.0.0.1\neth0\nlo\n10.210.0.2\t")?;
    let done = container(&sandbox, "--network container:nobody", "true")?.run()?.code(125)?;
    done.stderr_has("\"nobody\"")?.stderr_has("running are: web")?;
    container(&sandbox, "--network host -p 80", "true")?
        .run()?
        .code(125)?
        .stderr_has("--publish with --network host")?;
    container(&sandbox, "--network blue", "true")?.run()?.code(125)?.stderr_has("network blue not found")?;
    drop(server);
    web.stop()
}

fn killed() -> Outcome {
    let sandbox = Sandbox::new()?;
    let victim = start(&sandbox, "victim", "-p 8080:80", "")?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim.engine()), Signal::SIGKILL)?;
    std::thread::sleep(Duration::from_millis(200));
    assert!(!leftovers(&sandbox).is_empty(), "kill -9 leaves something, or this test shows nothing");
    // The same port and the same address are free again.
    container(&sandbox, "-p 8080:80 --ip 10.210.0.2", "true")?.run()?.ok()?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn killed_at_any_moment() -> Outcome {
    let sandbox = Sandbox::new()?;
    layer(&sandbox)?;
    for milliseconds in (0..150).step_by(6) {
        let engine = container(&sandbox, "-p 8080:80", "sleep 9")?.spawn()?;
        std::thread::sleep(Duration::from_millis(milliseconds));
        engine.signal(Signal::SIGKILL)?;
        drop(engine.wait()?);
    }
    // Also a command that starts no container cleans, as soon as the last process has ended.
    for _ in 0..50 {
        sandbox.step(6).args(["network", "ls"]).run()?.ok()?;
        if leftovers(&sandbox).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    // The cgroups are another chapter's, which clears them when it starts a container.
    container(&sandbox, "--network none", "true")?.run()?.ok()?;
    let links = ip("-o link")?;
    assert!(!links.contains("cooper") && !links.contains("veth"), "{links}");
    Ok(())
}

fn failed_start() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.step(6).args(["run", "--rm", "--layer", &layer(&sandbox)?, "-p", "8080:80", "no-such"]).run()?.code(127)?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn foreign_rules() -> Outcome {
    let sandbox = Sandbox::new()?;
    let nft = |words: &str| sandbox.program("nft").args(words.split_whitespace()).run();
    nft("add table ip theirs")?.ok()?;
    nft("add chain ip theirs forward { type filter hook forward priority 0 ; policy drop ; }")?.ok()?;
    let before = nft("list table ip theirs")?.ok()?.stdout;
    let doctor = sandbox.step(6).arg("doctor").run()?.stdout;
    container(&sandbox, "-p 8080:80", "true")?.run()?.ok()?;
    let after = nft("list table ip theirs")?.ok()?.stdout;
    nft("delete table ip theirs")?.ok()?;
    assert_eq!(before, after);
    assert!(doctor.contains("table ip theirs drops what it does not know"), "{doctor}");
    Ok(())
}
