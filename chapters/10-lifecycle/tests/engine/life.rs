//! Commands about a container's life, one after the other.

use harness::Outcome;

use crate::site::Site;

/// A program that heeds SIGTERM.
pub const POLITE: &str = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";

pub fn commands(site: &Site) -> Outcome {
    let id = site.create("web", POLITE)?;
    assert_eq!(id.len(), 64);
    assert_eq!(site.status("web")?, "created");
    assert_eq!(site.ok(&["start", "web"])?, "web");
    assert_eq!(site.status("web")?, "running");
    assert_eq!(site.ok(&["start", "web"])?, "web", "that it runs already is no error");
    wait_for_log(site, "web", "ready")?;
    assert_eq!(site.ok(&["stop", "web"])?, "web");
    assert_eq!(site.inspect("web", "{{.State.Status}} {{.State.ExitCode}}")?, "exited 7");
    assert_eq!(site.ok(&["stop", "web"])?, "web", "nor that it has ended already");
    assert_eq!(site.ok(&["wait", "web"])?, "7");
    site.ok(&["restart", "-t", "0", "web"])?;
    assert_eq!(site.status("web")?, "running");
    let first = site.inspect("web", "{{.State.Pid}}")?;
    site.ok(&["restart", "-t", "0", "web"])?;
    assert_ne!(site.inspect("web", "{{.State.Pid}}")?, first, "another process");
    site.ok(&["kill", "web"])?;
    assert_eq!(site.inspect("web", "{{.State.Status}} {{.State.ExitCode}}")?, "exited 137");
    site.ok(&["start", "web"])?;
    wait_for_log(site, "web", "ready")?;
    site.ok(&["kill", "--signal", "TERM", "web"])?;
    assert_eq!(site.ok(&["wait", "web"])?, "7");
    assert_eq!(site.ok(&["logs", "web"])?.lines().filter(|line| *line == "ready").count(), 4, "all its runs");
    assert_eq!(site.ok(&["rm", "web"])?, "web");
    site.run(&["inspect", "web"])?.code(1)?.stderr_has("no such object: web")?;
    assert!(!site.directory(&id).exists());
    Ok(())
}

