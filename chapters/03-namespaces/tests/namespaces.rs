//! Chapter 3 from outside and from inside: what the kernel shows of a container's namespaces.

use std::fs;
use std::path::PathBuf;

use harness::{Background, Outcome, Sandbox, Suite};
use nix::sys::signal::Signal;

/// The eight kinds, as /proc/PID/ns has them.
const KINDS: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

fn main() {
    let mut suite = Suite::new();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in TESTS {
            let name = format!("{who}: {name}");
            let test = move || test(&make()?);
            suite = if who == "root" { suite.root(name, test) } else { suite.user(name, test).needs(&["userns"]) };
            suite = suite.needs(&["busybox"]);
        }
    }
    suite
        .root("root: user namespaces are asked for with --userns", userns_for_root)
        .needs(&["busybox"])
        .root("root joins an ordinary user's container", root_joins_ordinary)
        .needs(&["busybox"])
        .user("ordinary: one id alone, and a range", maps)
        .needs(&["busybox", "subuid", "newuidmap"])
        .user("ordinary: namespaces without a user namespace are refused", no_user_namespace)
        .needs(&["busybox"])
        .run()
}

type Make = fn() -> Outcome<Sandbox>;
type Test = fn(&Sandbox) -> Outcome;

/// What holds for root and for an ordinary user alike.
const TESTS: [(&str, Test); 17] = [
    ("the program is PID 1 and sees no other", pid_one),
    ("it has a host name of its own", hostname),
    ("all namespaces are new", all_new),
    ("each namespace can be shared", each_shared),
    ("the mount namespace cannot be shared", mnt_not_shared),
    ("the host's root is out of reach", host_out_of_reach),
    ("the chroot escape fails", escape_fails),
    ("/dev has the standard nodes and no others", devices),
    ("/sys is read-only", sys_read_only),
    ("a linked /proc, /sys or /dev is refused", linked_proc),
    ("clocks run ahead with --boot-offset", boot_offset),
    ("exec joins by name", exec_joins),
    ("inspect tells what is shared", inspect),
    ("a name is taken once", name_conflict),
    ("kill -9 leaves nothing that the next start does not sweep", kill_nine),
    ("a terminal of its own", terminal),
    ("standard input only with -i", no_input),
];

