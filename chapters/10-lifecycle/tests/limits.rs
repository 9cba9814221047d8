//! Limits of containers that are kept: cgroup v2 with all controllers, so in the virtual machine.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use harness::{Outcome, Sandbox, Suite};
use serde_json::Value;

fn main() {
    Suite::new()
        .vm("limits hold, are told, and can be changed while it runs", limits)
        .vm("who needs more memory than it may have is told as killed for that", out_of_memory)
        .vm("a paused container stands still, and may only go on or be removed", pause)
        .vm("the group is gone with the container, whatever ends it", groups)
        .vm("stop ends what a program leaves behind", left_behind)
        .run();
}

struct World(Sandbox);

/// A test that fails leaves nothing running either.
impl Drop for World {
    fn drop(&mut self) {
        let _ = self.0.step(10).args(["rm", "--force", "limited"]).run();
    }
}

impl World {
    fn new() -> Outcome<Self> {
        Ok(Self(Sandbox::new()?))
    }

    fn ok(&self, line: &str) -> Outcome<String> {
        Ok(self.0.step(10).args(line.split(' ')).timeout(Duration::from_secs(60)).run()?.ok()?.text().to_owned())
    }

    fn start(&self, options: &str, program: &str) -> Outcome {
        let run = self.0.step(10).args(["run", "-d", "--network", "none", "--name", "limited"]);
        let run = run.args(options.split_whitespace()).args(["host", "sh", "-c", program]);
        run.timeout(Duration::from_secs(60)).run()?.ok().map(drop)
    }

    fn state(&self) -> Outcome<Value> {
        let inspect = self.0.step(10).args(["inspect", "--format", "{{json .State}}", "limited"]);
        Ok(serde_json::from_str(inspect.run()?.ok()?.text())?)
    }

    /// What a file of the container's group says.
    fn group(&self, file: &str) -> Outcome<String> {
        Ok(fs::read_to_string(self.group_path()?.join(file))?.trim().to_owned())
    }

    fn group_path(&self) -> Outcome<PathBuf> {
        let pid = self.ok("inspect --format {{.State.Pid}} limited")?;
        let line = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let place = line.trim().strip_prefix("0::").ok_or("no cgroup v2")?.to_owned();
        Ok(PathBuf::from(format!("/sys/fs/cgroup{place}")))
    }

    fn done(&self) -> Outcome {
        self.ok("rm -f limited").map(drop)
    }
}

fn limits() -> Outcome {
    let world = World::new()?;
    world.start("--memory 64m --pids-limit 50 --cpus 0.5", "sleep 1000")?;
    for (file, value) in [("memory.max", "67108864"), ("pids.max", "50"), ("cpu.max", "50000 100000")] {
        assert_eq!(world.group(file)?, value, "{file}");
    }
    let stats = world.ok("stats --no-stream limited")?;
    assert!(stats.contains("64 MiB") || stats.contains("64MiB"), "{stats}");
    world.ok("update --memory 128m --memory-swap 128m --pids-limit 60 limited")?;
    assert_eq!((world.group("memory.max")?.as_str(), world.group("pids.max")?.as_str()), ("134217728", "60"));
    world.ok("stop -t 0 limited")?;
    world.ok("start limited")?;
    assert_eq!(world.group("memory.max")?, "134217728", "what was updated is kept");
    world.done()
}

fn out_of_memory() -> Outcome {
    let world = World::new()?;
    world.start("--memory 24m --memory-swap 24m", "x=x; while :; do x=$x$x; done")?;
    let code = world.ok("wait limited")?;
    let state = world.state()?;
    assert_eq!((state["OOMKilled"].as_bool(), code.as_str()), (Some(true), "137"), "{state}");
    world.done()
}

fn pause() -> Outcome {
    let world = World::new()?;
    world.start("", "while :; do echo x; sleep 0.05; done")?;
    world.ok("pause limited")?;
    assert_eq!(world.state()?["Status"], "paused");
    assert_eq!(world.group("cgroup.events")?.lines().find(|line| line.starts_with("frozen")), Some("frozen 1"));
    for line in ["pause limited", "exec limited true", "rm limited"] {
        let refused = world.0.step(10).args(line.split(' ')).run()?;
        assert!(refused.code != 0 && refused.stderr.contains("paused"), "{line}: {refused:?}");
    }
    world.ok("unpause limited")?;
    world.ok("exec limited true")?;
    world.ok("pause limited")?;
    world.done()
}

fn groups() -> Outcome {
    let world = World::new()?;
    for end in ["stop -t 0 limited", "kill limited", "rm -f limited"] {
        world.start("", "sleep 1000")?;
        let group = world.group_path()?;
        assert!(group.exists());
        world.ok(end)?;
        let _ = world.0.step(10).args(["wait", "limited"]).run()?;
        if end != "rm -f limited" {
            world.ok("rm limited")?;
        }
        assert!(!group.exists(), "{end} leaves {}", group.display());
    }
    Ok(())
}

/// A process that outlives the first one, as it does where the PID namespace is the host's.
fn left_behind() -> Outcome {
    let world = World::new()?;
    world.start("--share pid", "sleep 1234 & echo ready; wait")?;
    while !world.ok("logs limited")?.contains("ready") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let group = world.group_path()?;
    assert!(fs::read_to_string(group.join("cgroup.procs"))?.lines().count() >= 2);
    world.ok("kill limited")?;
    world.ok("wait limited")?;
    world.ok("rm limited")?;
    assert!(!group.exists());
    Ok(())
}
