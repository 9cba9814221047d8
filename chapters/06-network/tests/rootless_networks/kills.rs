//! Whoever of an ordinary user's processes is killed: the next start finds nothing of it, and works.

use std::time::Duration;

use harness::{Outcome, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::Place::Outside;
use crate::common::{call, container, serve, start};
use crate::{exec, network, nothing_left, processes, reaches};

fn kill_all(name: &str) -> Outcome {
    let all = processes(name)?;
    assert!(!all.is_empty(), "no {name}");
    for pid in all {
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    }
    Ok(())
}

/// Waits until that is so; five seconds at most.
fn until(what: &str, mut is_so: impl FnMut() -> Outcome<bool>) -> Outcome {
    for _ in 0..100 {
        if is_so()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("not so after five seconds: {what}"))?
}

/// A container in the network works, and afterwards nothing is left.
fn works_again(sandbox: &Sandbox) -> Outcome {
    let server = serve(Outside, "tcp", 7, "outside")?;
    let web = start(sandbox, "again", "--network blue -p 8080:80", "")?;
    call(web.place(), "tcp", "192.0.2.1", 7)?.ok()?;
    let inner = serve(web.place(), "tcp", 80, "web")?;
    call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?;
    drop((server, inner));
    web.stop()?;
    nothing_left(sandbox)
}

pub fn engine() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
    kill(Pid::from_raw(web.engine()), Signal::SIGKILL)?;
    // Nobody sweeps, and yet no process stays.
    for name in ["cooper-netns", "cooper-dns", "cooper-ports", "pasta"] {
        until(&format!("{name} ends"), || Ok(processes(name)?.is_empty()))?;
    }
    works_again(&sandbox)
}

pub fn keeper() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
    kill_all("cooper-netns")?;
    until("pasta ends", || Ok(processes("pasta")?.is_empty()))?;
    // Its network is gone; it ends as it would have.
    network(&sandbox, "ls")?.ok()?;
    let other = start(&sandbox, "other", "--network blue", "")?;
    assert!(!reaches(&other, "10.220.0.2")?);
    other.stop()?;
    web.stop()?;
    works_again(&sandbox)
}

pub fn pasta() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create blue")?.ok()?;
    let server = serve(Outside, "tcp", 7, "outside")?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    call(web.place(), "tcp", "192.0.2.1", 7)?.ok()?;
    kill_all("pasta")?;
    until("there is a way out again", || Ok(call(web.place(), "tcp", "192.0.2.1", 7)?.ok().is_ok()))?;
    drop(server);
    web.stop()?;
    nothing_left(&sandbox)
}

pub fn relay() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
    let server = serve(web.place(), "tcp", 80, "web")?;
    call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?;
    kill_all("cooper-ports")?;
    call(Outside, "tcp", "192.0.2.2", 8080)?.fails()?;
    // Whichever command comes next has it back.
    network(&sandbox, "ls")?.ok()?;
    call(Outside, "tcp", "192.0.2.2", 8080)?.ok()?;
    assert_eq!(processes("cooper-ports")?.len(), 1);
    network(&sandbox, "ls")?.ok()?;
    assert_eq!(processes("cooper-ports")?.len(), 1);
    drop(server);
    kill_all("cooper-ports")?;
    web.stop()?;
    works_again(&sandbox)
}

pub fn resolver() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create blue")?.ok()?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    let friend = start(&sandbox, "friend", "--network blue", "")?;
    kill_all("cooper-dns")?;
    exec(&sandbox, "friend", "ping -c 1 -W 1 web")?.fails()?;
    network(&sandbox, "ls")?.ok()?;
    exec(&sandbox, "friend", "ping -c 1 -W 1 web")?.ok()?;
    web.stop()?;
    friend.stop()?;
    nothing_left(&sandbox)
}

pub fn any_moment() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    network(&sandbox, "create --ipv6 blue")?.ok()?;
    network(&sandbox, "create red")?.ok()?;
    for milliseconds in (0..200).step_by(8) {
        let engine = container(&sandbox, "--network blue --network red -p 8080:80", "sleep 9")?.spawn()?;
        std::thread::sleep(Duration::from_millis(milliseconds));
        engine.signal(Signal::SIGKILL)?;
        drop(engine.wait()?);
    }
    until("all is swept", || {
        network(&sandbox, "ls")?.ok()?;
        Ok(crate::leftovers(&sandbox).is_empty())
    })?;
    works_again(&sandbox)
}