/// A root of busybox, open to all.
fn root(sandbox: &Sandbox) -> Outcome<PathBuf> {
    let root = sandbox.path().join("root");
    for directory in ["bin", "etc", "proc", "sys", "dev", "tmp", "root"] {
        fs::create_dir_all(root.join(directory))?;
    }
    if !root.join("bin/busybox").exists() {
        fs::copy(harness::find_program("busybox").ok_or("no busybox")?, root.join("bin/busybox"))?;
    }
    for applet in
        ["sh", "cat", "ls", "ps", "id", "hostname", "mount", "sleep", "stty", "tty", "readlink", "touch", "head"]
    {
        if !root.join("bin").join(applet).exists() {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n")?;
    Ok(root)
}

/// Runs `script` by the shell of the root, with `options` before it; gives what it wrote.
fn inside(sandbox: &Sandbox, options: &[&str], script: &str) -> Outcome<String> {
    let root = root(sandbox)?;
    let done = sandbox.step(3).args(["run", "--root"]).arg(&root).args(options).args(["sh", "-c", script]).run()?;
    Ok(done.ok()?.stdout.clone())
}

/// A container that waits, called `name`.
fn waiting(sandbox: &Sandbox, name: &str) -> Outcome<Background> {
    let root = root(sandbox)?;
    let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    let run = sandbox.step(3).args(["run", "--name", name, "--root"]).arg(&root).args(["sh", "-c", script]);
    let mut running = run.spawn()?;
    running.says("ready")?;
    Ok(running)
}

fn end(running: Background) -> Outcome {
    running.signal(Signal::SIGTERM)?;
    running.wait()?.code(0)?;
    Ok(())
}

fn pid_one(sandbox: &Sandbox) -> Outcome {
    assert_eq!(inside(sandbox, &[], "echo $$; ls /proc | grep -c '^[0-9]'")?.lines().next(), Some("1"));
    let processes = inside(sandbox, &[], "ps")?;
    assert!(processes.lines().count() <= 4, "other processes are visible:\n{processes}");
    Ok(())
}

fn hostname(sandbox: &Sandbox) -> Outcome {
    let before = fs::read_to_string("/proc/sys/kernel/hostname")?;
    assert_eq!(inside(sandbox, &["--hostname", "inside"], "hostname")?, "inside\n");
    assert_eq!(inside(sandbox, &[], "hostname")?.trim().len(), 12);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname")?, before);
    Ok(())
}

fn own(kind: &str) -> Outcome<String> {
    Ok(fs::read_link(format!("/proc/self/ns/{kind}"))?.display().to_string())
}

fn all_new(sandbox: &Sandbox) -> Outcome {
    let script = KINDS.map(|kind| format!("readlink /proc/self/ns/{kind}")).join(";");
    let theirs = inside(sandbox, if is_ordinary(sandbox) { &[] } else { &["--userns"] }, &script)?;
    for (kind, theirs) in KINDS.iter().zip(theirs.lines()) {
        assert_ne!(theirs, own(kind)?, "{kind} is the host's");
    }
    Ok(())
}

fn is_ordinary(sandbox: &Sandbox) -> bool {
    sandbox.user().is_some()
}

fn each_shared(sandbox: &Sandbox) -> Outcome {
    for kind in KINDS.into_iter().filter(|kind| !["mnt", "user"].contains(kind)) {
        let theirs = inside(sandbox, &["--share", kind], &format!("readlink /proc/self/ns/{kind}"))?;
        assert_eq!(theirs.trim(), own(kind)?, "{kind} is not shared");
    }
    Ok(())
}

fn mnt_not_shared(sandbox: &Sandbox) -> Outcome {
    let root = root(sandbox)?;
    let done = sandbox.step(3).args(["run", "--share", "mnt", "--root"]).arg(&root).arg("true").run()?;
    done.code(125)?.stderr_has("cannot be shared")?.stderr_has("help:")?;
    Ok(())
}

fn host_out_of_reach(sandbox: &Sandbox) -> Outcome {
    let mounts = inside(sandbox, &[], "cat /proc/self/mountinfo")?;
    assert!(mounts.lines().count() < 20, "mounts of the host are still there:\n{mounts}");
    let up = inside(sandbox, &[], &format!("cd /; cd ../../../..; ls {} 2>&1 || true", sandbox.path().display()))?;
    assert!(up.contains("No such"), "the host's files are in sight:\n{up}");
    // The container's first process has no way either: its root is the container's.
    assert_eq!(inside(sandbox, &[], "ls /proc/1/root/bin/busybox")?.trim(), "/proc/1/root/bin/busybox");
    Ok(())
}

fn escape_fails(sandbox: &Sandbox) -> Outcome {
    let root = root(sandbox)?;
    sandbox.step(3).args(["escape", "--root"]).arg(&root).run()?.code(1)?.stderr_has("the escape failed")?;
    Ok(())
}

fn devices(sandbox: &Sandbox) -> Outcome {
    let list = inside(sandbox, &[], "ls /dev")?;
    let names: Vec<_> = list.split_whitespace().collect();
    let expected = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    ];
    assert_eq!(names, expected);
    inside(sandbox, &[], "echo x > /dev/null; head -c 4 /dev/zero > /dev/shm/zeros; ! echo x > /dev/full 2>/dev/null")?;
    Ok(())
}

fn sys_read_only(sandbox: &Sandbox) -> Outcome {
    assert!(inside(sandbox, &[], "mount")?.contains("on /sys type sysfs (ro,nosuid,nodev,noexec"));
    Ok(())
}

fn linked_proc(sandbox: &Sandbox) -> Outcome {
    for name in ["proc", "sys", "dev"] {
        let root = root(sandbox)?;
        fs::remove_dir(root.join(name))?;
        std::os::unix::fs::symlink("/tmp", root.join(name))?;
        let done = sandbox.step(3).args(["run", "--root"]).arg(&root).arg("true").run()?;
        done.code(125)?.stderr_has("must be a plain directory")?;
        fs::remove_file(root.join(name))?;
    }
    Ok(())
}

fn boot_offset(sandbox: &Sandbox) -> Outcome {
    let uptime = inside(sandbox, &["--boot-offset", "1000000"], "cat /proc/uptime")?;
    let seconds: f64 = uptime.split(' ').next().unwrap_or_default().parse()?;
    assert!(seconds > 1_000_000.0);
    Ok(())
}

fn exec_joins(sandbox: &Sandbox) -> Outcome {
    let running = waiting(sandbox, "joined")?;
    let script = KINDS
        .map(|kind| format!("[ $(readlink /proc/self/ns/{kind}) = $(readlink /proc/1/ns/{kind}) ] || echo {kind}"))
        .join(";");
    let done =
        sandbox.step(3).args(["exec", "joined", "sh", "-c", &format!("{script}; id -u; echo $$; exit 3")]).run()?;
    let done = done.code(3)?;
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!(lines[0], "0", "other namespaces than its first process's: {lines:?}");
    assert_ne!(lines[1], "1");
    sandbox.step(3).args(["exec", "joined", "no-such-program"]).run()?.code(127)?;
    sandbox.step(3).args(["exec", "nobody-here", "true"]).run()?.code(125)?.stderr_has("running are: joined")?;
    end(running)
}

fn inspect(sandbox: &Sandbox) -> Outcome {
    let running = waiting(sandbox, "looked-at")?;
    let done = sandbox.step(3).args(["inspect", "looked-at"]).run()?;
    let done = done.ok()?;
    let shared: Vec<_> = done.stdout.lines().filter(|line| line.ends_with("shared")).collect();
    if is_ordinary(sandbox) {
        assert!(shared.is_empty(), "{shared:?}");
    } else {
        assert!(shared.len() == 1 && shared[0].starts_with("user"), "{shared:?}");
    }
    sandbox.step(3).args(["inspect", "999999999"]).run()?.code(125)?.stderr_has("no process")?;
    end(running)
}

fn name_conflict(sandbox: &Sandbox) -> Outcome {
    let running = waiting(sandbox, "only-once")?;
    let root = root(sandbox)?;
    let done = sandbox.step(3).args(["run", "--name", "only-once", "--root"]).arg(&root).arg("true").run()?;
    done.code(125)?.stderr_has("is taken")?.stderr_has("--name")?;
    sandbox.step(3).args(["run", "--name", "../x", "--root"]).arg(&root).arg("true").run()?.code(2)?;
    end(running)?;
    sandbox.step(3).args(["run", "--name", "only-once", "--root"]).arg(&root).args(["sh", "-c", ":"]).run()?.ok()?;
    Ok(())
}

fn kill_nine(sandbox: &Sandbox) -> Outcome {
    let running = waiting(sandbox, "killed")?;
    running.signal(Signal::SIGKILL)?;
    running.wait()?;
    assert_eq!(inside(sandbox, &["--name", "killed"], "hostname")?.trim().len(), 12);
    let left: Vec<_> = fs::read_dir(sandbox.run_dir().join("containers"))?.collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

fn terminal(sandbox: &Sandbox) -> Outcome {
    let root = root(sandbox)?;
    let mut terminal = sandbox.step(3).args(["run", "--root"]).arg(&root).arg("sh").pty()?;
    terminal.send("tty; echo sum $((40 + 2))\n")?;
    terminal.expect("/dev/pts/0")?;
    terminal.expect("sum 42")?;
    terminal.send("sleep 60\n")?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.send("\x03")?;
    terminal.send("echo still $((40 + 3))\n")?;
    terminal.expect("still 43")?;
    terminal.send("exit 6\n")?;
    assert_eq!(terminal.wait()?, 6);
    Ok(())
}

fn no_input(sandbox: &Sandbox) -> Outcome {
    let root = root(sandbox)?;
    let cat = |options: &[&str]| {
        sandbox.step(3).args(["run"]).args(options).arg("--root").arg(&root).arg("cat").stdin("typed\n").run()
    };
    assert_eq!(cat(&["-i"])?.ok()?.stdout, "typed\n");
    assert_eq!(cat(&[])?.ok()?.stdout, "");
    Ok(())
}

fn userns_for_root() -> Outcome {
    let sandbox = Sandbox::new()?;
    assert_eq!(
        inside(&sandbox, &[], "cat /proc/self/uid_map")?.split_whitespace().collect::<Vec<_>>(),
        ["0", "0", "4294967295"]
    );
    let map = inside(&sandbox, &["--uidmap", "0:200000:1000"], "cat /proc/self/uid_map; id -u")?;
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "200000", "1000", "0"]);
    Ok(())
}

