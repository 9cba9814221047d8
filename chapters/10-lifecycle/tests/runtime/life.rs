//! From `create` to `delete`, and what a state does not allow.

use std::fs;
use std::time::Duration;

use harness::Outcome;
use serde_json::{Value, json};

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("a life, step by step", step_by_step),
    ("run gives the program's exit code and leaves nothing", run),
    ("run passes signals on", signals),
    ("run --detach and --keep leave delete to others", detached),
    ("a created container can be killed", kill_created),
    ("kill knows numbers, names and --all", kill),
    ("delete --force ends what runs", force),
    ("what a state does not allow is told in runc's words", words),
];

/// Not for an ordinary user, who has one id and no group.
pub const ROOT: &[(&str, Test)] =
    &[("pause and resume", pause), ("a host's process namespace: kill reaches all", shared_pids)];

fn step_by_step(world: &mut World) -> Outcome {
    world.config["annotations"] = json!({ "org.example.key": "value" });
    world.write(&["sh", "-c", "echo started > /tmp/file; exec sleep 1000"])?;
    world.config["root"]["readonly"] = json!(false);
    world.write(&["sh", "-c", "echo started > /tmp/file; exec sleep 1000"])?;
    let file = world.bundle().join("rootfs/tmp/file");
    let pid_file = world.sandbox.path().join("b/pid");
    world.with_bundle("create", &["--pid-file", pid_file.to_str().ok_or("path")?, "web"])?.ok()?;
    let state: Value = serde_json::from_str(&world.runtime(&["state", "web"])?.ok()?.stdout)?;
    assert_eq!(state["ociVersion"], "1.2.0");
    assert_eq!((&state["id"], &state["status"]), (&json!("web"), &json!("created")));
    assert_eq!(state["bundle"].as_str(), world.bundle().to_str());
    assert_eq!(state["annotations"], json!({ "org.example.key": "value" }));
    assert_eq!(fs::read_to_string(&pid_file)?, state["pid"].to_string());
    assert!(!file.exists(), "the program has begun before start");
    world.runtime(&["start", "web"])?.ok()?;
    assert_eq!(world.status("web")?, "running");
    let program = fs::read(format!("/proc/{}/cmdline", state["pid"]))?;
    assert!(program.starts_with(b"sleep") || program.starts_with(b"sh"), "{program:?}");
    world.runtime(&["kill", "web", "KILL"])?.ok()?;
    world.wait_for("web", "stopped")?;
    assert!(file.exists());
    world.runtime(&["delete", "web"])?.ok()?;
    world.runtime(&["state", "web"])?.code(1)?.stderr_has("container does not exist")?;
    assert!(world.left().is_empty());
    Ok(())
}

fn run(world: &mut World) -> Outcome {
    world.write(&["sh", "-c", "echo out; echo err >&2; exit 7"])?;
    let done = world.with_bundle("run", &["one"])?.code(7)?;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
    world.write(&["sh", "-c", "kill -TERM $$; kill -KILL $$"])?;
    // PID 1 has no handler, so neither signal of its own reaches it; it ends by itself.
    world.with_bundle("run", &["one"])?.code(0)?;
    assert!(world.left().is_empty());
    Ok(())
}

fn signals(world: &mut World) -> Outcome {
    world.write(&["sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"])?;
    let bundle = world.bundle();
    let mut running = world.command(&["run", "--bundle", bundle.to_str().ok_or("path")?, "one"]).spawn()?;
    running.says("ready")?;
    assert_eq!(world.status("one")?, "running");
    world.runtime(&["kill", "one", "TERM"])?.ok()?;
    running.wait()?.code(9)?;
    assert!(world.left().is_empty());
    Ok(())
}

fn detached(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    assert_eq!(world.status("one")?, "running");
    world.with_bundle("run", &["one"])?.code(1)?.stderr_has("container with given ID already exists")?;
    assert_eq!(world.status("one")?, "running", "a refused second one must not harm the first");
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    world.write(&["true"])?;
    world.with_bundle("run", &["--keep", "two"])?.ok()?;
    assert_eq!(world.status("two")?, "stopped");
    world.runtime(&["delete", "two"])?.ok()?;
    Ok(())
}

fn kill_created(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    world.with_bundle("create", &["one"])?.ok()?;
    world.runtime(&["kill", "one", "9"])?.ok()?;
    world.wait_for("one", "stopped")?;
    world.runtime(&["start", "one"])?.code(1)?.stderr_has("cannot start a container that has stopped")?;
    world.runtime(&["delete", "one"])?.ok()?;
    // One that was never started has nothing to lose: no --force is needed.
    world.with_bundle("create", &["one"])?.ok()?;
    world.runtime(&["delete", "one"])?.ok()?;
    Ok(())
}

