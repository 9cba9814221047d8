//! How the name server's process begins and ends.

use std::time::{Duration, Instant};

use harness::{Outcome, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{self, Place, Running, leftovers, start};
use crate::{asked, network};

pub fn connected() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--dns 192.0.2.77", "")?;
    assert_eq!(resolver_of(&web)?, None);
    network(&sandbox, "connect blue web")?;
    assert_eq!(asked(&web, "udp web A")?, "NOERROR 10.220.0.2");
    let shown =
        common::inside(Place::Host, "cat").arg(format!("/proc/{}/root/etc/resolv.conf", web.pid)).run()?.ok()?;
    shown.stdout_has("nameserver 127.0.0.11\n")?;
    network(&sandbox, "disconnect blue web")?;
    network(&sandbox, "connect blue web")?;
    assert_eq!(asked(&web, "tcp web A")?, "NOERROR 10.220.0.2");
    web.stop()
}

pub fn killed() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create blue")?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    let server = resolver_of(&web)?.ok_or("no name server")?;
    kill(Pid::from_raw(web.engine()), Signal::SIGKILL)?;
    gone(server)?;
    // Without it names are not answered until the next one comes, and that is all.
    let web = start(&sandbox, "web", "--network blue", "")?;
    let server = resolver_of(&web)?.ok_or("no name server")?;
    kill(Pid::from_raw(server), Signal::SIGKILL)?;
    gone(server)?;
    web.stop()?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    let server = resolver_of(&web)?.ok_or("no name server")?;
    web.stop()?;
    gone(server)?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

/// Waits for the end of a process.
fn gone(pid: i32) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(5);
    while std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The name server of that container, which holds a pidfd of its first process.
pub fn resolver_of(container: &Running) -> Outcome<Option<i32>> {
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        if !std::fs::read(path.join("cmdline")).is_ok_and(|line| line.starts_with(b"cooper-dns\0")) {
            continue;
        }
        let infos = std::fs::read_dir(path.join("fdinfo")).into_iter().flatten().flatten();
        let wanted = format!("Pid:\t{}\n", container.pid);
        let text = infos.filter_map(|info| std::fs::read_to_string(info.path()).ok());
        if text.into_iter().any(|text| text.contains(&wanted)) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// As an engine leaves it that was killed after it had noted the container's own servers.
pub fn torn() -> Outcome {
    let sandbox = Sandbox::new()?;
    let world = crate::serve_names(Place::Outside, "192.0.2.1")?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--dns 192.0.2.1", "")?;
    let leases = sandbox.run_dir().join("network/containers");
    let directory = std::fs::read_dir(leases)?.next().ok_or("no container")??.path();
    std::fs::write(directory.join("upstream.conf"), "nameserver 192.0.2.1\n")?;
    network(&sandbox, "connect blue web")?;
    assert_eq!(asked(&web, "udp web A")?, "NOERROR 10.220.0.2");
    assert_eq!(asked(&web, "udp site.test A")?, "NOERROR 203.0.113.7");
    drop(world);
    web.stop()
}

pub fn mended() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    for _ in 0..2 {
        let server = resolver_of(&web)?.ok_or("no name server")?;
        kill(Pid::from_raw(server), Signal::SIGKILL)?;
        gone(server)?;
        assert_eq!(resolver_of(&web)?, None);
        let other = start(&sandbox, "other", "--network blue", "")?;
        assert_eq!(asked(&web, "udp other A")?.split(' ').next(), Some("NOERROR"));
        assert_eq!(asked(&web, "tcp web A")?, "NOERROR 10.220.0.2");
        let server = resolver_of(&web)?;
        other.stop()?;
        assert_eq!(resolver_of(&web)?, server, "who is there is left alone");
    }
    let server = resolver_of(&web)?.ok_or("no name server")?;
    web.stop()?;
    gone(server)
}

pub fn powerless() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    assert_eq!(asked(&web, "udp web A")?, "NOERROR 10.220.0.2");
    let server = resolver_of(&web)?.ok_or("no name server")?;
    let status = std::fs::read_to_string(format!("/proc/{server}/status"))?;
    let of = |field: &str| status.lines().find_map(|line| line.strip_prefix(field)).map(str::trim);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(of(set), Some("0000000000000000"), "{set}");
    }
    assert_eq!(of("NoNewPrivs:"), Some("1"));
    web.stop()
}

/// Does the process use no time?
pub fn is_at_rest(pid: i32) -> Outcome<bool> {
    let ticks = || -> Outcome<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
    };
    let before = ticks()?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(ticks()? - before < 10)
}
