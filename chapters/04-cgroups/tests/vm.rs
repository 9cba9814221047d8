//! Chapter 4 on a kernel with cgroup v2 and all controllers: limits hold, and what the kernel did is told.

mod common;

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
    ("a group of one's own choice", parent),
];

fn main() {
    let mut suite = Suite::new();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in TESTS {
            suite = suite.vm(format!("{who}: {name}"), move || test(&make()?)).needs(&["busybox"]);
        }
    }
    suite
        .vm("root: a disk is slowed down", disk)
        .needs(&["busybox", "losetup"])
        .vm("root: a partition's rate goes to its disk", partition)
        .needs(&["busybox", "losetup"])
        .vm("ordinary: without a delegated group a limit is refused", not_delegated)
        .needs(&["busybox", "setpriv"])
        .vm("ordinary: a controller that is not delegated is named", controller_not_delegated)
        .needs(&["busybox"])
        .vm("inside a container: processes make room", inside_a_container)
        .needs(&["busybox", "unshare"])
        .run();
}

/// Where the containers' groups of this sandbox are.
fn groups(sandbox: &Sandbox) -> PathBuf {
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

fn parent(sandbox: &Sandbox) -> Outcome {
    let script = "own=$(cat /proc/self/cgroup); cat /sys/fs/cgroup${own#0::}/memory.max; echo $own";
    let top = groups(sandbox).parent().map(Path::to_path_buf).unwrap_or_default();
    let below = top.strip_prefix("/sys/fs/cgroup")?.display().to_string();
    let absolute = if below.is_empty() { "/teams/blue".to_owned() } else { format!("/{below}/teams/blue") };
    for parent in ["teams/blue", &absolute] {
        let done = run(sandbox, &["-m", "64m", "--share", "cgroup", "--cgroup-parent", parent], script)?.ok()?;
        done.stdout_has("67108864")?.stdout_has("/teams/blue/")?;
        assert!(!top.join("teams").exists(), "what was made for it is left");
    }
    // A group that was there before stays.
    fs::create_dir(top.join("teams"))?;
    if let Some(user) = sandbox.user() {
        user.give(&top.join("teams"))?;
        user.give(&top.join("teams/cgroup.subtree_control"))?;
        user.give(&top.join("teams/cgroup.procs"))?;
    }
    let done = run(sandbox, &["-m", "64m", "--cgroup-parent", "teams"], script)?;
    let stays = top.join("teams").is_dir();
    fs::remove_dir(top.join("teams"))?;
    assert!(stays && done.ok()?.stdout.starts_with("67108864"));
    if sandbox.user().is_some() {
        run(sandbox, &["--cgroup-parent", "/elsewhere"], "true")?.code(125)?.stderr_has("not ours to divide")?;
    }
    Ok(())
}

/// A loop device over a file, gone on drop.
struct Disk(String);

impl Disk {
    fn new(sandbox: &Sandbox) -> Outcome<Self> {
        let file = sandbox.file("disk", partition_table())?;
        fs::File::options().write(true).open(&file)?.set_len(32 << 20)?;
        let done = sandbox.program("losetup").args(["--find", "--show", "--partscan"]).arg(&file).run()?.ok()?;
        Ok(Self(done.text().to_owned()))
    }

    /// `7:0`
    fn number(&self) -> Outcome<String> {
        let name = Path::new(&self.0).file_name().unwrap_or_default();
        Ok(fs::read_to_string(Path::new("/sys/class/block").join(name).join("dev"))?.trim().to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

/// A master boot record with one partition of 10 MiB, 1 MiB behind the beginning.
fn partition_table() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[446 + 4] = 0x83; // Linux
    sector[446 + 8..446 + 12].copy_from_slice(&2048_u32.to_le_bytes());
    sector[446 + 12..446 + 16].copy_from_slice(&20480_u32.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

fn disk() -> Outcome {
    let sandbox = Sandbox::new()?;
    let disk = Disk::new(&sandbox)?;
    let number = disk.number()?;
    let root = root(&sandbox)?;
    let (major, minor) = number.split_once(':').ok_or("no number")?;
    sandbox.program("busybox").args(["mknod"]).arg(root.join("disk")).args(["b", major, minor]).run()?.ok()?;

    let rate = |rate: &str| format!("{}:{rate}", disk.0);
    let options = [
        ("--device-read-bps", rate("1m")),
        ("--device-write-bps", rate("2m")),
        ("--device-read-iops", rate("100")),
        ("--device-write-iops", rate("200")),
    ];
    let options: Vec<_> = options.iter().flat_map(|(option, value)| [*option, value]).collect();
    let script =
        "cat /sys/fs/cgroup/io.max; dd if=/disk of=/dev/null bs=1M count=4 2>/dev/null; grep . /sys/fs/cgroup/io.stat";
    let begin = Instant::now();
    let done = run(&sandbox, &options, script)?.ok()?;
    let done = done.stdout_has(&format!("{number} rbps=1048576 wbps=2097152 riops=100 wiops=200"))?;
    let read =
        done.stdout.split("rbytes=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0_u64);
    assert!(read >= 4 << 20, "{}", done.stdout);
    assert!(begin.elapsed() > Duration::from_millis(2500), "4 MiB at 1 MiB/s took {:?}", begin.elapsed());
    Ok(())
}

fn partition() -> Outcome {
    let sandbox = Sandbox::new()?;
    let disk = Disk::new(&sandbox)?;
    let partition = format!("{}p1", disk.0);
    if !Path::new(&partition).exists() {
        return Err(format!("{partition} has not come up").into());
    }
    let script = "cat /sys/fs/cgroup/io.max";
    let done = run(&sandbox, &["--device-read-bps", &format!("{partition}:1m")], script)?.ok()?;
    done.stdout_has(&format!("{} rbps=1048576", disk.number()?))?;
    Ok(())
}

/// The suite's own group belongs to root: from there an ordinary user has nothing.
fn not_delegated() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let user = sandbox.user().ok_or("no user")?;
    let root = root(&sandbox)?;
    let step04 = harness::step(4)?;
    let run = |options: &[&str], script: &str| -> Outcome<harness::Done> {
        let mut command = std::process::Command::new("setpriv");
        let id = user.uid().to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(&step04);
        command.env("HOME", user.home()).env("XDG_RUNTIME_DIR", user.runtime_dir()).current_dir(user.home());
        command.args(["run", "--root"]).arg(&root).args(options).args(["sh", "-c", script]);
        harness::Run::new(command).run()
    };
    let done = run(&["-m", "64m"], "echo never")?.code(125)?;
    let done = done.stderr_has("--memory cannot be set: no group is delegated to this user")?;
    done.stderr_has("cgroup.procs")?.stderr_has("systemd-run --user --scope -p Delegate=yes")?;
    run(&[], "echo here")?.ok()?.stdout_has("here")?;
    Ok(())
}

fn controller_not_delegated() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let delegated = groups(&sandbox).parent().map(Path::to_path_buf).unwrap_or_default();
    // As systemd does by default; the group hands nothing down yet.
    fs::write(delegated.join("cgroup.subtree_control"), "-io -cpuset -cpu -memory -pids")?;
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "-cpuset")?;
    let done = run(&sandbox, &["--cpuset-cpus", "0"], "echo never");
    let memory = run(&sandbox, &["-m", "64m"], "cat /sys/fs/cgroup/memory.max");
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset")?;
    let done = done?.code(125)?.stderr_has("cpuset controller, which is not delegated to this user")?;
    done.stderr_has("cgroup.controllers lists")?.stderr_has("Delegate=cpu cpuset io memory pids")?;
    memory?.ok()?.stdout_has("67108864")?;
    Ok(())
}

/// In a container all processes begin in the top group of what it sees, where no controller can be handed down.
fn inside_a_container() -> Outcome {
    let sandbox = Sandbox::new()?;
    let root = root(&sandbox)?;
    let group = Path::new("/sys/fs/cgroup/test-box");
    fs::create_dir(group)?;
    let step = harness::step(4)?;
    let run = format!("{} run --root {} -m 64m cat /sys/fs/cgroup/memory.max", step.display(), root.display());
    let inner = format!(
        "umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && {run} && cat /proc/self/cgroup; \
         mount -o remount,bind,ro /sys/fs/cgroup; {run}; echo rc=$?"
    );
    let script = format!("echo 0 > {}/cgroup.procs; exec unshare --cgroup sh -c \"$1\"", group.display());
    let outer = ["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", &script, "sh", &inner];
    let done = sandbox.program("unshare").args(outer).run();
    for leftover in ["cooper-engine", ""] {
        // The last process is gone, but perhaps not yet reaped.
        for _ in 0..50 {
            if fs::remove_dir(group.join(leftover)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let done = done?.ok()?.stdout_has("67108864\n0::/cooper-engine\n")?.stdout_has("rc=125")?;
    done.stderr_has("cgroup v2 is mounted read-only")?;
    Ok(())
}
