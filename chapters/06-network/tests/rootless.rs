//! The network of an ordinary user: pasta, and what is told where it cannot work.

use std::time::Duration;

use harness::{Outcome, Sandbox, Suite};
use nix::sys::signal::Signal;

mod common;
use common::Place::{Host, Outside};
use common::{call, container, inside, ip, leftovers, serve, start};

const NEEDS: &[&str] = &["pasta", "userns", "subuid", "tun", "perl", "busybox"];

fn main() {
    Suite::new()
        .root("a published port answers, and the outside is reached", published)
        .needs(NEEDS)
        .root("a host without a way out is enough", offline)
        .needs(NEEDS)
        .user("none, host and another container's network", other_networks)
        .needs(NEEDS)
        .root("a port that is taken is refused", port_taken)
        .needs(NEEDS)
        .root("pasta ends with its engine, whatever ends that", killed)
        .needs(NEEDS)
        .root("without pasta the error names the way out", without_pasta)
        .needs(NEEDS)
        .run();
}

fn published() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let web = start(&sandbox, "web", "-p 8080:80 -p 127.0.0.1:8081:80 -p 5353:53/udp -p 5454:5454/udp", "")?;
    let servers = [
        serve(web.place(), "tcp", 80, "web")?,
        serve(web.place(), "udp", 53, "web")?,
        serve(web.place(), "udp", 5454, "web")?,
        serve(Outside, "tcp", 7, "outside")?,
        serve(Host, "tcp", 7777, "host")?,
    ];
    for (place, protocol, address, port) in [
        (Host, "tcp", "127.0.0.1", 8080),
        (Host, "tcp", "127.0.0.1", 8081),
        // Debian 12's pasta loses datagrams from 127.0.0.1 whose port is changed.
        (Host, "udp", "127.0.0.1", 5454),
        (Host, "udp", "192.0.2.2", 5353),
        (Outside, "tcp", "192.0.2.2", 8080),
        (Outside, "udp", "192.0.2.2", 5353),
    ] {
        call(place, protocol, address, port)?.ok()?.stdout_has("web ")?;
    }
    call(Outside, "tcp", "192.0.2.2", 8081)?.fails()?;
    call(web.place(), "tcp", "192.0.2.1", 7)?.ok()?.stdout_has("outside 192.0.2.2")?;
    // What listens on the host's loopback link only is not the container's business …
    call(web.place(), "tcp", "10.210.0.1", 7777)?.fails()?;
    web.stop()?;
    // … unless it was asked for.
    let friend = start(&sandbox, "friend", "--add-host up:host-gateway", "grep up /etc/hosts")?;
    call(friend.place(), "tcp", "10.210.0.1", 7777)?.ok()?.stdout_has("host 127.0.0.1")?;
    friend.stop()?;
    drop(servers);
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn offline() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    ip("route del default")?;
    let done = container(&sandbox, "-p 80", "ip -4 address show eth0; ip route; cat /etc/hosts")?.run();
    ip("route add default via 192.0.2.1")?;
    let done = done?.ok()?;
    done.stdout_has("default via ")?.stdout_has("inet ")?;
    Ok(())
}

fn other_networks() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let done = container(&sandbox, "--network none", "ls /sys/class/net; ping -c 1 -W 1 127.0.0.1")?.run()?.ok()?;
    assert!(done.stdout.starts_with("lo\n"), "{}", done.stdout);
    container(&sandbox, "--network host", "ip link")?.run()?.ok()?.stdout_has("lo")?;
    let mut web = container(&sandbox, "--name web", "nc -l -p 80 -e echo hello & echo ready; sleep 5")?.spawn()?;
    web.says("ready")?;
    let done =
        container(&sandbox, "--network container:web", "sleep 0.3; nc 127.0.0.1 80; ls /sys/class/net")?.run()?.ok()?;
    done.stdout_has("hello\neth0\nlo\n")?;
    web.wait()?.ok()?;
    Ok(())
}

fn port_taken() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let server = serve(Host, "tcp", 8080, "host")?;
    let done = container(&sandbox, "-p 8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("port 8080/tcp of this host is taken")?;
    drop(server);
    let web = start(&sandbox, "web", "-p 8080:80", "")?;
    let done = container(&sandbox, "-p 8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("is taken by container ")?;
    web.stop()?;
    // Connections that linger are no obstacle to the next one.
    container(&sandbox, "-p 8080:80", "true")?.run()?.ok()?;
    container(&sandbox, "-p 80:80", "true")?.run()?.code(125)?.stderr_has("ip_unprivileged_port_start=80")?;
    Ok(())
}

fn killed() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let victim = start(&sandbox, "victim", "-p 8080:80", "")?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim.engine()), Signal::SIGKILL)?;
    std::thread::sleep(Duration::from_millis(300));
    let pasta = std::fs::read_dir("/proc")?.flatten().find(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains("8080:80") && command.starts_with(b"pasta")
    });
    assert!(pasta.is_none(), "{pasta:?} outlived its engine");
    assert!(!leftovers(&sandbox).is_empty(), "kill -9 leaves something, or this test shows nothing");
    container(&sandbox, "-p 8080:80", "true")?.run()?.ok()?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn without_pasta() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    // Covered, in the suite's own mount namespace; and so is what would take its place.
    let programs: Vec<_> = ["pasta", "slirp4netns"].iter().filter_map(|name| harness::find_program(name)).collect();
    let mount = |words: &[&str]| {
        programs.iter().try_for_each(|it| inside(Host, words[0]).args(&words[1..]).arg(it).run()?.ok().map(drop))
    };
    mount(&["mount", "--bind", "/dev/null"])?;
    let published = container(&sandbox, "-p 80", "true")?.run();
    let plain = container(&sandbox, "", "ls /sys/class/net")?.run();
    mount(&["umount"])?;
    let published = published?.code(125)?.stderr_has("pasta is not installed")?;
    published.stderr_has("apt-get install passt")?.stderr_has("--network none")?;
    // Who asks for nothing in particular gets what there is, and is told.
    let plain = plain?.ok()?.stderr_has("no network but the loopback link")?;
    assert_eq!(plain.text(), "lo");
    Ok(())
}