/// A signal that comes before the trap is set would end the shell itself.
fn wait_for_log(site: &Site, name: &str, text: &str) -> Outcome {
    let before = site.inspect(name, "{{.State.StartedAt}}")?;
    for _ in 0..500 {
        if site.ok(&["logs", "--since", &before, name])?.contains(text) {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Err(format!("{name} never said {text:?}").into())
}

pub fn several(site: &Site) -> Outcome {
    site.create("one", "true")?;
    site.create("two", "true")?;
    let done = site.run(&["start", "one", "nobody", "two"])?.code(1)?;
    assert_eq!(done.text(), "one\ntwo");
    done.stderr_has("no such container: nobody")?.stderr_has("help:")?;
    assert_eq!(site.ok(&["wait", "one", "two"])?, "0\n0");
    let done = site.run(&["rm", "nobody", "two", "one"])?.code(1)?;
    assert_eq!(done.text(), "two\none");
    Ok(())
}

pub fn names(site: &Site) -> Outcome {
    let id = site.create("web", "true")?;
    for name in ["web", "/web", &id, &id[..12], &id[..5]] {
        assert_eq!(site.inspect(name, "{{.Id}}")?, id, "{name}");
    }
    site.run(&["create", "--name", "web", "host", "true"])?.fails()?.stderr_has("taken")?;
    for number in 0..17 {
        site.create(&format!("more{number}"), "true")?;
    }
    // Of eighteen ids two begin with the same digit.
    let ids = site.ok(&["ps", "-aq"])?;
    let digit = (0..16)
        .map(|digit| format!("{digit:x}"))
        .find(|digit| ids.lines().filter(|id| id.starts_with(digit.as_str())).count() > 1);
    let digit = digit.ok_or("no two ids begin alike")?;
    site.run(&["stop", &digit])?.code(1)?.stderr_has("several containers' ids begin with")?;
    site.run(&["stop", ""])?.code(1)?.stderr_has("no such container")?;
    Ok(())
}

pub fn rename(site: &Site) -> Outcome {
    let id = site.start("old", "sleep 1000")?;
    site.create("taken", "true")?;
    site.ok(&["rename", "old", "new"])?;
    assert_eq!(site.inspect(&id, "{{.Name}}")?, "/new");
    assert_eq!(site.ok(&["exec", "new", "echo", "hi"])?, "hi", "earlier chapters know it by its new name, too");
    site.run(&["inspect", "old"])?.code(1)?;
    site.run(&["rename", "new", "taken"])?.fails()?.stderr_has("already in use by container")?;
    site.run(&["rename", "new", "new"])?.fails()?.stderr_has("same name as its current name")?;
    site.run(&["rename", "new", "we/b"])?.fails()?.stderr_has("no name for a container")?;
    site.ok(&["restart", "-t", "0", "new"])?;
    assert_eq!(site.ok(&["exec", "new", "echo", "still"])?, "still");
    Ok(())
}

pub fn attached(site: &Site) -> Outcome {
    site.create("short", "echo out; echo err >&2; exit 5")?;
    let done = site.run(&["start", "-a", "short"])?.code(5)?;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
    let done = site.run(&["start", "-a", "short", "other"])?.fails()?;
    done.stderr_has("multiple containers")?;
    site.ok(&["create", "-i", "--network", "none", "--name", "echo", "host", "sh", "-c", "read line; echo $line"])?;
    let done = site.command(&["start", "-a", "-i", "echo"]).stdin("to and fro\n").run()?.ok()?;
    assert_eq!(done.stdout, "to and fro\n");
    site.start("long", "sleep 0.5; echo later; sleep 0.5; exit 3")?;
    site.run(&["attach", "--no-stdin", "long"])?.code(3)?.stdout_has("later")?;
    Ok(())
}

pub fn killed(site: &Site) -> Outcome {
    let id = site.start("web", "trap '' TERM; while :; do sleep 1; done")?;
    let pid = site.inspect("web", "{{.State.Pid}}")?;
    site.kill_supervisor("web")?;
    let state = site.inspect("web", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}")?;
    assert_eq!(state, "exited 137 its supervisor was killed");
    let alive = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(!alive, "its program does not outlive it");
    let kept = std::fs::read_to_string(site.directory(&id).join("state.json"))?;
    assert!(kept.contains("\"exited\""), "it is written down: {kept}");
    assert!(site.ok(&["ps", "-a"])?.contains("Exited (137)"));
    assert_eq!(site.ok(&["wait", "web"])?, "137");
    site.ok(&["start", "web"])?;
    assert_eq!(site.inspect("web", "{{.State.Status}} {{.State.Error}}")?, "running");
    Ok(())
}

pub fn killed_rm(site: &Site) -> Outcome {
    let id = site.start_with("gone", &["--rm"], "sleep 1000")?;
    site.kill_supervisor("gone")?;
    assert_eq!(site.ok(&["ps", "-aq"])?, "");
    assert!(!site.directory(&id).exists());
    Ok(())
}

pub fn removal(site: &Site) -> Outcome {
    let volumes = || site.ok(&["volume", "ls"]).map(|list| list.lines().count());
    let before = volumes()?;
    site.start_with("keeps", &["-v", "/data"], "sleep 1000")?;
    site.start_with("drops", &["-v", "/data"], "sleep 1000")?;
    assert_eq!(volumes()?, before + 2);
    assert_eq!(site.ok(&["rm", "-f", "keeps"])?, "keeps");
    assert_eq!(volumes()?, before + 2, "as Docker: without -v the volume stays");
    site.ok(&["rm", "-fv", "drops"])?;
    assert_eq!(volumes()?, before + 1);
    let ended = site.create("ended", "true")?;
    site.start_with("runs", &["--label", "keep=1"], "sleep 1000")?;
    site.run(&["container", "prune"])?.fails()?.stderr_has("--force")?;
    let done = site.run(&["container", "prune", "-f", "--filter", "label=keep"])?.ok()?;
    assert_eq!(done.text(), "Total reclaimed space: 0B");
    let done = site.run(&["container", "prune", "-f"])?.ok()?.stdout_has("Total reclaimed space: ")?;
    assert!(done.stdout.starts_with(&format!("Deleted Containers:\n{ended}\n\n")), "{}", done.stdout);
    assert_eq!(site.ok(&["ps", "-a", "--format", "{{.Names}}"])?, "runs");
    Ok(())
}

pub fn update(site: &Site) -> Outcome {
    site.create("web", "sleep 1000")?;
    site.ok(&["update", "--pids-limit", "50", "--restart", "on-failure:3", "web"])?;
    let limits =
        "{{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}";
    assert_eq!(site.inspect("web", limits)?, "50 on-failure 3");
    site.ok(&["update", "--pids-limit=60", "web"])?;
    assert_eq!(site.inspect("web", limits)?, "60 on-failure 3");
    site.run(&["update", "web"])?.fails()?.stderr_has("one or more flags")?;
    site.run(&["update", "--memory", "1k", "web"])?.fails()?.stderr_has("--memory")?;
    assert_eq!(site.inspect("web", "{{.HostConfig.Memory}}")?, "0", "what is refused is not kept");
    if !harness::has_cgroup_v2() {
        site.start("free", "sleep 1000")?;
        site.run(&["update", "--cpus", "1", "free"])?.fails()?.stderr_has("--cpus")?;
        assert_eq!(site.inspect("free", "{{.HostConfig.NanoCpus}}")?, "0", "nothing is promised that is not held");
    }
    // A policy that comes while it runs counts at its end.
    site.start("again", "sleep 0.4; exit 1")?;
    site.ok(&["update", "--restart", "on-failure:1", "again"])?;
    for _ in 0..500 {
        if site.inspect("again", "{{.RestartCount}} {{.State.Status}}")? == "1 exited" {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Err(format!("it was not started again: {}", site.json("again")?["State"]).into())
}

pub fn looks(site: &Site) -> Outcome {
    site.start("web", "echo x > /new; exec sleep 1234")?;
    site.until("web", "running")?;
    for _ in 0..100 {
        if site.ok(&["top", "web"])?.contains("sleep 1234") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let top = site.ok(&["top", "web"])?;
    let lines: Vec<_> = top.lines().collect();
    assert!(lines[0].starts_with("UID                 PID                 PPID"), "{top}");
    assert_eq!(lines.len(), 2, "the container's processes alone: {top}");
    assert!(lines[1].ends_with("sleep 1234"), "{top}");
    assert!(site.ok(&["top", "web", "-o", "pid,comm"])?.lines().nth(1).is_some_and(|line| line.ends_with("sleep")));
    site.run(&["top", "web", "-o", "comm"])?.fails()?.stderr_has("no column PID")?;
    assert!(site.ok(&["diff", "web"])?.contains("A /new"));
    assert_eq!(site.ok(&["port", "web"])?, "");
    site.run(&["port", "web", "80"])?.fails()?.stderr_has("no public port '80/tcp' published for web")?;
    Ok(())
}

pub fn exec(site: &Site) -> Outcome {
    site.start("web", "sleep 1000")?;
    site.run(&["exec", "web", "sh", "-c", "echo $VAR; exit 4"])?.code(4)?;
    let done = site.run(&[
        "exec",
        "-e",
        "VAR=x",
        "-w",
        "/tmp",
        "-u",
        "1:2",
        "web",
        "sh",
        "-c",
        "echo $VAR $PWD; id -u; id -g",
    ])?;
    assert_eq!(done.ok()?.text(), "x /tmp\n1\n2");
    site.ok(&["exec", "-d", "web", "sh", "-c", "sleep 0.2; echo done > /made"])?;
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(site.ok(&["exec", "web", "cat", "/made"])?, "done");
    site.run(&["exec", "web", "/nothing"])?.code(127)?;
    Ok(())
}

/// Where there are controllers, what runs has its new limits at once, and after the next start.
pub fn limits(site: &Site) -> Outcome {
    site.start("web", "exec sleep 1000")?; // not every shell replaces itself by its last command
    site.ok(&["update", "--memory", "64m", "--pids-limit", "50", "web"])?;
    for _ in 0..2 {
        let limits = site.ok(&["exec", "web", "cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max"])?;
        assert_eq!(limits, "67108864\n50");
        site.ok(&["restart", "-t", "0", "web"])?;
    }
    let stats = site.ok(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "web"])?;
    assert!(stats.starts_with("web ") && stats.contains(" / 64MiB ") && stats.ends_with(" 1"), "{stats}");
    Ok(())
}
