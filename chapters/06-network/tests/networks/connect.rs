//! `network connect` and `disconnect` on containers that run.

use std::path::PathBuf;

use harness::{Outcome, Sandbox};

use crate::common::Place::Outside;
use crate::common::{call, container, inside, ip, leftovers, serve, start};
use crate::{network, reaches};

pub fn connected() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.8.0.0/24 red")?.ok()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 --ipv6 --subnet fd00:9::/64 blue")?.ok()?;
    let web = start(&sandbox, "web", "--network red -p 8080:80", "")?;
    let blue = start(&sandbox, "blue1", "--network blue", "")?;
    assert!(!reaches(&blue, "10.9.0.9")?);
    // Or the kernel would go on asking who that is once a second (arp(7), retrans_time), and a ping waits no longer.
    inside(blue.place(), "ip").args(["neigh", "flush", "all"]).run()?.ok()?;
    network(&sandbox, "connect --ip 10.9.0.9 --alias www blue web")?.ok()?;
    assert!(reaches(&blue, "10.9.0.9")? && reaches(&web, "10.9.0.2")? && reaches(&web, "fd00:9::2")?);
    inside(web.place(), "ip").args(["route"]).run()?.ok()?.stdout_has("default via 10.8.0.1 dev eth0")?;
    network(&sandbox, "inspect blue")?.ok()?.stdout_has("\"IPv4Address\": \"10.9.0.9/24\"")?;
    network(&sandbox, "connect blue web")?
        .code(125)?
        .stderr_has("endpoint with name web already exists in network blue")?;
    network(&sandbox, "connect --ip 10.9.0.9 blue blue1")?.code(125)?.stderr_has("already exists")?;
    container(&sandbox, "--network blue --ip 10.9.0.9", "true")?.run()?.code(125)?.stderr_has("is taken")?;
    let hosts = std::fs::read_to_string(format!("/proc/{}/root/etc/hosts", web.pid))?;
    assert!(hosts.contains("\n10.9.0.9\t") && hosts.contains("\n10.8.0.2\t") && hosts.contains("localhost"), "{hosts}");

    network(&sandbox, "disconnect red web")?.ok()?;
    assert!(!reaches(&web, "10.8.0.1")?);
    inside(web.place(), "ip").args(["route"]).run()?.ok()?.stdout_has("default via 10.9.0.1 dev eth1")?;
    assert!(reaches(&web, "192.0.2.1")?, "out by the other network");
    let server = serve(web.place(), "tcp", 80, "web")?;
    call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?.stdout_has("web ")?;
    drop(server);
    let hosts = std::fs::read_to_string(format!("/proc/{}/root/etc/hosts", web.pid))?;
    assert!(!hosts.contains("10.8.0.2"), "{hosts}");
    assert!(!ip("-o link")?.contains("10.8.0"), "the red bridge has gone");
    network(&sandbox, "rm red")?.ok()?;
    network(&sandbox, "disconnect blue web")?.ok()?;
    network(&sandbox, "disconnect blue web")?.code(125)?.stderr_has("is not connected to network blue")?;
    assert_eq!(inside(web.place(), "ip").args(["-o", "link"]).run()?.ok()?.stdout.lines().count(), 1, "lo");
    network(&sandbox, "connect bridge web")?.ok()?;
    assert!(reaches(&web, "192.0.2.1")?);
    inside(web.place(), "ip").args(["-4", "address", "show", "eth0"]).run()?.ok()?.stdout_has("inet 10.210.0.2/16")?;
    web.stop()?;
    blue.stop()?;
    assert_eq!(leftovers(&sandbox), Vec::<PathBuf>::new());
    Ok(())
}

pub fn way_out() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --internal --subnet 10.7.0.0/24 inner")?.ok()?;
    network(&sandbox, "create --subnet 10.8.0.0/24 red")?.ok()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 --subnet fd00:9::/64 blue")?.ok()?;
    let web = start(&sandbox, "web", "--network inner", "")?;
    let default = |six: bool| {
        let family = if six { "-6" } else { "-4" };
        let text = inside(web.place(), "ip").args([family, "route", "show", "default"]).run()?.ok()?.stdout;
        Outcome::Ok(text.split_whitespace().nth(2).unwrap_or("none").to_owned())
    };
    assert_eq!((default(false)?, default(true)?), ("none".into(), "none".into()));
    network(&sandbox, "connect red web")?.ok()?;
    assert_eq!((default(false)?, default(true)?), ("10.8.0.1".into(), "none".into()));
    network(&sandbox, "connect --gw-priority 1 blue web")?.ok()?;
    assert_eq!((default(false)?, default(true)?), ("10.9.0.1".into(), "fd00:9::1".into()));
    network(&sandbox, "disconnect blue web")?.ok()?;
    assert_eq!((default(false)?, default(true)?), ("10.8.0.1".into(), "none".into()));
    network(&sandbox, "disconnect red web")?.ok()?;
    assert_eq!(default(false)?, "none");
    web.stop()
}

pub fn not_connected() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create blue")?.ok()?;
    let web = start(&sandbox, "web", "", "")?;
    let host = start(&sandbox, "of-host", "--network host", "")?;
    let none = start(&sandbox, "of-none", "--network none", "")?;
    let shared = start(&sandbox, "shared", "--network container:web", "")?;
    for (words, why) in [
        ("connect blue of-host", "sharing network namespace with another container or host"),
        ("connect blue shared", "sharing network namespace with another container or host"),
        ("connect blue of-none", "in private (none) mode"),
        ("connect host web", "it must be created in host network"),
        ("connect nobody web", "network nobody not found"),
        ("connect blue nobody", "no running container is called \"nobody\""),
        ("connect --ip 10.9.0.9 blue web", "not one of network blue"),
        ("connect --link-local-ip 169.254.0.9 blue web", "link-local"),
        ("disconnect blue web", "is not connected to network blue"),
    ] {
        network(&sandbox, words)?.code(125)?.stderr_has(why)?;
    }
    let links = ip("-o link")?;
    assert!(!links.contains("br-"), "nothing is left of what failed: {links}");
    for one in [shared, web, host, none] {
        one.stop()?;
    }
    Ok(())
}
