//! slirp4netns, where pasta is missing.

use harness::{Outcome, Sandbox};

use crate::common::Place::{Host, Outside};
use crate::common::{call, container, inside, serve, serve_at, start};
use crate::{network, nothing_left, processes};

/// Does `test` on a host without pasta: it is covered, in the suite's own mount namespace.
fn without_pasta(test: impl FnOnce() -> Outcome) -> Outcome {
    let Some(pasta) = harness::find_program("pasta") else { return test() };
    let mount = |words: &[&str]| inside(Host, words[0]).args(&words[1..]).arg(&pasta).run()?.ok();
    mount(&["mount", "--bind", "/dev/null"])?;
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
    mount(&["umount"])?;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub fn default_network() -> Outcome {
    without_pasta(|| {
        let sandbox = Sandbox::ordinary()?;
        let options = "-p 8080:80 -p 5353:53/udp";
        let web = start(&sandbox, "web", options, "")?;
        assert_eq!((processes("slirp4netns")?.len(), processes("pasta")?.len()), (1, 0));
        let servers = [
            serve(web.place(), "tcp", 80, "web")?,
            serve(web.place(), "udp", 53, "web")?,
            serve(Outside, "tcp", 7, "outside")?,
            serve_at(Host, "tcp", "127.0.0.1", 7777, "host")?,
        ];
        for (place, protocol, address, port) in [
            (Host, "tcp", "127.0.0.1", 8080),
            (Host, "udp", "127.0.0.1", 5353),
            (Outside, "tcp", "192.0.2.2", 8080),
            (Outside, "udp", "192.0.2.2", 5353),
        ] {
            call(place, protocol, address, port)?.ok()?.stdout_has("web ")?;
        }
        call(web.place(), "tcp", "192.0.2.1", 7)?.ok()?.stdout_has("outside 192.0.2.2")?;
        call(web.place(), "tcp", "10.210.0.2", 7777)?.fails()?;
        web.stop()?;
        // Unless it was asked for.
        let friend = start(&sandbox, "friend", "--add-host up:host-gateway", "grep up /etc/hosts")?;
        call(friend.place(), "tcp", "10.210.0.2", 7777)?.ok()?.stdout_has("host 127.0.0.1")?;
        friend.stop()?;
        drop(servers);
        let done = container(&sandbox, "--ip 10.210.0.9", "true")?.run()?.code(125)?;
        done.stderr_has("slirp4netns gives each container 10.210.0.100")?;
        nothing_left(&sandbox)
    })
}

pub fn own_networks() -> Outcome {
    without_pasta(|| {
        let sandbox = Sandbox::ordinary()?;
        network(&sandbox, "create blue")?.ok()?;
        let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
        let friend = start(&sandbox, "friend", "--network blue", "")?;
        crate::exec(&sandbox, "friend", "ping -c 1 -W 1 web")?.ok()?;
        let servers = [serve(web.place(), "tcp", 80, "web")?, serve(Outside, "tcp", 7, "outside")?];
        call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?.stdout_has("web ")?;
        call(web.place(), "tcp", "192.0.2.1", 7)?.ok()?.stdout_has("outside 192.0.2.2")?;
        drop(servers);
        web.stop()?;
        friend.stop()?;
        nothing_left(&sandbox)
    })
}
