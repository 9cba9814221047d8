//! Chapter 9's core, seen from inside a container and through /proc: capabilities, limits, settings, groups, and that
//! `exec` is confined as the container is. Everything twice: for root's engine and for an ordinary user's.

use std::fs;
use std::time::Duration;

use harness::{Background, Done, Outcome, Run, Sandbox, Suite};

/// What a process may do, as the kernel tells it.
const STATUS: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status";

/// Makes a program that runs as root, whoever starts it.
const SET_USER_ID: &str = "cp $(command -v id) /tmp/id && chmod 4755 /tmp/id";

/// Docker's default set, and the same without MKNOD: root's containers have that where no device rules can be set.
const DEFAULT: [&str; 2] = ["00000000a80425fb", "00000000a00425fb"];

fn main() {
    Suite::new()
        .root("root: capabilities are Docker's", || capabilities(&Sandbox::new()?, true))
        .user("ordinary: capabilities are Docker's", || capabilities(&Sandbox::ordinary()?, false))
        .needs(&["userns", "subuid"])
        .root("root: no_new_privs, groups, limits, oom score", || process(&Sandbox::new()?))
        .user("ordinary: no_new_privs, groups, limits, oom score", || process(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .root("root: settings of own namespaces", || settings(&Sandbox::new()?))
        .user("ordinary: settings of own namespaces", || settings(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .root("root: exec is confined as the container", || exec(&Sandbox::new()?))
        .user("ordinary: exec is confined as the container", || exec(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .root("root: exec --detach goes on alone", || detached(&Sandbox::new()?))
        .user("ordinary: exec --detach goes on alone", || detached(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .user("what makes no sense, or cannot be done, is refused with the way out", || refused(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .run();
}

/// `step09 run --rm --network none OPTIONS host sh -c SCRIPT`
fn container(sandbox: &Sandbox, options: &[&str], script: &str) -> Run {
    let run = sandbox.step(9).args(["run", "--rm", "--network", "none"]).args(options);
    run.args(["host", "sh", "-c", script])
}

fn inside(sandbox: &Sandbox, options: &[&str], script: &str) -> Outcome<String> {
    Ok(container(sandbox, options, script).run()?.ok()?.stdout)
}

/// A container called `name` that does nothing until it is told to end.
fn idle(sandbox: &Sandbox, name: &str, options: &[&str]) -> Outcome<Background> {
    let options = [&["--name", name], options].concat();
    let mut running = container(sandbox, &options, "trap 'exit 0' TERM; echo ready; sleep 1000 & wait").spawn()?;
    running.says("ready")?;
    Ok(running)
}

/// Ends it, and waits until its engine has undone everything.
fn end(sandbox: &Sandbox, name: &str, running: Background) -> Outcome<Done> {
    sandbox.step(9).args(["exec", name, "sh", "-c", "kill -TERM 1"]).run()?;
    running.wait()
}

/// The value of a line of /proc/PID/status.
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map_or("missing", str::trim)
}

fn capabilities(sandbox: &Sandbox, root: bool) -> Outcome {
    let empty = "0000000000000000";
    let of = |options: &[&str]| inside(sandbox, options, STATUS);
    let default = of(&[])?;
    let bounding = field(&default, "CapBnd").to_owned();
    let allowed = if root { &DEFAULT[..] } else { &DEFAULT[..1] };
    assert!(allowed.contains(&bounding.as_str()), "{default}");
    for (name, wanted) in [("CapPrm", bounding.as_str()), ("CapEff", &bounding), ("CapInh", empty), ("CapAmb", empty)] {
        assert_eq!(field(&default, name), wanted, "{default}");
    }
    assert_eq!(field(&default, "NoNewPrivs"), "0");

    let other = of(&["--user", "1000"])?;
    for (name, wanted) in
        [("CapPrm", empty), ("CapEff", empty), ("CapInh", empty), ("CapAmb", empty), ("CapBnd", &bounding)]
    {
        assert_eq!(field(&other, name), wanted, "{other}");
    }
    for (options, wanted) in [
        (&["--cap-drop", "all"][..], empty),
        (&["--cap-drop", "ALL", "--cap-add", "chown,CAP_KILL"], "0000000000000021"),
        (&["--cap-drop", "mknod", "--cap-add", "net_admin"], "00000000a00435fb"),
        (&["--cap-drop", "mknod", "--cap-drop", "CAP_CHOWN"], "00000000a00425fa"),
    ] {
        let status = of(options)?;
        assert_eq!((field(&status, "CapEff"), field(&status, "CapBnd")), (wanted, wanted), "{options:?}: {status}");
    }
    // All that there are: this process may have fewer than the kernel knows, a new user namespace has them all.
    let own = fs::read_to_string("/proc/self/status")?;
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim().parse()?;
    let all = if root { field(&own, "CapBnd").to_owned() } else { format!("{:016x}", u64::MAX >> (63 - last)) };
    let status = of(&["--privileged"])?;
    for name in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(field(&status, name), all, "{status}");
    }
    assert_eq!(field(&status, "Seccomp"), field(&own, "Seccomp"), "privileged is unconfined");
    let mounts = inside(sandbox, &["--privileged"], "grep -E ' (/proc/|/sys )' /proc/mounts")?;
    assert!(mounts.contains("/sys sysfs rw,nosuid,nodev,noexec") && !mounts.contains("/proc/"), "{mounts}");
    let without = of(&["--privileged", "--cap-drop", "SYS_ADMIN"])?;
    assert_eq!(u64::from_str_radix(field(&without, "CapEff"), 16)?, u64::from_str_radix(&all, 16)? & !(1 << 21));
    Ok(())
}

fn process(sandbox: &Sandbox) -> Outcome {
    let options =
        ["--security-opt", "no-new-privileges", "--user", "1000:1001", "--group-add", "44", "--group-add", "root"];
    let limits = ["--ulimit", "nofile=100:200", "--ulimit", "core=0", "--ulimit", "cpu=60", "--oom-score-adj", "321"];
    let script = format!("{STATUS}; cat /proc/self/limits /proc/self/oom_score_adj; id -u; id -g");
    let told = inside(sandbox, &[&options[..], &limits].concat(), &script)?;
    assert_eq!(field(&told, "NoNewPrivs"), "1", "{told}");
    assert_eq!(field(&told, "Groups"), "0 44 1001", "{told}");
    let limit = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(limit("Max open files"), "100 200", "{told}");
    assert_eq!(limit("Max core file size"), "0 0", "{told}");
    assert_eq!(limit("Max cpu time"), "60 60", "{told}");
    assert!(told.ends_with("321\n1000\n1001\n"), "{told}");
    // A program that is root has the groups that the container's root has, not those of the engine.
    let groups = inside(sandbox, &[], "grep ^Groups /proc/self/status")?;
    assert_eq!(field(&groups, "Groups"), "0", "{groups}");
    let off = inside(sandbox, &["--security-opt", "no-new-privileges=false"], STATUS)?;
    assert_eq!(field(&off, "NoNewPrivs"), "0");
    Ok(())
}

fn settings(sandbox: &Sandbox) -> Outcome {
    let read = "cd /proc/sys; cat net/core/somaxconn net/ipv4/ip_forward kernel/shmmax fs/mqueue/msg_max kernel/domainname net/ipv4/ip_unprivileged_port_start";
    let options = [
        ["--sysctl", "net.core.somaxconn=77"],
        ["--sysctl", "net/ipv4/ip_forward=1"],
        ["--sysctl", "kernel.shmmax=4096"],
        ["--sysctl", "fs.mqueue.msg_max=11"],
        ["--sysctl", "kernel.domainname=chapter.nine"],
    ];
    assert_eq!(inside(sandbox, &options.concat(), read)?, "77\n1\n4096\n11\nchapter.nine\n0\n");
    if sandbox.user().is_none() {
        let ping = inside(sandbox, &[], "cat /proc/sys/net/ipv4/ping_group_range")?;
        assert_eq!(ping.split_whitespace().collect::<Vec<_>>(), ["0", "2147483647"]);
    }
    let own = inside(sandbox, &["--sysctl", "net.ipv4.ip_unprivileged_port_start=80"], read)?;
    assert!(own.ends_with("\n80\n"), "an option wins over the default: {own}");
    let shared = inside(sandbox, &["--share", "pid", "--sysctl", "net.core.somaxconn=78"], read)?;
    assert!(shared.starts_with("78\n"), "{shared}");
    for (option, reason) in
        [("net.nonsense=1", "no such setting"), ("net.core.somaxconn=many", "does not take this value")]
    {
        container(sandbox, &["--sysctl", option], "true").run()?.code(125)?.stderr_has(reason)?;
    }
    Ok(())
}

fn exec(sandbox: &Sandbox) -> Outcome {
    let options = ["--cap-drop", "ALL", "--cap-add", "chown", "--security-opt", "no-new-privileges"];
    let limits = ["--ulimit", "nofile=77", "--group-add", "33", "--oom-score-adj", "12"];
    let running = idle(sandbox, "one", &[&options[..], &limits].concat())?;
    let script = format!("{STATUS}; ulimit -n; cat /proc/self/oom_score_adj");
    let exec = |options: &[&str], script: &str| -> Outcome<String> {
        let run = sandbox.step(9).arg("exec").args(options).args(["one", "sh", "-c", script]);
        Ok(run.run()?.ok()?.stdout)
    };
    let own = exec(&[], "sed -n 's/^\\(Cap...\\|NoNewPrivs\\|Seccomp\\|Groups\\):/&/p' /proc/1/status")?;
    let beside = exec(&[], &script)?;
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Groups"] {
        assert_eq!(field(&beside, name), field(&own, name), "{name}: {own}\n{beside}");
    }
    assert_eq!((field(&beside, "CapEff"), field(&beside, "NoNewPrivs")), ("0000000000000001", "1"), "{beside}");
    assert!(beside.ends_with("77\n12\n"), "{beside}");
    let other = exec(&["-u", "5:6", "-w", "/tmp", "-e", "A=b"], &format!("{script}; pwd; echo $A; id -u"))?;
    assert_eq!((field(&other, "CapEff"), field(&other, "Groups")), ("0000000000000000", "6 33"), "{other}");
    assert!(other.ends_with("/tmp\nb\n5\n"), "{other}");
    let privileged = exec(&["--privileged"], &script)?;
    assert!(u64::from_str_radix(field(&privileged, "CapEff"), 16)? & 1 << 21 != 0, "SYS_ADMIN is there: {privileged}");
    // A set-user-ID program gives nothing here; without no_new_privs it would, see `detached`.
    assert_eq!(exec(&[], SET_USER_ID)?, "");
    assert_eq!(exec(&["-u", "5:6"], "/tmp/id -u")?, "5\n");
    // What config.json of chapter 10 can say and no option: a capability that another user keeps over an exec.
    let directory = fs::read_dir(sandbox.data().join("containers"))?
        .flatten()
        .find(|entry| entry.path().join("security.json").exists());
    let file = directory.ok_or("no security.json")?.path().join("security.json");
    let text = fs::read_to_string(&file)?;
    let empty = |set: &str| format!("\"{set}\": []");
    let full = |set: &str| format!("\"{set}\": [\"CAP_CHOWN\"]");
    let ambient =
        ["inheritable", "ambient"].iter().fold(text.clone(), |text, set| text.replace(&empty(set), &full(set)));
    assert_ne!(ambient, text);
    fs::write(&file, ambient)?;
    let kept = exec(&["-u", "5:6"], STATUS)?;
    for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(&kept, name), "0000000000000001", "{name}: {kept}");
    }
    end(sandbox, "one", running)?.ok()?;
    Ok(())
}

fn detached(sandbox: &Sandbox) -> Outcome {
    let running = idle(sandbox, "one", &[])?;
    let exec = |words: &[&str]| sandbox.step(9).arg("exec").args(words).run();
    let done = exec(&["-d", "one", "sh", "-c", "echo seen; echo here > /tmp/file; sleep 1000"])?.ok()?;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", ""));
    let mut here = String::new();
    for _ in 0..100 {
        here = exec(&["one", "sh", "-c", "cat /tmp/file 2>&1"])?.stdout;
        if here == "here\n" {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(here, "here\n");
    exec(&["one", "sh", "-c", SET_USER_ID])?.ok()?;
    assert_eq!(exec(&["-u", "5:6", "one", "/tmp/id", "-u"])?.ok()?.text(), "0");
    exec(&["-d", "one", "nonesuch"])?.code(127)?.stderr_has("nonesuch")?;
    exec(&["-dt", "one", "true"])?.code(125)?.stderr_has("excludes --tty")?;
    end(sandbox, "one", running)?.ok()?; // and the harness sees that nothing of the detached one is left
    Ok(())
}

fn refused(sandbox: &Sandbox) -> Outcome {
    let hard = rlimit_hard()?;
    let above = format!("nproc={}", hard.saturating_add(1));
    for (options, reason, help) in [
        (&["--cap-add", "NET_ADMINN"][..], "no capability", "did you mean NET_ADMIN?"),
        (&["--cap-drop", "nothing"], "no capability", "capabilities(7)"),
        (&["--security-opt", "selinux=1"], "not understood", "no-new-privileges"),
        (&["--security-opt", "no-new-privileges=maybe"], "not understood", "no-new-privileges=false"),
        (&["--ulimit", "nofile=9:8"], "above the hard limit 8", "SOFT:HARD"),
        (&["--ulimit", "files=9"], "no resource limit", "nofile"),
        (&["--sysctl", "vm.swappiness=1"], "whole machine", "sysctl -w"),
        (&["--sysctl", "kernel.core_pattern=|/x"], "whole machine", "sysctl -w"),
        (&["--sysctl", "kernel.hostname=x"], "option of its own", "--hostname"),
        (&["--sysctl", "net/../vm/swappiness=1"], "no name of a sysctl", "net.ipv4"),
        (&["--share", "ipc", "--sysctl", "kernel.shmmax=1"], "IPC namespace", "--share"),
        (&["--oom-score-adj", "-500"], "EACCES", "root only"),
        (&["--oom-score-adj", "1001"], "1001", "--help"),
        (&["--group-add", "nonesuch"], "no group", "a number"),
        (&["--ulimit", &above], "EPERM", "root only"),
    ] {
        if options[1] == above && hard == u64::MAX {
            continue;
        }
        let done = container(sandbox, options, "true").run()?.fails()?.stderr_has(reason)?.stderr_has(help)?;
        assert!(done.code == 125 || done.code == 2, "{}", done.stderr);
    }
    let run = sandbox.step(9).args(["run", "--network", "host", "--sysctl", "net.core.somaxconn=1", "host", "true"]);
    run.run()?.code(125)?.stderr_has("network namespace is not the container's own")?;
    Ok(())
}

/// The hard limit on processes of this user; as many as one likes is the greatest number.
fn rlimit_hard() -> Outcome<u64> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max processes")).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).and_then(|hard| hard.parse().ok()).unwrap_or(u64::MAX))
}
