//! With all controllers of cgroup v2: limits arrive, are changed, and what the kernel does is told.

use std::fs;
use std::path::PathBuf;

use harness::Outcome;
use serde_json::{Value, json};

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("limits are set, updated and gone with the container", update),
    ("events: statistics and out of memory", events),
    ("exec is under the container's limits", exec),
    ("exec in a group below the container's", exec_below),
    ("pause holds all processes still", frozen),
    ("limits of drivers: a path of their own choice", path),
    ("--systemd-cgroup asks systemd for a scope, and sets the limits in it", scope),
];

fn group(world: &World, id: &str) -> Outcome<PathBuf> {
    let state: Value = serde_json::from_slice(&fs::read(world.state().join(id).join("state.json"))?)?;
    Ok(state["cgroup"].as_str().ok_or("no group")?.into())
}

fn read(world: &World, file: &str) -> Outcome<String> {
    Ok(fs::read_to_string(group(world, "one")?.join(file))?.trim().to_owned())
}

fn start(world: &mut World, resources: Value, program: &[&str]) -> Outcome {
    world.config["linux"]["resources"] = resources;
    world.write(program)?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    Ok(())
}

fn update(world: &mut World) -> Outcome {
    let resources =
        json!({ "memory": { "limit": 67108864 }, "pids": { "limit": 20 }, "unified": { "memory.high": "60000000" } });
    start(world, resources, &["sleep", "1000"])?;
    assert_eq!((read(world, "memory.max")?.as_str(), read(world, "pids.max")?.as_str()), ("67108864", "20"));
    let options = [
        "--memory",
        "32m",
        "--pids-limit",
        "-1",
        "--cpu-quota",
        "50000",
        "--cpu-period",
        "100000",
        "--cpuset-cpus",
        "0",
    ];
    world.runtime(&[&["update"], &options[..], &["one"]].concat())?.ok()?;
    for (file, value) in
        [("memory.max", "33554432"), ("pids.max", "max"), ("cpu.max", "50000 100000"), ("memory.high", "59998208")]
    {
        assert_eq!(read(world, file)?, value, "{file}");
    }
    let json = r#"{"memory":{"limit":0},"cpu":{"shares":512,"quota":0},"pids":{"limit":9}}"#;
    world.command(&["update", "--resources", "-", "one"]).stdin(json).run()?.ok()?;
    assert_eq!((read(world, "memory.max")?.as_str(), read(world, "pids.max")?.as_str()), ("33554432", "9"));
    world.runtime(&["update", "--memory", "x", "one"])?.fails()?;
    let group = group(world, "one")?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    assert!(!group.exists());
    Ok(())
}

fn events(world: &mut World) -> Outcome {
    start(
        world,
        json!({ "memory": { "limit": 16777216, "swap": 16777216 }, "pids": { "limit": 20 } }),
        &["sleep", "1000"],
    )?;
    let stats: Value = serde_json::from_str(&world.runtime(&["events", "--stats", "one"])?.ok()?.stdout)?;
    assert_eq!((&stats["type"], &stats["id"]), (&json!("stats"), &json!("one")));
    assert_eq!(stats["data"]["pids"], json!({ "current": 1, "limit": 20 }));
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 16777216);
    assert!(stats["data"]["cpu"]["usage"]["total"].as_u64().is_some_and(|used| used > 0));
    let mut following = world.command(&["events", "--interval", "200ms", "one"]).spawn()?;
    following.says("\"stats\"")?;
    world.runtime(&["exec", "one", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"])?.code(137)?;
    following.says("\"oom\"")?;
    world.runtime(&["kill", "one", "KILL"])?.ok()?;
    following.wait()?.code(0)?; // it ends with the container
    Ok(())
}

fn exec(world: &mut World) -> Outcome {
    start(world, json!({ "pids": { "limit": 20 } }), &["sleep", "1000"])?;
    let inside = world.runtime(&["exec", "one", "cat", "/proc/self/cgroup"])?.ok()?;
    assert_eq!(inside.text(), "0::/");
    let done = world.runtime(&["exec", "one", "cat", "/sys/fs/cgroup/pids.current"])?.ok()?;
    assert_eq!(done.text(), "2");
    Ok(())
}

fn exec_below(world: &mut World) -> Outcome {
    start(world, json!({}), &["sleep", "1000"])?;
    fs::create_dir(group(world, "one")?.join("below"))?;
    let done = world.runtime(&["exec", "--cgroup", "below", "one", "cat", "/proc/self/cgroup"])?.ok()?;
    assert_eq!(done.text(), "0::/below");
    world.runtime(&["exec", "--cgroup", "../..", "one", "true"])?.code(255)?.stderr_has("below the container's")?;
    Ok(())
}

fn frozen(world: &mut World) -> Outcome {
    start(world, json!({}), &["sleep", "1000"])?;
    world.runtime(&["pause", "one"])?.ok()?;
    assert!(read(world, "cgroup.events")?.contains("frozen 1"));
    world.runtime(&["kill", "one", "KILL"])?.ok()?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    Ok(())
}

fn path(world: &mut World) -> Outcome {
    world.config["linux"]["cgroupsPath"] = json!("/cooper-test-parent/one");
    start(world, json!({ "pids": { "limit": 20 } }), &["sleep", "1000"])?;
    let group = group(world, "one")?;
    assert!(group.ends_with("cooper-test-parent/one"), "{}", group.display());
    // A second container in it would be under the first one's limits.
    world.with_bundle("run", &["--detach", "two"])?.code(1)?.stderr_has("not empty")?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    assert!(!group.exists());
    let _ = fs::remove_dir(group.parent().ok_or("parent")?);
    Ok(())
}

/// What systemd does when it is asked, as far as it matters here: the unit's group is made and the process moved.
const BUSCTL: &str = r#"#!/bin/sh
echo "$@" > SAID
while [ "$1" != StartTransientUnit ]; do shift; done
group=/sys/fs/cgroup/cooper-test.slice/$3
while [ "$1" != PIDs ]; do shift; done
mkdir -p "$group" && echo +pids > /sys/fs/cgroup/cooper-test.slice/cgroup.subtree_control && echo "$4" > "$group/cgroup.procs"
"#;

fn scope(world: &mut World) -> Outcome {
    let said = world.sandbox.file("said", "")?;
    let busctl = world.sandbox.file("bin/busctl", BUSCTL.replace("SAID", said.to_str().ok_or("path")?))?;
    fs::set_permissions(&busctl, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    world.config["linux"]["resources"] = json!({ "pids": { "limit": 20 } });
    world.config["linux"]["cgroupsPath"] = json!("cooper-test.slice:libpod:one");
    world.write(&["sleep", "1000"])?;
    let bundle = world.bundle();
    let run = ["--systemd-cgroup", "run", "--detach", "--bundle", bundle.to_str().ok_or("path")?, "one"];
    let path = format!("{}:/usr/bin:/bin", world.sandbox.path().join("bin").display());
    world.command(&run).env("PATH", path).run()?.ok()?;
    let said = fs::read_to_string(&said)?;
    for part in ["libpod-one.scope fail", "Slice s cooper-test.slice", "Delegate b true", "TasksMax t 20"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert_eq!(read(world, "pids.max")?, "20");
    let group = group(world, "one")?;
    assert!(group.ends_with("cooper-test.slice/libpod-one.scope"));
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    assert!(!group.exists());
    fs::remove_dir(group.parent().ok_or("parent")?)?;
    Ok(())
}
