//! Published ports of networks that people make.

use harness::{Outcome, Sandbox};

use crate::common::Place::{Host, Outside};
use crate::common::{call, container, host_ports, serve, serve_at, start};
use crate::network;

pub fn addresses() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --ipv6 --subnet 10.9.0.0/24 --subnet fd00:9::/64 blue")?.ok()?;
    let options = "--network blue -p 127.0.0.1:8081:80 -p 192.0.2.2:8082:80 -p [2001:db8::2]:8083:80 -p 8084:80 \
                   -p 192.0.2.2:8085-8086:90-91/udp -p [2001:db8::2]:53:53/udp";
    let web = start(&sandbox, "web", options, "")?;
    let other = start(&sandbox, "other", "--network blue", "")?;
    let servers = [
        serve(web.place(), "tcp", 80, "web")?,
        serve_at(web.place(), "udp", "::", 53, "names")?,
        serve(web.place(), "udp", 91, "web")?,
    ];
    for (who, place) in [("host", Host), ("outside", Outside), ("neighbour", other.place()), ("itself", web.place())] {
        let local = who == "host";
        let inner = matches!(who, "neighbour" | "itself");
        for (protocol, address, port, answers) in [
            ("tcp", "127.0.0.1", 8081, local),
            ("tcp", "192.0.2.2", 8081, false),
            ("tcp", "192.0.2.2", 8082, true),
            ("tcp", "10.9.0.1", 8082, false),
            ("tcp", "192.0.2.2", 8083, false),
            ("tcp", "192.0.2.2", 8084, true),
            ("tcp", "10.9.0.1", 8084, local || inner),
            ("udp", "192.0.2.2", 8086, true),
            ("udp", "2001:db8::2", 53, true),
        ] {
            let done = call(place, protocol, address, port)?;
            assert_eq!(done.ok().is_ok(), answers, "{who} calls {address}:{port}/{protocol}");
        }
    }
    drop(servers);
    let server = serve_at(web.place(), "tcp", "::", 80, "web6")?;
    for (who, place) in [("host", Host), ("outside", Outside), ("neighbour", other.place()), ("itself", web.place())] {
        for (port, answers) in [(8083, true), (8084, true), (8082, false)] {
            let done = call(place, "tcp", "2001:db8::2", port)?;
            assert_eq!(done.ok().is_ok(), answers, "{who} calls [2001:db8::2]:{port}");
        }
    }
    // Nothing is lost in silence: who means `localhost` has his answer from 127.0.0.1.
    call(Host, "tcp", "::1", 8084)?.fails()?.stderr_has("refused")?;
    // The caller from outside is seen with its own address.
    call(Outside, "tcp", "2001:db8::2", 8084)?.ok()?.stdout_has("web6 2001:db8::1")?;
    drop(server);
    web.stop()?;
    other.stop()
}

pub fn everywhere() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.8.0.0/24 red")?.ok()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue -p 8080:80 -p 5353:53/udp", "")?;
    let near = start(&sandbox, "near", "--network blue", "")?;
    let far = start(&sandbox, "far", "--network red", "")?;
    let servers = [serve(web.place(), "tcp", 80, "web")?, serve(web.place(), "udp", 53, "web")?];
    for (who, place) in [
        ("host", Host),
        ("outside", Outside),
        ("neighbour", near.place()),
        ("another", far.place()),
        ("itself", web.place()),
    ] {
        for (protocol, port) in [("tcp", 8080), ("udp", 5353)] {
            let done = call(place, protocol, "192.0.2.2", port)?;
            done.ok()
                .and_then(|done| done.stdout_has("web "))
                .map_err(|error| format!("{who} {protocol}: {error:?}"))?;
        }
    }
    call(Host, "tcp", "127.0.0.1", 8080)?.ok()?;
    call(far.place(), "tcp", "10.9.0.2", 80)?.fails()?;
    drop(servers);
    for one in [web, near, far] {
        one.stop()?;
    }
    Ok(())
}

pub fn taken() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --ipv6 blue")?.ok()?;
    let server = serve_at(Host, "tcp", "2001:db8::2", 8080, "host")?;
    let done = container(&sandbox, "--network blue -p [2001:db8::2]:8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("port [2001:db8::2]:8080/tcp of this host is taken by perl (pid ")?;
    let done = container(&sandbox, "--network blue -p [::1]:8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("publish 80/tcp on ::1")?.stderr_has("--publish 127.0.0.1::80")?;
    // Both families or none: a port that answers in one only would be half a port.
    container(&sandbox, "--network blue -p 8080:80", "true")?.run()?.code(125)?.stderr_has("is taken")?;
    container(&sandbox, "--network blue -p 0.0.0.0:8080:80", "true")?.run()?.ok()?;
    drop(server);
    let web = start(&sandbox, "web", "--network blue -p 0:80 -p 8080-8089:80 -p 127.0.0.1:0:81", "")?;
    let ports = host_ports(&sandbox, "web")?;
    assert!(ports.len() == 5 && ports[0] == ports[1] && ports[2..4] == [8080, 8080], "{ports:?}");
    assert!(ports.iter().all(|port| *port > 0), "{ports:?}");
    let done = container(&sandbox, "--network blue -p [2001:db8::2]:8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("port [2001:db8::2]:8080/tcp of this host is taken by container ")?;
    let done = container(&sandbox, "-p [::]:8090:80", "true")?.run()?.code(125)?;
    done.stderr_has("the container has no IPv6 address")?.stderr_has("network create --ipv6")?;
    web.stop()
}
