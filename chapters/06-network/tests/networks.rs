//! Networks that people make, as root has them.

use harness::{Done, Outcome, Sandbox, Suite};

mod common;
use common::Place::{Host, Outside};
use common::{Running, call, container, inside, ip, leftovers, serve, serve_at, start};

#[path = "networks/connect.rs"]
mod connect;
#[path = "networks/kills.rs"]
mod kills;
#[path = "networks/ports.rs"]
mod ports;

const NEEDS: &[&str] = &["nft", "ip", "perl", "busybox"];

fn main() {
    Suite::new()
        .root("made, listed, looked at and removed", life)
        .needs(NEEDS)
        .root("what is wrong is refused", refused)
        .needs(NEEDS)
        .root("who shares no network cannot call each other", isolated)
        .needs(NEEDS)
        .root("several networks on one container", several)
        .needs(NEEDS)
        .root("no way out of an internal network, and none in", internal)
        .needs(NEEDS)
        .root("IPv6 with NAT", ipv6)
        .needs(NEEDS)
        .root("mtu, ranges, addresses and names of links", details)
        .needs(NEEDS)
        .root("containers kept from each other", closed_inside)
        .needs(NEEDS)
        .root("connected and disconnected while it runs", connect::connected)
        .needs(NEEDS)
        .root("the way out turns", connect::way_out)
        .needs(NEEDS)
        .root("what cannot be connected", connect::not_connected)
        .needs(NEEDS)
        .root("rules are in force, whatever others do to them", rules)
        .needs(NEEDS)
        .root("another container's networks", joined)
        .needs(NEEDS)
        .root("ports on given addresses, and IPv6", ports::addresses)
        .needs(NEEDS)
        .root("ports of a network of one's own answer from everywhere", ports::everywhere)
        .needs(NEEDS)
        .root("ports that are taken, and any", ports::taken)
        .needs(NEEDS)
        .root("killed while it is connected", kills::connect)
        .needs(NEEDS)
        .root("killed at any moment, with two networks", kills::run)
        .needs(NEEDS)
        .root("killed while networks are made and removed", kills::create)
        .needs(NEEDS)
        .run();
}

/// `network WORDS`
pub fn network(sandbox: &Sandbox, words: &str) -> Outcome<Done> {
    sandbox.step(6).arg("network").args(words.split_whitespace()).run()
}

/// Does a ping from there arrive?
pub fn reaches(from: &Running, address: &str) -> Outcome<bool> {
    Ok(common::ping(from.place(), address)?.ok().is_ok())
}

fn life() -> Outcome {
    let sandbox = Sandbox::new()?;
    let id = network(&sandbox, "create --label team=a blue")?.ok()?.stdout.trim().to_owned();
    assert_eq!(id.len(), 64);
    network(&sandbox, "create blue")?.code(125)?.stderr_has("network with name blue already exists")?;
    let list = network(&sandbox, "ls")?.ok()?.stdout;
    let names: Vec<_> = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()[1..].join(" ")).collect();
    assert_eq!(
        names,
        ["ID NAME DRIVER SCOPE", "blue bridge local", "bridge bridge local", "host host local", "none null local"]
    );
    assert!(list.starts_with("NETWORK ID     NAME      DRIVER    SCOPE\n"), "{list}");
    let quiet = network(&sandbox, "ls -q --no-trunc --filter type=custom --filter label=team=a")?.ok()?.stdout;
    assert_eq!(quiet.trim(), id);
    // Nothing stands before a container comes.
    assert!(!ip("-o link")?.contains("br-"));
    let web = start(&sandbox, "web", "--network blue", "")?;
    let text = network(&sandbox, &format!("inspect {}", &id[..6]))?.ok()?.stdout;
    for expected in [
        "\"Name\": \"blue\"",
        "\"Subnet\": \"10.220.0.0/24\"",
        "\"IPv4Address\": \"10.220.0.2/24\"",
        "\"Name\": \"web\"",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    network(&sandbox, "rm blue")?.code(1)?.stderr_has("network blue has active endpoints (name:\"web\" id:")?;
    network(&sandbox, "prune -f")?.ok()?;
    web.stop()?;
    assert!(!ip("-o link")?.contains("br-"), "the link goes with the last container");
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    let done = network(&sandbox, &format!("rm nobody {}", &id[..12]))?.code(1)?;
    done.stderr_has("network nobody not found")?.stdout_has(&id[..12])?;
    network(&sandbox, "create red")?.ok()?;
    assert_eq!(network(&sandbox, "prune -f")?.ok()?.stdout, "Deleted Networks:\nred\n\n");
    network(&sandbox, "rm -f red")?.ok()?;
    network(&sandbox, "rm bridge")?.code(1)?.stderr_has("bridge is a pre-defined network and cannot be removed")?;
    Ok(())
}

