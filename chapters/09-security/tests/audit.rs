//! `audit` tells what the kernel holds a process to, not what was meant.

use harness::{Outcome, Sandbox, Suite};
use serde_json::Value;

fn main() {
    Suite::new()
        .root("a container is held in every respect", || held(Sandbox::new()?))
        .user("ordinary: so is an ordinary user's", || held(Sandbox::ordinary()?))
        .needs(&["newuidmap", "subuid", "userns"])
        .root("what was let loose is named, with what it is good for", loose)
        .root("a process that is no container is as free as it is", free)
        .root("what is not there is refused", missing)
        .run();
}

/// Runs a container with these options and audits it from outside.
fn audit(sandbox: &Sandbox, options: &[&str]) -> Outcome<Vec<Value>> {
    let run = sandbox.step(9).args(["run", "--network", "none", "--init", "--name", "audited"]).args(options);
    let mut container = run.args(["host", "sh", "-c", "echo ready; exec sleep 100"]).spawn()?;
    container.says("ready")?;
    let done = sandbox.step(9).args(["audit", "--json", "audited"]).run()?.ok()?;
    container.signal(nix::sys::signal::Signal::SIGTERM)?;
    container.wait()?;
    sandbox.step(9).args(["rm", "audited"]).run()?.ok()?;
    Ok(serde_json::from_str(done.text())?)
}

fn verdict<'a>(rows: &'a [Value], about: &str) -> &'a str {
    let row = rows.iter().find(|row| row["about"] == about);
    row.and_then(|row| row["verdict"].as_str()).unwrap_or("no such row")
}

fn held(sandbox: Sandbox) -> Outcome {
    let rows = audit(&sandbox, &[])?;
    let other: Vec<_> = rows.iter().filter(|row| row["verdict"] != "held").collect();
    assert!(rows.len() > 10 && other.is_empty(), "{other:#?}");
    let calls = rows.iter().find(|row| row["about"] == "system calls").ok_or("no row")?;
    assert!(calls["here"].as_str().is_some_and(|text| text.contains("filtered by")), "{calls}");
    Ok(())
}

fn loose() -> Outcome {
    let options = ["--cap-add", "sys_admin", "--security-opt", "seccomp=unconfined", "--share", "pid", "-v", "/:/host"];
    let rows = audit(&Sandbox::new()?, &options)?;
    for (about, wanted) in [
        ("capabilities", "loose"),
        ("system calls", "free"),
        ("what it sees", "loose"),
        ("the host's files", "loose"),
        ("root directory", "held"),
    ] {
        assert_eq!(verdict(&rows, about), wanted, "{about}: {rows:#?}");
    }
    let text = serde_json::to_string(&rows)?;
    assert!(text.contains("CAP_SYS_ADMIN: mount"), "{text}");
    let rows = audit(&Sandbox::new()?, &["--privileged"])?;
    for about in ["capabilities", "capabilities to gain", "system calls", "the kernel's settings"] {
        assert_eq!(verdict(&rows, about), "free", "{about}: {rows:#?}");
    }
    Ok(())
}

fn free() -> Outcome {
    let sandbox = Sandbox::new()?;
    let pid = std::process::id().to_string();
    let done = sandbox.step(9).args(["audit", "--json", &pid]).run()?.ok()?;
    let rows: Vec<Value> = serde_json::from_str(done.text())?;
    assert_eq!(verdict(&rows, "capabilities"), "free");
    assert_eq!(verdict(&rows, "system calls"), "free");
    Ok(())
}

fn missing() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.step(9).args(["audit", "nobody"]).run()?.code(125)?.stderr_has("no running container is called")?;
    sandbox.step(9).args(["audit", "2147483647"]).run()?.code(125)?.stderr_has("no process has the id")?;
    Ok(())
}
