//! Chapter 4 on a kernel with cgroup v2 and all controllers: limits hold, and what the kernel did is told.

#[path = "../common/mod.rs"]
mod common;
mod disks;
mod places;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{container, counting, end, idle, root, run, step04};
use harness::{Outcome, Sandbox, Suite};

type Make = fn() -> Outcome<Sandbox>;
type Test = fn(&Sandbox) -> Outcome;

/// What holds for root and for an ordinary user with a delegated group alike.
const TESTS: [(&str, Test); 13] = [
    ("the child is in its group from its first instant", first_instant),
    ("limits arrive in their files", limits_arrive),
    ("out of memory is told as such", out_of_memory),
    ("swap is limited as docker means it", swap),
    ("a fork bomb is stopped", fork_bomb),
    ("a CPU quota throttles", throttled),
    ("stats tell what is used", stats),
    ("exec is under the same limits", exec),
    ("pause and unpause", pause),
    ("the container cannot raise its limits", read_only),
    ("kill -9 leaves nothing that the next start does not sweep", kill_nine),
    ("starts at the same moment do not sweep each other", many),
    ("a group of one's own choice", places::parent),
];

fn main() {
    let mut suite = Suite::new();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in TESTS {
            suite = suite.vm(format!("{who}: {name}"), move || test(&make()?)).needs(&["busybox"]);
        }
    }
    suite
        .vm("root: a disk is slowed down", disks::disk)
        .needs(&["busybox", "losetup"])
        .vm("root: a partition's rate goes to its disk", disks::partition)
        .needs(&["busybox", "losetup"])
        .vm("ordinary: without a delegated group a limit is refused", places::not_delegated)
        .needs(&["busybox", "setpriv"])
        .vm("ordinary: a controller that is not delegated is named", places::controller_not_delegated)
        .needs(&["busybox"])
        .vm("inside a container: processes make room", places::inside_a_container)
        .needs(&["busybox", "unshare"])
        .run();
}

/// Where the containers' groups of this sandbox are.
pub fn groups(sandbox: &Sandbox) -> PathBuf {
    let top = sandbox.user().and_then(harness::User::delegated).unwrap_or(Path::new("/sys/fs/cgroup"));
    top.join("cooper")
}

/// The only container's group.
fn only_group(sandbox: &Sandbox) -> Outcome<PathBuf> {
    let entries = fs::read_dir(groups(sandbox))?.flatten().filter(|entry| entry.path().is_dir());
    let paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    match &paths[..] {
        [one] => Ok(one.clone()),
        others => Err(format!("{others:?}").into()),
    }
}

fn value(group: &Path, file: &str, key: &str) -> Outcome<u64> {
    let text = fs::read_to_string(group.join(file))?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    Ok(value.ok_or_else(|| format!("no {key} in {file}:\n{text}"))?.parse()?)
}

fn first_instant(sandbox: &Sandbox) -> Outcome {
    let done =
        run(sandbox, &[], "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/cgroup.procs; cat /sys/fs/cgroup/cgroup.procs")?;
    let lines: Vec<_> = done.ok()?.stdout.lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "0::/", "its group is not the root of its cgroup namespace");
    assert!(lines[2..].contains(&"1".to_owned()), "PID 1 is not in it: {lines:?}");
    // Seen from outside: below the engine's group, and nobody was ever moved there, or the peak would be later than 1.
    let running = counting(sandbox, "counter", &[])?;
    assert_eq!(fs::read_to_string(only_group(sandbox)?.join("cgroup.procs"))?.lines().count(), 1);
    end(running)?;
    assert!(!groups(sandbox).exists(), "the engine's group outlives the last container");
    Ok(())
}

fn limits_arrive(sandbox: &Sandbox) -> Outcome {
    let options = "-m 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 1024 --cpuset-cpus 0 --cpuset-mems 0 \
                   --pids-limit 20";
    let options: Vec<_> = options.split_whitespace().collect();
    let script = "cd /sys/fs/cgroup; for f in memory.max memory.swap.max memory.low cpu.max cpu.weight cpuset.cpus \
                  cpuset.mems pids.max; do [ -e $f ] && echo $f $(cat $f); done; true";
    let done = run(sandbox, &options, script)?.ok()?;
    for line in [
        "memory.max 67108864",
        "memory.low 33554432",
        "cpu.max 50000 100000",
        "cpu.weight 100",
        "cpuset.cpus 0",
        "cpuset.mems 0",
        "pids.max 20",
    ] {
        assert!(done.stdout.lines().any(|found| found == line), "{line:?} is not in\n{}", done.stdout);
    }
    let done = run(sandbox, &["--cpu-quota", "20000", "--cpu-period", "50000"], "cat /sys/fs/cgroup/cpu.max")?.ok()?;
    assert_eq!(done.text(), "20000 50000");
    let done = run(sandbox, &["--pids-limit", "-1"], "cat /sys/fs/cgroup/pids.max")?.ok()?;
    assert_eq!(done.text(), "max");
    Ok(())
}

