//! Ports of the host that lead to containers of an ordinary user.

use harness::{Outcome, Sandbox};

use crate::common::Place::{Host, Outside};
use crate::common::{call, container, inside, serve, serve_at, start};
use crate::{network, nothing_left, processes};

pub fn published() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create --ipv6 blue")?.ok()?;
    let options = "--network blue -p 8080:80 -p 127.0.0.1:8081:80 -p 5353:53/udp -p [::1]:8082:81 -p [::1]:5454:54/udp";
    let web = start(&sandbox, "web", options, "")?;
    let friend = start(&sandbox, "friend", "--network blue", "")?;
    let servers = [
        serve(web.place(), "tcp", 80, "web")?,
        serve(web.place(), "udp", 53, "web")?,
        serve_at(web.place(), "tcp", "::", 81, "web6")?,
        serve_at(web.place(), "udp", "::", 54, "web6")?,
    ];
    for (place, protocol, address, port) in [
        (Host, "tcp", "127.0.0.1", 8080),
        (Host, "tcp", "192.0.2.2", 8080),
        (Host, "tcp", "127.0.0.1", 8081),
        (Host, "tcp", "::1", 8082),
        (Host, "udp", "127.0.0.1", 5353),
        (Host, "udp", "192.0.2.2", 5353),
        (Host, "udp", "::1", 5454),
        (Outside, "tcp", "192.0.2.2", 8080),
        (Outside, "udp", "192.0.2.2", 5353),
        // From a neighbour, and from itself.
        (friend.place(), "tcp", "192.0.2.2", 8080),
        (friend.place(), "udp", "192.0.2.2", 5353),
        (web.place(), "tcp", "192.0.2.2", 8080),
        (web.place(), "udp", "192.0.2.2", 5353),
        // At the bridge's address, as root has it.
        (friend.place(), "tcp", "10.220.0.1", 8080),
        (web.place(), "tcp", "10.220.0.1", 8080),
    ] {
        let done = call(place, protocol, address, port)?;
        done.ok().map_err(|_| format!("{protocol} {address}:{port} from {place:?}"))?.stdout_has("web")?;
    }
    call(Outside, "tcp", "192.0.2.2", 8081)?.fails()?;
    call(friend.place(), "tcp", "10.220.0.1", 8081)?.fails()?;
    drop(servers);
    // Nobody listens inside any more: a call is reset, and does not hang.
    assert_eq!(call(Host, "tcp", "127.0.0.1", 8080)?.stdout, "");
    // It stays reachable when it comes to another network, and leaves the first.
    network(&sandbox, "create --subnet 10.8.0.0/24 red")?.ok()?;
    network(&sandbox, "connect red web")?.ok()?;
    network(&sandbox, "disconnect blue web")?.ok()?;
    let server = serve(web.place(), "tcp", 80, "web")?;
    call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?.stdout_has("web 10.8.0.1")?;
    drop(server);
    web.stop()?;
    call(Host, "tcp", "127.0.0.1", 8080)?.fails()?;
    assert!(processes("cooper-ports")?.is_empty());
    friend.stop()?;
    nothing_left(&sandbox)
}

pub fn taken() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
    for network in ["blue", "bridge"] {
        let again = container(&sandbox, &format!("--network {network} -p 8080:80"), "true")?.run()?.code(125)?;
        again.stderr_has("port 8080/tcp of this host is taken by container ")?;
    }
    web.stop()?;
    let server = serve(Host, "udp", 5353, "host")?;
    let done = container(&sandbox, "--network blue -p 5353:53/udp", "true")?.run()?.code(125)?;
    done.stderr_has("port 5353/udp of this host is taken")?;
    drop(server);
    // Connections that linger are no obstacle to the next one.
    for _ in 0..2 {
        let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
        let server = serve(web.place(), "tcp", 80, "web")?;
        call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?;
        drop(server);
        web.stop()?;
    }
    nothing_left(&sandbox)
}

const ECHO: &str = r#"
    use IO::Socket::IP; $| = 1;
    $s = IO::Socket::IP->new(LocalHost => "0.0.0.0", LocalPort => 80, Listen => 9, ReuseAddr => 1) or die "$@ $!";
    print "ready\n";
    while ($c = $s->accept) { local $/; $all = <$c>; print $c $all; close $c }
"#;
const SAY_ALL_THEN_LISTEN: &str = r#"
    use IO::Socket::IP; alarm 20;
    $s = IO::Socket::IP->new(PeerHost => "127.0.0.1", PeerPort => 8080) or die "$@\n";
    $all = "0123456789abcdef" x 500000; print $s $all; $s->flush; shutdown($s, 1);
    local $/; $back = <$s>; print $back eq $all ? "the same\n" : "something else: " . length($back) . "\n";
"#;

pub fn much() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
    let mut server = inside(web.place(), "perl").args(["-e", ECHO]).spawn()?;
    server.says("ready")?;
    for _ in 0..3 {
        inside(Host, "perl").args(["-e", SAY_ALL_THEN_LISTEN]).run()?.ok()?.stdout_has("the same")?;
    }
    drop(server);
    web.stop()?;
    nothing_left(&sandbox)
}
