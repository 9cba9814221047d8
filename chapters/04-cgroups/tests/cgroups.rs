//! Chapter 4 on any machine: what is refused and why, and what works without the controllers of cgroup v2.

mod common;

use std::fs;
use std::time::Duration;

use common::{count, counting, end, idle, run, step04};
use harness::{Outcome, Sandbox, Suite};

fn main() {
    let mut suite = Suite::new()
        .user("a limit that makes no sense is refused with the way out", nonsense)
        .user("a limit comes true or is refused with the way out", no_silent_loss)
        .needs(&["busybox", "userns"])
        .user("without a limit a container runs anywhere", no_limit)
        .needs(&["busybox", "userns"])
        .user("help and completion know the options", help)
        .user("doctor tells of groups and controllers", doctor)
        .root("root: a container is paused and goes on", pause)
        .needs(&["busybox"])
        .root("root: exec begins as the container's program did", || exec_manner(&Sandbox::new()?))
        .needs(&["busybox"])
        .user("ordinary: exec begins as the container's program did", || exec_manner(&Sandbox::ordinary()?))
        .needs(&["busybox", "userns", "subuid"])
        .root("root: the next start sweeps what kill -9 left", kill_nine)
        .needs(&["busybox"])
        .root("root: --share cgroup leaves the host's mount as it is", shared_namespace)
        .needs(&["busybox"]);
    // A unified machine has no such case: there the vm tests are.
    if v1_controllers().is_some() {
        suite = suite.root("root: on a hybrid host a limit is refused with the reason", hybrid).needs(&["busybox"]);
    }
    suite.run();
}

/// Where cgroup v1 holds the memory controller, if it does.
fn v1_controllers() -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup ") && line.ends_with(",memory"))?;
    line.split(' ').nth(4).map(str::to_owned)
}

fn nonsense() -> Outcome {
    let sandbox = Sandbox::new()?;
    for (options, reason) in [
        (&["--memory", "5m"][..], "too little"),
        (&["--memory", "64x"], "is no size"),
        (&["--memory", "64m", "--memory-swap", "63m"], "less than --memory"),
        (&["--memory-swap", "64m"], "without --memory"),
        (&["--memory", "64m", "--memory-reservation", "65m"], "more than --memory"),
        (&["--cpus", "100000"], "this machine has"),
        (&["--cpus", "0"], "no number of CPUs"),
        (&["--cpus", "1", "--cpu-quota", "5000"], "cannot be used with"),
        (&["--cpu-period", "10"], "out of range"),
        (&["--cpuset-cpus", "8191"], "this machine has no 8191"),
        (&["--cpuset-cpus", "3-1"], "no list of numbers"),
        (&["--pids-limit", "-2"], "no number of processes"),
        (&["--device-read-bps", "/dev/null:1m"], "no block device"),
        (&["--device-read-bps", "/dev/null"], "no rate of a device"),
        (&["--blkio-weight", "5"], "out of range"),
        (&["--cgroup-parent", "../up"], "no path of a group"),
    ] {
        let done = sandbox.step(4).arg("run").args(options).arg("true").run()?.fails()?;
        let told = done.stderr.contains(reason) && (done.stderr.contains("help:") || done.stderr.contains("--help"));
        assert!(told, "{options:?}: {}", done.stderr);
    }
    Ok(())
}

/// Whatever the machine: the container sees its limit, or there is none and a reason.
fn no_silent_loss() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    for (options, file, value) in [
        (["--memory", "64m"], "memory.max", "67108864"),
        (["--pids-limit", "17"], "pids.max", "17"),
        (["--cpus", "0.5"], "cpu.max", "50000 100000"),
        (["--cpuset-cpus", "0"], "cpuset.cpus", "0"),
    ] {
        let done = run(&sandbox, &options, &format!("cat /sys/fs/cgroup/{file}"))?;
        if done.code == 0 {
            assert_eq!(done.text(), value);
        } else {
            done.code(125)?.stderr_has(options[0])?.stderr_has("help:")?;
        }
    }
    Ok(())
}

fn no_limit() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    run(&sandbox, &[], "echo here")?.ok()?.stdout_has("here")?;
    // Nobody promised a group; but who asks for what it would tell is told why there is none.
    let running = counting(&sandbox, "counter", &[])?;
    let stats = step04(&sandbox, &["stats", "--no-stream", "counter"])?.ok()?;
    if !stats.stdout.contains("running") {
        stats.stdout_has("has no group of its own")?.stdout_has("help:")?;
        step04(&sandbox, &["pause", "counter"])?.code(125)?.stderr_has("has no group of its own")?;
    }
    end(running)
}

