//! What is refused: with the property, the reason and the way out, before anything is made.

use std::os::unix::fs::symlink;

use harness::{Outcome, Suite};
use serde_json::{Value, json};

use crate::world::{Cooper, World};

type Row = (&'static str, fn(&mut World) -> Outcome, &'static str);

const ROWS: [Row; 30] = [
    ("no root", |world| set(world, "/root/path", json!("nowhere")), "does not exist"),
    ("no program", |world| set(world, "/process/args", json!([])), "process.args"),
    (
        "a program that is not there",
        |world| set(world, "/process/args", json!(["/no/such"])),
        "no such file or directory",
    ),
    (
        "a program that is in no directory of PATH",
        |world| set(world, "/process/args", json!(["nosuch"])),
        "executable file not found in $PATH",
    ),
    (
        "a program that nobody may execute",
        |world| {
            world.file("etc/plain", "")?;
            set(world, "/process/args", json!(["/etc/plain"]))
        },
        "permission denied",
    ),
    ("a relative cwd", |world| set(world, "/process/cwd", json!("here")), "process.cwd"),
    ("a variable without a value", |world| set(world, "/process/env", json!(["X"])), "missing '='"),
    (
        "a rlimit twice",
        |world| {
            set(
                world,
                "/process/rlimits",
                json!([{ "type": "RLIMIT_CPU", "soft": 1, "hard": 1 }, { "type": "RLIMIT_CPU", "soft": 1, "hard": 1 }]),
            )
        },
        "RLIMIT_CPU",
    ),
    (
        "a rlimit that is none",
        |world| set(world, "/process/rlimits", json!([{ "type": "RLIMIT_FUN", "soft": 1, "hard": 1 }])),
        "RLIMIT_FUN",
    ),
    ("another major version", |world| set(world, "/ociVersion", json!("2.0.0")), "ociVersion"),
    (
        "a kind of namespace that is none",
        |world| {
            world.namespace("x", Some(json!({ "type": "sideways" })));
            Ok(())
        },
        "sideways",
    ),
    (
        "a namespace twice",
        |world| {
            let list = world.config["linux"]["namespaces"].as_array_mut().ok_or("a list")?;
            list.push(json!({ "type": "uts" }));
            Ok(())
        },
        "twice",
    ),
    (
        "a path that is no namespace",
        |world| {
            world.namespace("uts", Some(json!({ "type": "uts", "path": "/etc/passwd" })));
            Ok(())
        },
        "is no namespace",
    ),
    (
        "a namespace of another kind",
        |world| {
            world.namespace("uts", Some(json!({ "type": "uts", "path": "/proc/self/ns/net" })));
            Ok(())
        },
        "is no uts namespace",
    ),
    (
        "a hostname for the host",
        |world| {
            world.namespace("uts", None);
            Ok(())
        },
        "hostname",
    ),
    (
        "a user namespace without maps",
        |world| {
            world.namespace("user", Some(json!({ "type": "user" })));
            Ok(())
        },
        "uidMappings",
    ),
    (
        "a sysctl of the whole machine",
        |world| set(world, "/linux/sysctl", json!({ "kernel.core_pattern": "x" })),
        "kernel.core_pattern",
    ),
    (
        "a sysctl of a network that is not its own",
        |world| {
            world.namespace("network", None);
            set(world, "/linux/sysctl", json!({ "net.core.somaxconn": "7" }))
        },
        "net.core.somaxconn",
    ),
    (
        "a file system that the kernel does not have",
        |world| mount(world, json!({ "destination": "/x", "type": "nosuchfs", "source": "x" })),
        "ENODEV",
    ),
    (
        "an option that the file system does not know",
        |world| mount(world, json!({ "destination": "/x", "type": "tmpfs", "source": "x", "options": ["colour=red"] })),
        "colour=red",
    ),
    (
        "a source that is not there",
        |world| mount(world, json!({ "destination": "/x", "source": "/no/such", "options": ["bind"] })),
        "/no/such",
    ),
    (
        "a directory on a file",
        |world| {
            world.file("file", "")?;
            mount(world, json!({ "destination": "/file", "source": "/etc", "options": ["bind"] }))
        },
        "a directory and the other not",
    ),
    (
        "a mount over a file of /proc",
        |world| mount(world, json!({ "destination": "/proc/version", "source": "/etc/passwd", "options": ["bind"] })),
        "because it is inside /proc",
    ),
    (
        "a mount over a file of /proc through a link",
        |world| {
            symlink("proc", world.root("innocent"))?;
            mount(world, json!({ "destination": "/innocent/self/attr", "type": "tmpfs", "source": "x" }))
        },
        "because it is inside /proc",
    ),
    (
        "a /proc that is none",
        |world| {
            world.config["mounts"][0] = json!({ "destination": "/proc", "type": "tmpfs", "source": "x" });
            Ok(())
        },
        "/proc cannot be a tmpfs",
    ),
    (
        "a /proc that is a link of the image's",
        |world| {
            std::fs::remove_dir(world.root("proc"))?;
            symlink("tmp", world.root("proc"))?;
            Ok(())
        },
        "plain directory",
    ),
    (
        "mounts for the host",
        |world| {
            world.namespace("mount", None);
            Ok(())
        },
        "mount namespace",
    ),
    ("a propagation that is none", |world| set(world, "/linux/rootfsPropagation", json!("sideways")), "sideways"),
    ("caches divided", |world| set(world, "/linux/intelRdt", json!({ "closID": "x" })), "intelRdt"),
    ("links moved in", |world| set(world, "/linux/netDevices", json!({ "eth0": { "name": "eth1" } })), "netDevices"),
];

pub fn add(mut suite: Suite) -> Suite {
    for (name, change, words) in ROWS {
        suite = suite.root(format!("refused: {name}"), move || refused(change, words)).needs(&["busybox"]);
    }
    suite
}

fn refused(change: fn(&mut World) -> Outcome, words: &str) -> Outcome {
    let mut world = World::new()?;
    world.set("/process/args", json!(["true"]));
    change(&mut world)?;
    world.run(Cooper)?.fails()?.stderr_has(words)?;
    // Nothing is left: the name can be taken again.
    let state = world.sandbox.path().join("state/case");
    if state.exists() { Err(format!("{} is left", state.display()).into()) } else { Ok(()) }
}

fn set(world: &mut World, pointer: &str, value: Value) -> Outcome {
    world.set(pointer, value);
    Ok(())
}

fn mount(world: &mut World, mount: Value) -> Outcome {
    world.mount(mount);
    Ok(())
}