fn refused() -> Outcome {
    let sandbox = Sandbox::new()?;
    for (words, why) in [
        ("create host", "operation is not permitted on predefined host network"),
        ("create --subnet 192.0.2.0/25 blue", "overlaps the route 192.0.2.0/24 of this host"),
        ("create -o colour=red blue", "driver bridge has no option colour"),
        ("inspect nobody", "network nobody not found"),
    ] {
        network(&sandbox, words)?.fails()?.stderr_has(why)?;
    }
    network(&sandbox, "create -d overlay blue")?.code(2)?.stderr_has("--driver vxlan")?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    network(&sandbox, "create --subnet 10.9.0.128/25 red")?
        .fails()?
        .stderr_has("overlaps with 10.9.0.0/24 of network blue")?;
    for (options, why) in [
        ("--network nobody", "network nobody not found"),
        ("--network blue --network host", "conflicting options"),
        ("--network blue --ip 10.8.0.9", "not one of network blue"),
        ("--network blue --ip6 fd00::9", "network blue has no IPv6"),
        ("--network blue --link-local-ip 169.254.0.9", "link-local"),
        ("--network-alias www", "network-scoped alias is supported only"),
    ] {
        container(&sandbox, options, "true")?.run()?.code(125)?.stderr_has(why)?;
    }
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    // A subnet that was free when the network was made.
    ip("address add 10.9.0.77/24 dev lo")?;
    let done = container(&sandbox, "--network blue", "true")?.run();
    ip("address del 10.9.0.77/24 dev lo")?;
    done?.code(125)?.stderr_has("its subnet 10.9.0.0/24 overlaps the route 10.9.0")?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn isolated() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.8.0.0/24 red")?.ok()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    let red = start(&sandbox, "red1", "--network red", "")?;
    let blue = start(&sandbox, "blue1", "--network blue", "")?;
    let other = start(&sandbox, "blue2", "--network blue", "")?;
    let plain = start(&sandbox, "plain", "", "")?;
    assert!(reaches(&blue, "10.9.0.3")? && reaches(&other, "10.9.0.2")?, "neighbours");
    for (who, address) in [(&red, "10.9.0.2"), (&blue, "10.8.0.2"), (&plain, "10.8.0.2"), (&red, "10.210.0.2")] {
        assert!(!reaches(who, address)?, "{address} is in another network");
    }
    for who in [&red, &blue, &plain] {
        assert!(reaches(who, "192.0.2.1")?, "each has its way out");
    }
    for one in [red, blue, other, plain] {
        one.stop()?;
    }
    Ok(())
}

fn several() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.8.0.0/24 red")?.ok()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    let options = "--network red --network name=blue,ip=10.9.0.9,mac-address=02:00:00:00:00:09 --ip 10.8.0.8";
    let both = start(&sandbox, "both", options, "")?;
    let red = start(&sandbox, "red1", "--network red", "")?;
    let blue = start(&sandbox, "blue1", "--network blue", "")?;
    let text = inside(both.place(), "ip").args(["address"]).run()?.ok()?.stdout;
    for expected in ["inet 10.8.0.8/24 brd 10.8.0.255 scope global eth0", "scope global eth1", "02:00:00:00:00:09"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    inside(both.place(), "ip").args(["route"]).run()?.ok()?.stdout_has("default via 10.8.0.1 dev eth0")?;
    assert!(reaches(&red, "10.8.0.8")? && reaches(&blue, "10.9.0.9")?);
    assert!(!reaches(&red, "10.9.0.9")? && !reaches(&blue, "10.8.0.8")?, "it is no router between them");
    both.stop()?;
    // The other way out, by its priority.
    let done =
        container(&sandbox, "--network red --network name=blue,gw-priority=1", "ip route; ip address")?.run()?.ok()?;
    done.stdout_has("default via 10.9.0.1 dev eth1")?;
    let done =
        container(&sandbox, "--network name=red,driver-opt=com.docker.network.endpoint.ifname=left0", "ip address")?;
    done.run()?.ok()?.stdout_has("scope global left0")?;
    red.stop()?;
    blue.stop()
}