fn help() -> Outcome {
    let sandbox = Sandbox::new()?;
    let help = step04(&sandbox, &["run", "--help"])?.ok()?;
    let completion = step04(&sandbox, &["completion", "bash"])?.ok()?;
    for option in [
        "--memory",
        "--memory-swap",
        "--memory-reservation",
        "--cpus",
        "--cpu-shares",
        "--cpu-quota",
        "--cpu-period",
        "--cpuset-cpus",
        "--cpuset-mems",
        "--pids-limit",
        "--device-read-bps",
        "--device-write-bps",
        "--device-read-iops",
        "--device-write-iops",
        "--blkio-weight",
        "--cgroup-parent",
        "--name",
        "--userns",
        "--tty",
    ] {
        assert!(help.stdout.contains(option) && completion.stdout.contains(option), "{option}");
    }
    let commands = step04(&sandbox, &["--help"])?.ok()?;
    for command in ["run", "exec", "stats", "pause", "unpause", "ps", "doctor", "completion"] {
        assert!(commands.stdout.contains(command), "{command}");
    }
    Ok(())
}

fn doctor() -> Outcome {
    let done = step04(&Sandbox::new()?, &["doctor"])?.ok()?;
    done.stdout_has("cgroup v2")?.stdout_has("groups")?.stdout_has("pressure")?;
    Ok(())
}

fn pause() -> Outcome {
    let sandbox = Sandbox::new()?;
    let running = counting(&sandbox, "counter", &[])?;
    step04(&sandbox, &["ps"])?.ok()?.stdout_has("counter")?.stdout_has("running")?;
    step04(&sandbox, &["unpause", "counter"])?.code(125)?.stderr_has("not paused")?;

    step04(&sandbox, &["pause", "counter"])?.ok()?;
    let held = count(&sandbox)?;
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(count(&sandbox)?, held, "it goes on counting");
    step04(&sandbox, &["ps"])?.ok()?.stdout_has("paused")?;
    step04(&sandbox, &["pause", "counter"])?.code(125)?.stderr_has("paused already")?;
    step04(&sandbox, &["exec", "counter", "true"])?.code(125)?.stderr_has("unpause")?;

    step04(&sandbox, &["unpause", "counter"])?.ok()?;
    std::thread::sleep(Duration::from_millis(300));
    assert!(count(&sandbox)? > held, "it does not go on");
    step04(&sandbox, &["exec", "counter", "echo", "inside"])?.ok()?.stdout_has("inside")?;
    end(running)
}

/// User, directory and variables are the container's, not the engine's; an option wins over them.
fn exec_manner(sandbox: &Sandbox) -> Outcome {
    let running = idle(sandbox, "idle", &["-u", "7:8", "-w", "/tmp", "-e", "MY=one  two", "--hostname", "inside"])?;
    let script = "grep -E '^(Uid|Gid)' /proc/self/status; pwd; echo \"$MY\" $HOSTNAME";
    let done = step04(sandbox, &["exec", "idle", "sh", "-c", script])?.ok()?;
    assert_eq!(done.stdout, "Uid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\n/tmp\none  two inside\n");
    let done = step04(sandbox, &["exec", "-u", "0", "-w", "/", "-e", "MY=two", "idle", "sh", "-c", script])?.ok()?;
    assert_eq!(done.stdout, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n/\ntwo inside\n");
    end(running)
}

fn kill_nine() -> Outcome {
    let sandbox = Sandbox::new()?;
    let running = counting(&sandbox, "counter", &[])?;
    let group = group_of(&sandbox, "counter")?;
    running.signal(nix::sys::signal::Signal::SIGKILL)?;
    running.wait()?.fails()?;
    assert!(group.is_dir(), "nobody was there to remove it");
    // The container dies with its engine, but in its own time.
    for _ in 0..50 {
        if fs::read_to_string(group.join("cgroup.events"))?.contains("populated 0") {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    run(&sandbox, &[], "true")?.ok()?;
    assert!(!group.exists(), "{} is still there", group.display());
    Ok(())
}

/// What `ps` says.
fn group_of(sandbox: &Sandbox, name: &str) -> Outcome<std::path::PathBuf> {
    let list = step04(sandbox, &["ps"])?.ok()?;
    let line = list.stdout.lines().find(|line| line.contains(name)).ok_or("it is not listed")?;
    Ok(line.split_whitespace().last().unwrap_or_default().into())
}

/// A new mount in the host's cgroup namespace would set the options of the host's own.
fn shared_namespace() -> Outcome {
    let sandbox = Sandbox::new()?;
    let options = || -> Outcome<String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(mounts.lines().filter(|line| line.contains(" - cgroup2 ")).collect::<Vec<_>>().join("\n"))
    };
    let before = options()?;
    run(&sandbox, &["--share", "cgroup"], "ls /sys/fs/cgroup; ! echo > /sys/fs/cgroup/x 2>/dev/null")?.ok()?;
    assert_eq!(options()?, before);
    Ok(())
}

fn hybrid() -> Outcome {
    let sandbox = Sandbox::new()?;
    let mount = v1_controllers().ok_or("it was there a moment ago")?;
    let done = run(&sandbox, &["--memory", "64m"], "echo never")?.code(125)?;
    let done = done.stderr_has("--memory needs the memory controller of cgroup v2")?;
    let done = done.stderr_has(&mount)?.stderr_has("systemd.unified_cgroup_hierarchy=1")?;
    assert!(!done.stdout.contains("never"));
    Ok(())
}