fn kill(world: &mut World) -> Outcome {
    let script = "trap 'echo a$? >> /tmp/got' USR1; sh -c 'trap \"echo b >> /tmp/got\" USR1; echo up >> /tmp/got; \
                  while :; do sleep 0.01; done' & while :; do sleep 0.01; done";
    world.config["root"]["readonly"] = json!(false);
    world.write(&["sh", "-c", script])?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    let file = world.bundle().join("rootfs/tmp/got");
    let got = |wanted: &str| -> Outcome {
        for _ in 0..500 {
            if fs::read_to_string(&file).unwrap_or_default().contains(wanted) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("no {wanted:?} in {:?}", fs::read_to_string(&file)).into())
    };
    got("up")?;
    world.runtime(&["kill", "one", "USR1"])?.ok()?;
    got("a")?;
    assert!(!fs::read_to_string(&file)?.contains('b'), "only the first process was meant");
    world.runtime(&["kill", "--all", "one", "SIGUSR1"])?.ok()?;
    got("b")?;
    world.runtime(&["kill", "one", "0"])?.ok()?;
    world.runtime(&["kill", "one", "NOPE"])?.code(1)?.stderr_has("NOPE")?;
    world.runtime(&["kill", "one", "SIGRTMIN+3"])?.ok()?;
    world.runtime(&["kill", "--all", "one", "9"])?.ok()?;
    world.wait_for("one", "stopped")?;
    world.runtime(&["kill", "one"])?.code(1)?.stderr_has("container not running")?;
    Ok(())
}

fn force(world: &mut World) -> Outcome {
    world.write(&["sh", "-c", "sleep 1000 & sleep 1000"])?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    world
        .runtime(&["delete", "one"])?
        .code(1)?
        .stderr_has("cannot delete container one that is not stopped: running")?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    world.runtime(&["delete", "one"])?.code(1)?.stderr_has("container does not exist")?;
    Ok(())
}

fn words(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    for verb in ["start", "state", "kill", "pause", "resume", "ps", "delete", "update", "events"] {
        world.runtime(&[verb, "nobody"])?.code(1)?.stderr_has("container does not exist")?;
        world.runtime(&[verb, "no/body"])?.code(1)?.stderr_has("invalid container ID format")?;
    }
    world.with_bundle("create", &["one"])?.ok()?;
    world.with_bundle("create", &["one"])?.code(1)?.stderr_has("container with given ID already exists")?;
    world.with_bundle("create", &["../one"])?.code(1)?.stderr_has("invalid container ID format")?;
    world.runtime(&["resume", "one"])?.code(1)?.stderr_has("container not paused")?;
    world.runtime(&["start", "one"])?.ok()?;
    world.runtime(&["start", "one"])?.code(1)?.stderr_has("cannot start an already running container")?;
    world.runtime(&["kill", "one", "KILL"])?.ok()?;
    world.wait_for("one", "stopped")?;
    for (args, told) in [
        (&["start", "one"][..], "cannot start a container that has stopped"),
        (&["kill", "one"], "container not running"),
        (&["pause", "one"], "container not running"),
        (&["resume", "one"], "container not paused"),
        (&["ps", "one"], "container not running"),
        (&["events", "--stats", "one"], "container not running"),
        (&["update", "--pids-limit", "9", "one"], "container not running"),
    ] {
        world.runtime(args)?.code(1)?.stderr_has(told)?;
    }
    world.runtime(&["exec", "one", "true"])?.code(255)?.stderr_has("cannot exec in a stopped container")?;
    for verb in ["checkpoint", "restore"] {
        world.runtime(&[verb, "one"])?.code(1)?.stderr_has("needs criu")?;
    }
    Ok(())
}

fn pause(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    let done = world.runtime(&["pause", "one"])?;
    if done.code != 0 {
        // No cgroup v2 to be had at all: then that is said.
        done.code(1)?.stderr_has("has no control group of its own")?;
        return Ok(());
    }
    assert_eq!(world.status("one")?, "paused");
    world.runtime(&["pause", "one"])?.code(1)?.stderr_has("already paused")?;
    world
        .runtime(&["exec", "one", "true"])?
        .code(255)?
        .stderr_has("cannot exec in a paused container (use --ignore-paused to override)")?;
    world.runtime(&["delete", "one"])?.code(1)?.stderr_has("not stopped: paused")?;
    world.runtime(&["resume", "one"])?.ok()?;
    assert_eq!(world.status("one")?, "running");
    world.runtime(&["pause", "one"])?.ok()?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    Ok(())
}

fn shared_pids(world: &mut World) -> Outcome {
    let namespaces = world.config["linux"]["namespaces"].as_array_mut().ok_or("namespaces")?;
    namespaces.retain(|namespace| namespace["type"] != "pid");
    world.write(&["sh", "-c", "sleep 1000 & sleep 1000 & exec sleep 1000"])?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    let count = || -> Outcome<usize> {
        let pids: Vec<i32> = serde_json::from_str(&world.runtime(&["ps", "--format", "json", "one"])?.ok()?.stdout)?;
        Ok(pids.len())
    };
    for _ in 0..200 {
        if count()? == 3 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(count()?, 3);
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    Ok(())
}