fn out_of_memory(sandbox: &Sandbox) -> Outcome {
    let hungry = "exec dd if=/dev/zero of=/dev/null bs=128M count=1";
    let done = run(sandbox, &["-m", "16m", "--memory-swap", "16m"], hungry)?.code(137)?;
    let done = done.stderr_has("the kernel killed a process: out of memory (limit 16 MiB")?;
    done.stderr_has("raise --memory")?;
    // What else ends by SIGKILL is not called so.
    let done = run(sandbox, &["-m", "16m"], "exit 137")?.code(137)?;
    assert!(!done.stderr.contains("out of memory"), "{}", done.stderr);
    // The program may outlive a child that was killed: still told, but its exit code is its own.
    let done =
        run(sandbox, &["-m", "16m"], "dd if=/dev/zero of=/dev/null bs=128M count=1; echo rc=$?; exit 3")?.code(3)?;
    done.stdout_has("rc=137")?.stderr_has("out of memory")?;
    Ok(())
}

fn swap(sandbox: &Sandbox) -> Outcome {
    if !Path::new("/proc/swaps").exists() {
        return Ok(()); // a kernel without swap has no such file
    }
    for (total, wanted) in [("16m", "0"), ("20m", "4194304"), ("-1", "max")] {
        let done = run(sandbox, &["-m", "16m", "--memory-swap", total], "cat /sys/fs/cgroup/memory.swap.max")?.ok()?;
        assert_eq!(done.text(), wanted, "--memory-swap {total}");
    }
    let done = run(sandbox, &["-m", "16m"], "cat /sys/fs/cgroup/memory.swap.max")?.ok()?;
    assert_eq!(done.text(), "16777216");
    Ok(())
}

