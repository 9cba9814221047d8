//! Where groups can be made, and what is said where they cannot.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::{Outcome, Sandbox};

use crate::common::{root, run};
use crate::groups;

pub fn parent(sandbox: &Sandbox) -> Outcome {
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

/// The suite's own group belongs to root: from there an ordinary user has nothing.
pub fn not_delegated() -> Outcome {
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

pub fn controller_not_delegated() -> Outcome {
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
pub fn inside_a_container() -> Outcome {
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