fn root_joins_ordinary() -> Outcome {
    let ordinary = Sandbox::ordinary()?;
    let running = waiting(&ordinary, "of-a-user")?;
    let record = fs::read_dir(ordinary.run_dir().join("containers"))?.next().ok_or("no record")??;
    let pid = fs::read_to_string(record.path())?.lines().find_map(|line| line.strip_prefix("pid ").map(str::to_owned));
    let root = Sandbox::new()?;
    let done = root.step(3).args(["exec", &pid.ok_or("no pid")?, "sh", "-c", "id -u; hostname"]).run()?;
    assert_eq!(done.ok()?.stdout.lines().next(), Some("0"));
    end(running)
}

fn maps() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let lines = |text: String| text.lines().count();
    assert_eq!(lines(inside(&sandbox, &["--uidmap", "single"], "cat /proc/self/uid_map")?), 1);
    let map = inside(&sandbox, &[], "cat /proc/self/uid_map")?;
    assert!(lines(map.clone()) >= 2, "no range:\n{map}");
    let done =
        sandbox.step(3).args(["run", "--uidmap", "0:0:65536", "--root"]).arg(root(&sandbox)?).arg("true").run()?;
    done.code(125)?.stderr_has("newuidmap")?.stderr_has("/etc/subuid")?;
    Ok(())
}

fn no_user_namespace() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let done = sandbox.step(3).args(["run", "--share", "user", "--root"]).arg(root(&sandbox)?).arg("true").run()?;
    done.code(125)?.stderr_has("only root")?.stderr_has("help:")?;
    Ok(())
}
