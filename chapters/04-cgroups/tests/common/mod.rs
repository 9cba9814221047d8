//! What both test files of the chapter need: a small root, and containers in it.
#![allow(dead_code)]

use std::fs;
use std::path::PathBuf;

use harness::{Background, Done, Outcome, Run, Sandbox};
use nix::sys::signal::Signal;

/// The programs of the root.
const APPLETS: [&str; 9] = ["sh", "cat", "dd", "echo", "grep", "ls", "mount", "sleep", "true"];

/// A root of busybox, open to all.
pub fn root(sandbox: &Sandbox) -> Outcome<PathBuf> {
    let root = sandbox.path().join("root");
    for directory in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::set_permissions(root.join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    if !root.join("bin/busybox").exists() {
        fs::copy(harness::find_program("busybox").ok_or("no busybox")?, root.join("bin/busybox"))?;
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    Ok(root)
}

/// `step04 run --root … OPTIONS sh -c SCRIPT`
pub fn container(sandbox: &Sandbox, options: &[&str], script: &str) -> Outcome<Run> {
    let run = sandbox.step(4).args(["run", "--root"]).arg(root(sandbox)?);
    Ok(run.args(options).args(["sh", "-c", script]))
}

/// The same, run to its end.
pub fn run(sandbox: &Sandbox, options: &[&str], script: &str) -> Outcome<Done> {
    container(sandbox, options, script)?.run()
}

/// `step04 WORDS…`
pub fn step04(sandbox: &Sandbox, words: &[&str]) -> Outcome<Done> {
    sandbox.step(4).args(words).run()
}

/// A container called `name` that counts in its /tmp/count until SIGTERM.
pub fn counting(sandbox: &Sandbox, name: &str, options: &[&str]) -> Outcome<Background> {
    let script = "trap 'exit 0' TERM; i=0; echo ready; while :; do i=$((i+1)); echo $i >> /tmp/count; done";
    let mut running = container(sandbox, &[&["--name", name], options].concat(), script)?.spawn()?;
    running.says("ready")?;
    Ok(running)
}

/// A container called `name` that does nothing until SIGTERM.
pub fn idle(sandbox: &Sandbox, name: &str, options: &[&str]) -> Outcome<Background> {
    let script = "trap 'exit 0' TERM; echo ready; sleep 1000 & wait";
    let mut running = container(sandbox, &[&["--name", name], options].concat(), script)?.spawn()?;
    running.says("ready")?;
    Ok(running)
}

/// How far it has come.
pub fn count(sandbox: &Sandbox) -> Outcome<u64> {
    let text = fs::read_to_string(sandbox.path().join("root/tmp/count"))?;
    Ok(text.lines().last().ok_or("nothing is counted")?.parse()?)
}

/// Ends a container of [`counting`].
pub fn end(running: Background) -> Outcome {
    running.signal(Signal::SIGTERM)?;
    running.wait()?.code(0)?;
    Ok(())
}
