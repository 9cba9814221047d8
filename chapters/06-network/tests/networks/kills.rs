//! Engines that are killed at any moment leave nothing that the next command does not clear away.

use std::path::PathBuf;
use std::time::Duration;

use harness::{Outcome, Sandbox};
use nix::sys::signal::Signal;

use crate::common::{container, inside, ip, leftovers, ping, start};
use crate::network;

/// Starts `network WORDS` and kills it after that time.
fn killed(sandbox: &Sandbox, words: &str, after: Duration) -> Outcome {
    let command = sandbox.step(6).arg("network").args(words.split_whitespace()).spawn()?;
    std::thread::sleep(after);
    command.signal(Signal::SIGKILL)?;
    drop(command.wait()?);
    Ok(())
}

/// From none on, in steps of half a millisecond: a connection takes about twenty.
fn moments() -> impl Iterator<Item = Duration> {
    (0..60).map(|step| Duration::from_micros(step * 500))
}

pub fn connect() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.9.0.0/24 blue")?.ok()?;
    let web = start(&sandbox, "web", "", "")?;
    let links = || inside(web.place(), "ip").args(["-o", "link"]).run()?.ok().map(|done| done.stdout.lines().count());
    let count = |text: &str| text.lines().filter(|line| line.contains("veth")).count();
    for after in moments() {
        killed(&sandbox, "connect blue web", after)?;
        // Whatever it had come to, it is in the network or not, and can be taken out or put in.
        let inspected = network(&sandbox, "inspect blue")?.ok()?.stdout;
        let inside_now = inspected.contains("\"web\"");
        assert_eq!(links()?, if inside_now { 3 } else { 2 }, "{after:?}: {inspected}");
        assert_eq!(count(&ip("-o link")?), if inside_now { 2 } else { 1 }, "{after:?}");
        if inside_now {
            killed(&sandbox, "disconnect blue web", after)?;
        }
        if network(&sandbox, "inspect blue")?.ok()?.stdout.contains("\"web\"") {
            network(&sandbox, "disconnect blue web")?.ok()?;
        }
        assert_eq!(links()?, 2, "{after:?}");
    }
    network(&sandbox, "connect blue web")?.ok()?;
    ping(web.place(), "10.9.0.1")?.ok()?;
    web.stop()?;
    assert_eq!(leftovers(&sandbox), Vec::<PathBuf>::new());
    let links = ip("-o link")?;
    assert!(!links.contains("br-") && !links.contains("veth"), "{links}");
    Ok(())
}

pub fn run() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --ipv6 blue")?.ok()?;
    network(&sandbox, "create red")?.ok()?;
    for milliseconds in (0..160).step_by(5) {
        let engine = container(&sandbox, "--network blue --network red -p 8080:80", "sleep 9")?.spawn()?;
        std::thread::sleep(Duration::from_millis(milliseconds));
        engine.signal(Signal::SIGKILL)?;
        drop(engine.wait()?);
    }
    for _ in 0..50 {
        network(&sandbox, "ls")?.ok()?;
        if leftovers(&sandbox).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    assert_eq!(leftovers(&sandbox), Vec::<PathBuf>::new());
    container(&sandbox, "--network none", "true")?.run()?.ok()?;
    let links = ip("-o link")?;
    assert!(!links.contains("br-") && !links.contains("veth"), "{links}");
    Ok(())
}

pub fn create() -> Outcome {
    let sandbox = Sandbox::new()?;
    for after in moments().take(24) {
        killed(&sandbox, "create blue", after)?;
        let there = network(&sandbox, "ls -q --filter name=blue")?.ok()?.stdout.lines().count();
        assert!(there <= 1, "{after:?}");
        if there == 1 {
            killed(&sandbox, "rm blue", after)?;
        }
        network(&sandbox, "rm -f blue")?.ok()?;
        assert_eq!(network(&sandbox, "ls -q --filter type=custom")?.ok()?.stdout, "", "{after:?}");
    }
    Ok(())
}
