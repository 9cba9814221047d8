//! A container of an ordinary user: one id in a user namespace, no nodes, no groups to make, and still a container.

use std::os::unix::fs::MetadataExt;

use harness::{Outcome, Suite};
use serde_json::json;

use crate::world::{Cooper, World};

type Test = (&'static str, fn() -> Outcome);

const TESTS: [Test; 6] = [
    ("an ordinary user is root inside, and nobody else", one_id),
    ("an ordinary user's /dev is the host's nodes", devices),
    ("an ordinary user's /sys, with the host's network", sys),
    ("an ordinary user's mounts and paths", mounts),
    ("an ordinary user's limit is refused with the reason", limit),
    ("an ordinary user's hooks", hooks),
];

pub fn add(mut suite: Suite) -> Suite {
    for (name, test) in TESTS {
        suite = suite.user(name, test).needs(&["busybox", "userns"]);
    }
    suite
}

/// The bundle that `spec --rootless` would write, in short.
fn world(script: &str) -> Outcome<World> {
    let mut world = World::ordinary()?;
    // Whoever the sandbox is for owns what lies in it.
    let owner = std::fs::metadata(world.sandbox.path())?;
    let (uid, gid) = (owner.uid(), owner.gid());
    world.set("/process/args", json!(["sh", "-c", script]));
    world.namespace("user", Some(json!({ "type": "user" })));
    world.set("/linux/uidMappings", json!([{ "containerID": 0, "hostID": uid, "size": 1 }]));
    world.set("/linux/gidMappings", json!([{ "containerID": 0, "hostID": gid, "size": 1 }]));
    // Group 5 is not to be had.
    world.set("/mounts/2/options", json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]));
    Ok(world)
}

fn says(world: &World, text: &str) -> Outcome {
    let done = world.run(Cooper)?.code(0)?;
    if done.text() == text { Ok(()) } else { Err(format!("{:?} is not {text:?}\n{}", done.text(), done.stderr).into()) }
}

fn one_id() -> Outcome {
    let world = world(
        "id -u; id -g; awk '{print $1, $3}' /proc/self/uid_map; cat /proc/self/setgroups; hostname; echo $$; touch /x && stat -c %u /x",
    )?;
    says(&world, "0\n0\n0 1\ndeny\ncase\n1\n0")
}

fn devices() -> Outcome {
    let world = world(
        "echo x > /dev/null; head -c 2 /dev/zero | wc -c; stat -c %t:%T /dev/full /dev/tty; readlink /dev/stdin",
    )?;
    says(&world, "2\n1:7\n5:0\n/proc/self/fd/0")
}

fn sys() -> Outcome {
    let mut world = world(
        "awk '$5 == \"/sys\" {print substr($6, 1, 2), $(NF-2)}' /proc/self/mountinfo; test -d /sys/class/net/lo && echo lo",
    )?;
    world.namespace("network", None);
    says(&world, "ro sysfs\nlo")
}

fn mounts() -> Outcome {
    let mut world = world(
        "cat /data/file; (echo x > /data/file) 2>/dev/null || echo closed; cat /proc/timer_list | wc -c; (echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo closed",
    )?;
    let source = world.sandbox.file("source/file", "content\n")?;
    world.mount(json!({ "destination": "/data", "source": source.parent(), "options": ["rbind", "ro", "rw", "ro"] }));
    world.set("/linux/maskedPaths", json!(["/proc/timer_list", "/proc/kcore"]));
    world.set("/linux/readonlyPaths", json!(["/proc/sys"]));
    says(&world, "content\nclosed\n0\nclosed")
}

fn limit() -> Outcome {
    if harness::has_cgroup_v2() {
        return Ok(()); // a delegated group may well honour it
    }
    let mut world = world("true")?;
    world.set("/linux/resources/pids/limit", json!(5));
    world.run(Cooper)?.fails()?.stderr_has("cgroup")?;
    Ok(())
}

fn hooks() -> Outcome {
    let mut world = world("cat /hooked")?;
    let place = world.root("hooked").display().to_string();
    let hook =
        json!({ "path": "/bin/sh", "args": ["sh", "-c", format!("cat > {place}")], "env": ["PATH=/bin:/usr/bin"] });
    world.set("/hooks/createRuntime", json!([hook]));
    let done = world.run(Cooper)?.code(0)?;
    let told: serde_json::Value = serde_json::from_str(&done.stdout)?;
    assert_eq!((&told["id"], &told["status"]), (&json!("case"), &json!("creating")), "{told}");
    Ok(())
}