fn internal() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --internal --subnet 10.8.0.0/24 inner")?.ok()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    let one = start(&sandbox, "one", "--network inner", "")?;
    let two = start(&sandbox, "two", "--network inner", "")?;
    let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
    let servers = [serve(web.place(), "tcp", 80, "web")?, serve(Host, "tcp", 7777, "host")?];
    assert!(reaches(&one, "10.8.0.3")? && reaches(&one, "10.8.0.1")?, "neighbours, and the bridge itself");
    let routes = inside(one.place(), "ip").args(["route"]).run()?.ok()?.stdout;
    assert!(!routes.contains("default"), "{routes}");
    // Nor does it help to make a route.
    inside(one.place(), "ip").args(["route", "add", "default", "via", "10.8.0.1"]).run()?.ok()?;
    for address in ["192.0.2.1", "192.0.2.2", "10.9.0.2", "10.9.0.1"] {
        assert!(!reaches(&one, address)?, "{address}");
    }
    call(one.place(), "tcp", "192.0.2.2", 8080)?.fails()?;
    call(one.place(), "tcp", "192.0.2.2", 7777)?.fails()?;
    call(one.place(), "tcp", "10.8.0.1", 8080)?.fails()?;
    inside(Outside, "ip").args(["route", "add", "10.8.0.0/24", "via", "192.0.2.2"]).run()?.ok()?;
    let pinged = common::ping(Outside, "10.8.0.2");
    inside(Outside, "ip").args(["route", "del", "10.8.0.0/24"]).run()?.ok()?;
    pinged?.fails()?;
    container(&sandbox, "--network inner -p 80", "true")?.run()?.code(125)?.stderr_has("it is internal")?;
    // With a second network there is a way out by that one.
    let done =
        container(&sandbox, "--network inner --network blue", "ip route; ping -c 1 -W 2 192.0.2.1")?.run()?.ok()?;
    done.stdout_has("default via 10.9.0.1 dev eth1")?;
    drop(servers);
    for one in [one, two, web] {
        one.stop()?;
    }
    Ok(())
}

fn ipv6() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --ipv6 --subnet 10.9.0.0/24 --subnet fd00:9::/64 blue")?.ok()?;
    network(&sandbox, "create --ipv6 red")?.ok()?;
    network(&sandbox, "inspect red")?.ok()?.stdout_has("\"EnableIPv6\": true")?.stdout_has("\"Gateway\": \"fd")?;
    let one = start(&sandbox, "one", "--network blue", "")?;
    let two = start(&sandbox, "two", "--network blue --ip6 fd00:9::99", "")?;
    let red = start(&sandbox, "red1", "--network red", "")?;
    let text = inside(one.place(), "ip").args(["-6", "address"]).run()?.ok()?.stdout;
    assert!(text.contains("inet6 fd00:9::2/64 scope global nodad"), "{text}");
    inside(one.place(), "ip").args(["-6", "route"]).run()?.ok()?.stdout_has("default via fd00:9::1 dev eth0")?;
    assert!(reaches(&one, "fd00:9::99")? && reaches(&two, "fd00:9::2")? && reaches(&one, "fd00:9::1")?);
    assert!(!reaches(&red, "fd00:9::2")?, "isolated for IPv6, too");
    let server = serve_at(Outside, "tcp", "::", 7, "outside")?;
    call(one.place(), "tcp", "2001:db8::1", 7)?.ok()?.stdout_has("outside 2001:db8::2")?;
    call(one.place(), "tcp", "192.0.2.1", 7)?.ok()?.stdout_has("outside ")?;
    drop(server);
    let done = container(&sandbox, "--network blue", "cat /etc/hosts")?.run()?.ok()?;
    done.stdout_has("\nfd00:9::3\t")?;
    for one in [one, two, red] {
        one.stop()?;
    }
    Ok(())
}