fn fork_bomb(sandbox: &Sandbox) -> Outcome {
    let bomb = "echo ready; bomb() { bomb | bomb; }; trap '' PIPE; bomb; sleep 1";
    let mut running = container(sandbox, &["--pids-limit", "16"], bomb)?.spawn()?;
    running.says("ready")?;
    let group = only_group(sandbox)?;
    let mut refused = 0;
    for _ in 0..100 {
        let processes = fs::read_to_string(group.join("pids.current")).unwrap_or_default();
        assert!(processes.trim().parse::<u32>().unwrap_or(0) <= 16, "{processes} processes");
        refused = value(&group, "pids.events", "max").unwrap_or(refused);
        if refused > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(refused > 0, "no fork was refused");
    running.signal(nix::sys::signal::Signal::SIGKILL)?;
    drop(running);
    // What the engine would have said, had it lived; a smaller one that ends by itself:
    let done = run(sandbox, &["--pids-limit", "4"], "for i in 1 2 3 4 5 6; do sleep 1 & done; wait")?;
    done.stderr_has("fork was refused")?.stderr_has("raise --pids-limit")?;
    Ok(())
}

fn throttled(sandbox: &Sandbox) -> Outcome {
    let running = counting(sandbox, "slow", &["--cpus", "0.1"])?;
    let group = only_group(sandbox)?;
    let (begin, used) = (Instant::now(), value(&group, "cpu.stat", "usage_usec")?);
    std::thread::sleep(Duration::from_secs(3));
    let used = value(&group, "cpu.stat", "usage_usec")? - used;
    let share = used as f64 / begin.elapsed().as_micros() as f64;
    assert!(value(&group, "cpu.stat", "nr_throttled")? > 0, "it was never throttled");
    assert!(share < 0.2, "it got {share} of a CPU instead of 0.1");
    end(running)
}

fn stats(sandbox: &Sandbox) -> Outcome {
    // 24 MiB in a tmpfs belong to who wrote them.
    let script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=24 2>/dev/null; sleep 1000 & echo ready; \
                  trap 'exit 0' TERM; while :; do :; done";
    let options = ["--name", "hungry", "-m", "64m", "--pids-limit", "30"];
    let mut running = container(sandbox, &options, script)?.spawn()?;
    running.says("ready")?;
    let idle = idle(sandbox, "idle", &[])?;

    let done = step04(sandbox, &["stats", "--no-stream"])?.ok()?;
    let cells = |name: &str| -> Outcome<Vec<String>> {
        let line = done.stdout.lines().find(|line| line.starts_with(name)).ok_or_else(|| done.stdout.clone())?;
        // Columns have two spaces between them at least, their words one.
        Ok(line.split("  ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect())
    };
    let hungry = cells("hungry")?;
    assert_eq!(hungry[1], "running");
    assert!(hungry[2].parse::<f64>()? > 20.0, "it is busy: {hungry:?}");
    let used: f64 = hungry[3].split(' ').next().unwrap_or_default().parse()?;
    assert!(hungry[3].ends_with("MiB / 64 MiB") && (24.0..40.0).contains(&used), "{hungry:?}");
    assert!((35.0..65.0).contains(&hungry[4].parse::<f64>()?), "{hungry:?}");
    assert_eq!(hungry[5], "2 / 30");
    let idle_cells = cells("idle")?;
    assert!(idle_cells[2].parse::<f64>()? < 5.0 && idle_cells[3].ends_with("/ max"), "{idle_cells:?}");

    // Only the one that was asked for; and a stream goes on until it is stopped.
    let one = step04(sandbox, &["stats", "--no-stream", "idle"])?.ok()?;
    assert!(!one.stdout.contains("hungry"));
    let mut stream = sandbox.step(4).args(["stats", "idle"]).spawn()?;
    stream.says("idle")?;
    end(idle)?;
    stream.wait()?.ok()?;
    end(running)
}

fn exec(sandbox: &Sandbox) -> Outcome {
    // Not one that takes memory itself: while the victim still dies, the kernel would kill it too.
    let running = idle(sandbox, "waiting", &["-m", "64m"])?;
    let done = step04(sandbox, &["exec", "waiting", "sh", "-c", "cat /proc/self/cgroup /sys/fs/cgroup/memory.max"])?;
    assert_eq!(done.ok()?.stdout, "0::/\n67108864\n");
    let hungry = "x=0123456789abcdef; while :; do x=$x$x; done";
    step04(sandbox, &["exec", "waiting", "sh", "-c", hungry])?.code(137)?;
    // The container itself lives, and its engine is the one that tells.
    running.signal(nix::sys::signal::Signal::SIGTERM)?;
    running.wait()?.code(0)?.stderr_has("out of memory")?;
    Ok(())
}

fn pause(sandbox: &Sandbox) -> Outcome {
    let running = counting(sandbox, "counter", &[])?;
    let group = only_group(sandbox)?;
    step04(sandbox, &["pause", "counter"])?.ok()?;
    assert_eq!(value(&group, "cgroup.events", "frozen")?, 1);
    let used = value(&group, "cpu.stat", "usage_usec")?;
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(value(&group, "cpu.stat", "usage_usec")?, used, "a paused container uses the CPU");
    step04(sandbox, &["stats", "--no-stream"])?.ok()?.stdout_has("paused")?;
    step04(sandbox, &["unpause", "counter"])?.ok()?;
    std::thread::sleep(Duration::from_millis(300));
    assert!(value(&group, "cpu.stat", "usage_usec")? > used, "it does not go on");
    end(running)?;
    // A paused one can be ended: its engine's death is enough, frozen or not.
    let running = counting(sandbox, "held", &[])?;
    step04(sandbox, &["pause", "held"])?.ok()?;
    running.signal(nix::sys::signal::Signal::SIGKILL)?;
    running.wait()?.fails()?;
    swept(sandbox)
}

/// The group of a container whose engine was killed is gone after the next start.
fn swept(sandbox: &Sandbox) -> Outcome {
    let group = only_group(sandbox)?;
    for _ in 0..100 {
        if value(&group, "cgroup.events", "populated")? == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    run(sandbox, &[], "true")?.ok()?;
    assert!(!groups(sandbox).exists(), "{} is still there", group.display());
    Ok(())
}

fn read_only(sandbox: &Sandbox) -> Outcome {
    let script = "mount | grep ' /sys/fs/cgroup '; echo max > /sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/memory.max";
    let done = run(sandbox, &["-m", "64m"], script)?.ok()?;
    let done = done.stdout_has("cgroup2 (ro,nosuid,nodev,noexec")?.stderr_has("Read-only")?;
    assert!(done.stdout.ends_with("67108864\n"), "{}", done.stdout);
    // A mount of its own shows no more than its own group, whose limits belong to whoever made it (nsdelegate).
    let script =
        "mkdir /tmp/c; mount -t cgroup2 none /tmp/c && echo max > /tmp/c/memory.max; cat /sys/fs/cgroup/memory.max";
    let done = run(sandbox, &["-m", "64m"], &script.replace("mkdir", "/bin/busybox mkdir"))?;
    assert!(done.stdout.ends_with("67108864\n"), "{}{}", done.stdout, done.stderr);
    Ok(())
}

fn kill_nine(sandbox: &Sandbox) -> Outcome {
    let running = counting(sandbox, "counter", &["-m", "64m"])?;
    let group = only_group(sandbox)?;
    // While the engine lives, nobody takes its group away.
    run(sandbox, &[], "true")?.ok()?;
    assert!(group.is_dir());
    running.signal(nix::sys::signal::Signal::SIGKILL)?;
    running.wait()?.fails()?;
    assert!(group.is_dir(), "nobody was there to remove it");
    swept(sandbox)
}

fn many(sandbox: &Sandbox) -> Outcome {
    root(sandbox)?;
    for _ in 0..3 {
        let running: Vec<_> =
            (0..6).map(|_| container(sandbox, &["-m", "32m"], "true")?.spawn()).collect::<Outcome<_>>()?;
        running.into_iter().try_for_each(|one| one.wait()?.ok().map(drop))?;
    }
    assert!(!groups(sandbox).exists());
    Ok(())
}
