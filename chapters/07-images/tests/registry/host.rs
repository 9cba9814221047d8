//! The image of this machine's own programs.

use harness::{Outcome, Sandbox};

use crate::{json, step};

pub fn host() -> Outcome {
    let sandbox = Sandbox::new()?;
    let pulled = step(&sandbox, &["pull", "host"]).env("HTTPS_PROXY", "http://127.0.0.1:1").run()?.ok()?.stdout;
    assert!(pulled.contains("this machine's own programs"), "{pulled}");
    let first = json(&step(&sandbox, &["inspect", "host"]).run()?.ok()?.stdout)?;
    assert_eq!(first[0]["RepoTags"][0], "host:latest");
    assert_eq!(first[0]["Config"]["Cmd"][0], "/bin/sh");
    // The same programs give the same layer.
    let again = step(&sandbox, &["pull", "host"]).run()?.ok()?.stdout;
    assert!(again.contains("up to date"), "{again}");
    step(&sandbox, &["pull", "host:other"]).run()?.code(125)?.stderr_has("only as host:latest")?;
    Ok(())
}

pub fn host_runs(sandbox: Sandbox) -> Outcome {
    let command =
        ["run", "--rm", "--network", "none", "host", "sh", "-c", "id -u; ls -ld /tmp; cat /etc/hostname; exit 7"];
    let done = step(&sandbox, &command).run()?.code(7)?;
    assert!(done.stdout.starts_with("0\ndrwxrwxrwt"), "{}", done.stdout);
    assert!(done.stderr.contains("not here yet"), "{}", done.stderr);
    let done = step(&sandbox, &command).run()?.code(7)?;
    assert_eq!(done.stderr, "", "the second time it is here");
    step(&sandbox, &["rmi", "host"]).run()?.ok()?;
    Ok(())
}

pub fn in_use() -> Outcome {
    let sandbox = Sandbox::new()?;
    step(&sandbox, &["run", "--name", "user", "--network", "none", "host", "true"]).run()?.ok()?;
    step(&sandbox, &["rmi", "host"]).run()?.code(1)?.stderr_has("is used by the container")?;
    let forced = step(&sandbox, &["rmi", "--force", "host"]).run()?.ok()?.stdout;
    assert_eq!(forced.matches("Deleted").count(), 1, "only the image: its layer is the container's: {forced}");
    step(&sandbox, &["diff", "user"]).run()?.ok()?;
    step(&sandbox, &["rm", "user"]).run()?.ok()?;
    // The next sweep takes what was the container's alone.
    step(&sandbox, &["pull", "host"]).run()?.ok()?;
    step(&sandbox, &["rmi", "host"]).run()?.ok()?;
    assert_eq!(std::fs::read_dir(sandbox.data().join("layers"))?.count(), 0);
    Ok(())
}

/// What a container runs on at this moment stays, with a name or without.
pub fn in_use_now() -> Outcome {
    let sandbox = Sandbox::new()?;
    let script = "echo ready; read line; cat /etc/passwd";
    let mut shell = step(&sandbox, &["run", "--rm", "-i", "--network", "none", "host", "sh", "-c", script]).pty()?;
    shell.expect("ready")?;
    let id = step(&sandbox, &["images", "-q"]).run()?.ok()?.text().to_owned();
    for name in ["host", &id] {
        step(&sandbox, &["rmi", name]).run()?.code(1)?.stderr_has("is used by the container")?;
    }
    step(&sandbox, &["rmi", "-f", &id]).run()?.code(1)?.stderr_has("this cannot be forced")?;
    assert_eq!(step(&sandbox, &["rmi", "-f", "host"]).run()?.ok()?.stdout, "Untagged: host:latest\n");
    let left = || step(&sandbox, &["images", "-q", "--filter", "dangling=true"]).run()?.ok();
    assert_eq!(left()?.text(), id);
    step(&sandbox, &["image", "prune", "--force"]).run()?.ok()?.stdout_has("Total reclaimed space: 0B")?;
    shell.send("\n")?;
    shell.expect("root:")?;
    assert_eq!(shell.wait()?, 0);
    step(&sandbox, &["image", "prune", "--force"]).run()?.ok()?.stdout_has(&id)?;
    assert_eq!(left()?.text(), "");
    Ok(())
}

pub fn terminal() -> Outcome {
    let sandbox = Sandbox::new()?;
    step(&sandbox, &["pull", "--quiet", "host"]).run()?.ok()?;
    let mut shell = step(&sandbox, &["run", "--rm", "--network", "none", "host", "sh"]).pty()?;
    shell.send("tty; echo $((6*7))\n")?;
    shell.expect("/dev/pts/0")?;
    shell.expect("42")?;
    shell.send("exit 3\n")?;
    assert_eq!(shell.wait()?, 3);
    Ok(())
}