fn details() -> Outcome {
    let sandbox = Sandbox::new()?;
    let options = "--subnet 10.9.0.0/24 --gateway 10.9.0.254 --ip-range 10.9.0.64/30 --aux-address printer=10.9.0.65 \
                   -o mtu=1400 -o com.docker.network.bridge.name=blue0";
    network(&sandbox, &format!("create {options} blue"))?.ok()?;
    let first = start(&sandbox, "first", "--network blue", "")?;
    assert!(ip("-o -4 address show dev blue0")?.contains("inet 10.9.0.254/24"));
    let text = inside(first.place(), "ip").args(["address"]).run()?.ok()?.stdout;
    assert!(text.contains("mtu 1400") && text.contains("inet 10.9.0.64/24"), "{text}");
    inside(first.place(), "ip").args(["route"]).run()?.ok()?.stdout_has("default via 10.9.0.254 dev eth0")?;
    container(&sandbox, "--network blue", "ip address")?.run()?.ok()?.stdout_has("inet 10.9.0.66/24")?;
    let all: Vec<_> = ["second", "third"]
        .map(|name| start(&sandbox, name, "--network blue", ""))
        .into_iter()
        .collect::<Outcome<_>>()?;
    container(&sandbox, "--network blue", "true")?
        .run()?
        .code(125)?
        .stderr_has("no free address left in 10.9.0.64/30")?;
    container(&sandbox, "--network blue --ip 10.9.0.9", "true")?.run()?.ok()?;
    container(&sandbox, "--network blue --ip 10.9.0.65", "true")?.run()?.code(125)?.stderr_has("kept for printer")?;
    // The name of the link is taken.
    network(&sandbox, "create -o com.docker.network.bridge.name=uplink red")?.ok()?;
    container(&sandbox, "--network red", "true")?
        .run()?
        .code(125)?
        .stderr_has("link uplink is there already, and not ours")?;
    assert!(ip("-o link")?.contains("uplink"), "it is not ours to remove");
    first.stop()?;
    all.into_iter().try_for_each(Running::stop)
}

fn closed_inside() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 -o com.docker.network.bridge.enable_icc=false blue")?.ok()?;
    let one = start(&sandbox, "one", "--network blue", "")?;
    let two = start(&sandbox, "two", "--network blue -p 8080:80", "")?;
    let server = serve(two.place(), "tcp", 80, "two")?;
    assert!(!reaches(&one, "10.9.0.3")? && reaches(&one, "10.9.0.1")? && reaches(&one, "192.0.2.1")?);
    call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?.stdout_has("two ")?;
    drop(server);
    one.stop()?;
    two.stop()
}

fn rules() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    let one = start(&sandbox, "one", "--network blue", "")?;
    let explained = sandbox.step(6).args(["--explain", "run", "--rm", "--layer", &common::layer(&sandbox)?]);
    let explained = explained.args(["--network", "blue", "--", "true"]).run()?.ok()?;
    assert!(explained.stderr.contains("the rules are in force already"), "{}", explained.stderr);
    // Somebody reloads his firewall; the next container has ours back.
    let flush = sandbox.program("nft").args(["flush", "ruleset"]);
    flush.run()?.ok()?;
    assert!(!reaches(&one, "192.0.2.1")?);
    container(&sandbox, "--network blue", "true")?.run()?.ok()?;
    assert!(reaches(&one, "192.0.2.1")?);
    one.stop()?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn joined() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    let text = std::fs::read_dir(sandbox.run_dir().join("network/containers"))?.flatten().next().ok_or("no lease")?;
    let id = text.file_name().to_string_lossy().into_owned();
    let server = serve(web.place(), "tcp", 80, "web")?;
    let script = "echo hi | nc 127.0.0.1 80; ip -4 address show eth0; cat /etc/hosts";
    let done = container(&sandbox, &format!("--network container:{id}"), script)?.run()?.ok()?;
    done.stdout_has("web 127.0.0.1")?.stdout_has("inet 10.9.0.2/24")?.stdout_has("\n10.9.0.2\t")?;
    drop(server);
    web.stop()
}
