//! `linux.resources` and `linux.cgroupsPath`, where cgroup v2 has all controllers; and what is said where it has not.

use std::fs;
use std::path::Path;

use harness::{Outcome, Suite, has_cgroup_v2};
use serde_json::{Value, json};

use crate::world::{Cooper, World};

/// Property, value, file of the group, what the kernel says there.
type Row = (&'static str, fn() -> Value, &'static str, &'static str);

const ROWS: [Row; 14] = [
    ("memory/limit", || json!(67_108_864), "memory.max", "67108864"),
    ("memory/reservation", || json!(33_554_432), "memory.low", "33554432"),
    ("cpu/shares", || json!(1024), "cpu.weight", "100"),
    ("cpu/shares", || json!(2), "cpu.weight", "1"),
    ("cpu/shares", || json!(262_144), "cpu.weight", "10000"),
    ("cpu/quota", || json!(50_000), "cpu.max", "50000 100000"),
    ("cpu/period", || json!(200_000), "cpu.max", "max 200000"),
    ("cpu/idle", || json!(1), "cpu.idle", "1"),
    ("cpu/cpus", || json!("0"), "cpuset.cpus", "0"),
    ("cpu/mems", || json!("0"), "cpuset.mems", "0"),
    ("pids/limit", || json!(77), "pids.max", "77"),
    ("pids/limit", || json!(-1), "pids.max", "max"),
    ("unified", || json!({ "memory.high": "16777216" }), "memory.high", "16777216"),
    ("unified", || json!({ "pids.max": "9", "cpu.weight": "55" }), "cpu.weight", "55"),
];

pub fn add(mut suite: Suite) -> Suite {
    for (property, value, file, says) in ROWS {
        let name = format!("limits: {property} {} is {says} in {file}", value());
        suite = suite.vm(name, move || arrives(property, value(), file, says)).needs(&["busybox"]);
    }
    suite
        .vm("limits: swap is what is beyond the memory", swap)
        .needs(&["busybox"])
        .vm("limits: the last word is that of unified", unified_last)
        .needs(&["busybox"])
        .vm("limits: the group is where cgroupsPath says, and goes with the container", path)
        .needs(&["busybox"])
        .vm("limits: a group that is taken is refused", taken)
        .needs(&["busybox"])
        .vm("limits: a value that the kernel does not take is told with its property", not_taken)
        .needs(&["busybox"])
        .vm("limits: a device without a rule cannot be opened", devices)
        .needs(&["busybox"])
        .root("limits: on a host of cgroup v1 a limit is refused with the reason", on_v1)
        .needs(&["busybox"])
}

/// A world whose container sees its own group.
fn world(script: &str) -> Outcome<World> {
    let mut world = World::new()?;
    world.set("/process/args", json!(["sh", "-c", script]));
    world.namespace("cgroup", Some(json!({ "type": "cgroup" })));
    world.mount(json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] }));
    Ok(world)
}

fn says(world: &World, text: &str) -> Outcome {
    let done = world.run(Cooper)?.code(0)?;
    if done.text() == text { Ok(()) } else { Err(format!("{:?} is not {text:?}", done.text()).into()) }
}

fn arrives(property: &str, value: Value, file: &str, text: &str) -> Outcome {
    let mut world = world(&format!("cat /sys/fs/cgroup/{file}"))?;
    world.set(&format!("/linux/resources/{property}"), value);
    says(&world, text)
}

fn swap() -> Outcome {
    let mut world = world("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory.swap.max")?;
    world.set("/linux/resources/memory", json!({ "limit": 33_554_432, "swap": 50_331_648 }));
    says(&world, "33554432\n16777216")
}

fn unified_last() -> Outcome {
    let mut world = world("cat /sys/fs/cgroup/pids.max")?;
    world.set("/linux/resources/pids/limit", json!(5));
    world.set("/linux/resources/unified", json!({ "pids.max": "6" }));
    says(&world, "6")
}

fn path() -> Outcome {
    let mut world = world("cat /sys/fs/cgroup/cgroup.procs | head -n 1; sleep 0.3")?;
    world.set("/linux/cgroupsPath", json!("/oci-test/deep/case"));
    let group = Path::new("/sys/fs/cgroup/oci-test/deep/case");
    let state = world.sandbox.path().join("state").display().to_string();
    world.write()?;
    let bundle = world.bundle().display().to_string();
    world.command(Cooper, &["create", "--bundle", &bundle, "case"]).run()?.ok()?;
    assert!(group.is_dir(), "{} with state in {state}", group.display());
    assert_eq!(fs::read_to_string(group.join("cgroup.procs"))?.lines().count(), 1);
    world.command(Cooper, &["delete", "--force", "case"]).run()?.ok()?;
    assert!(!group.exists());
    // The groups above are nobody's that it knows of; here they were made for it.
    let _ = fs::remove_dir("/sys/fs/cgroup/oci-test/deep");
    let _ = fs::remove_dir("/sys/fs/cgroup/oci-test");
    Ok(())
}

fn taken() -> Outcome {
    let mut world = world("true")?;
    let group = Path::new("/sys/fs/cgroup/oci-taken");
    fs::create_dir(group)?;
    let mut sleep = std::process::Command::new("sleep").arg("60").spawn()?;
    let outcome = fs::write(group.join("cgroup.procs"), sleep.id().to_string()).map_err(Into::into).and_then(|()| {
        world.set("/linux/cgroupsPath", json!("/oci-taken"));
        world.run(Cooper)?.fails()?.stderr_has("is not empty").map(drop)
    });
    let still_there = sleep.try_wait()?.is_none();
    sleep.kill()?;
    sleep.wait()?;
    fs::remove_dir(group)?;
    assert!(still_there, "a process of somebody else's group was killed");
    outcome
}

fn not_taken() -> Outcome {
    let mut world = world("true")?;
    world.set("/linux/resources/unified", json!({ "memory.high": "much" }));
    world.run(Cooper)?.fails()?.stderr_has("unified[")?.stderr_has("EINVAL")?;
    Ok(())
}

fn devices() -> Outcome {
    let mut world = world("(: < /dev/mine) 2>&1; head -c 1 /dev/zero | wc -c")?;
    world.set("/linux/resources/devices", json!([{ "allow": false, "access": "rwm" }]));
    world.set(
        "/linux/devices",
        json!([{ "path": "/dev/mine", "type": "c", "major": 240, "minor": 7, "fileMode": 0o666 }]),
    );
    says(&world, "sh: can't open /dev/mine: Operation not permitted\n1")
}

fn on_v1() -> Outcome {
    if has_cgroup_v2() {
        return Ok(()); // here it would be honoured
    }
    let mut world = world("true")?;
    world.set("/linux/resources/pids/limit", json!(5));
    world.run(Cooper)?.fails()?.stderr_has("linux.resources.pids.limit")?.stderr_has("cgroup")?;
    Ok(())
}
