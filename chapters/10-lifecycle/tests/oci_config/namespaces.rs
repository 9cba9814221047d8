//! `linux.namespaces`, names, clocks, sysctls and identity maps.

use std::fs;

use harness::Outcome;
use serde_json::json;

use crate::world::{BOTH, CRUN, Case, NOBODY, RUNC, Who, World, case};

/// Type in config.json, name in /proc/PID/ns, the option of unshare(1).
const KINDS: [(&str, &str, &str); 5] = [
    ("network", "net", "--net"),
    ("ipc", "ipc", "--ipc"),
    ("uts", "uts", "--uts"),
    ("cgroup", "cgroup", "--cgroup"),
    ("time", "time", "--time"),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, name, option) in KINDS {
        let like: &[Who] = if kind == "time" { NOBODY } else { BOTH };
        cases.push(case(
            format!("a new {kind} namespace"),
            move |world| {
                world.namespace(kind, Some(json!({ "type": kind })));
                compare_with(world, &format!("/proc/self/ns/{name}"))
            },
            format!("test $(readlink /proc/self/ns/{name}) = $OTHER && echo same || echo another"),
            "another",
            like,
        ));
        cases.push(case(
            format!("no {kind} namespace"),
            move |world| {
                world.namespace(kind, None);
                if kind == "uts" {
                    world.config.as_object_mut().expect("an object").remove("hostname");
                }
                if kind == "network" {
                    sys_from_host(world); // a sysfs of its own needs a network namespace of its own
                }
                compare_with(world, &format!("/proc/self/ns/{name}"))
            },
            format!("test $(readlink /proc/self/ns/{name}) = $OTHER && echo same || echo another"),
            "same",
            like,
        ));
        cases.push(case(
            format!("a {kind} namespace by path"),
            move |world| {
                let words: Vec<_> = if kind == "time" { vec![option, "--fork", "--kill-child"] } else { vec![option] };
                let pid = world.hold(&words)?;
                let pid = if kind == "time" { child_of(pid)? } else { pid };
                let path = format!("/proc/{pid}/ns/{name}");
                world.namespace(kind, Some(json!({ "type": kind, "path": path })));
                compare_with(world, &path)
            },
            format!("test $(readlink /proc/self/ns/{name}) = $OTHER && echo same || echo another"),
            "same",
            like,
        ));
    }
    cases.extend(others());
    cases.extend(users());
    cases
}

fn others() -> Vec<Case> {
    vec![
        case("a new pid namespace", |_| Ok(()), "echo $$", "1", BOTH),
        case(
            "no pid namespace",
            |world| {
                world.namespace("pid", None);
                compare_with(world, "/proc/self/ns/pid")
            },
            "test $(readlink /proc/self/ns/pid) = $OTHER && echo same || echo another",
            "same",
            BOTH,
        ),
        case(
            "a pid namespace by path",
            |world| {
                let holder = world.hold(&["--pid", "--fork", "--kill-child"])?;
                let path = format!("/proc/{}/ns/pid", child_of(holder)?);
                world.namespace("pid", Some(json!({ "type": "pid", "path": path })));
                compare_with(world, &path)
            },
            "test $(readlink /proc/self/ns/pid) = $OTHER && echo same || echo another; test $$ -gt 1 && echo second",
            "same\nsecond",
            BOTH,
        ),
        case("hostname", |_| Ok(()), "hostname", "case", BOTH),
        case(
            "hostname in a joined uts namespace",
            |world| {
                let path = format!("/proc/{}/ns/uts", world.hold(&["--uts"])?);
                world.namespace("uts", Some(json!({ "type": "uts", "path": path })));
                Ok(())
            },
            "hostname",
            "case",
            BOTH,
        ),
        case(
            "domainname",
            |world| {
                world.set("/domainname", json!("example.org"));
                Ok(())
            },
            "cat /proc/sys/kernel/domainname",
            "example.org",
            CRUN,
        ),
        case(
            "timeOffsets",
            |world| {
                world.namespace("time", Some(json!({ "type": "time" })));
                world.set(
                    "/linux/timeOffsets",
                    json!({ "boottime": { "secs": 1000, "nanosecs": 7 }, "monotonic": { "secs": 200 } }),
                );
                Ok(())
            },
            "awk '{print $1, $2, $3}' /proc/self/timens_offsets",
            "monotonic 200 0\nboottime 1000 7",
            NOBODY,
        ),
        case(
            "sysctls of the namespaces",
            |world| {
                world.set(
                    "/linux/sysctl",
                    json!({ "net.core.somaxconn": "77", "kernel.shmmax": "12345678", "fs.mqueue.msg_max": "7" }),
                );
                Ok(())
            },
            "cd /proc/sys; cat net/core/somaxconn kernel/shmmax fs/mqueue/msg_max",
            "77\n12345678\n7",
            BOTH,
        ),
        case(
            "an ipv6 sysctl with slashes",
            |world| {
                world.set("/linux/sysctl", json!({ "net/ipv4/ip_forward": "1" }));
                Ok(())
            },
            "cat /proc/sys/net/ipv4/ip_forward",
            "1",
            RUNC,
        ),
        case(
            "a mount namespace by path",
            |world| {
                let pid = world.hold(&["--mount"])?;
                let path = format!("/proc/{pid}/ns/mnt");
                world.namespace("mount", Some(json!({ "type": "mount", "path": path })));
                compare_with(world, &path)
            },
            "test $(readlink /proc/self/ns/mnt) = $OTHER && echo same || echo another",
            "same",
            NOBODY,
        ),
    ]
}

/// Cases with a user namespace: the root must belong to whom the map makes root.
fn users() -> Vec<Case> {
    vec![
        case(
            "a user namespace with maps",
            new_user,
            "id -u; awk '{print $1, $2, $3}' /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups",
            "0\n0 100000 1000\n0 200000 1000\nallow",
            BOTH,
        ),
        case(
            "a user namespace with maps of several lines",
            |world| {
                new_user(world)?;
                world.set("/linux/uidMappings", json!([{ "containerID": 0, "hostID": 100_000, "size": 10 }, { "containerID": 10, "hostID": 150_000, "size": 5 }]));
                world.set("/process/user", json!({ "uid": 12, "gid": 3, "additionalGids": [4] }));
                Ok(())
            },
            "id -u; id -g; grep Groups: /proc/self/status | cut -f2 | tr -d ' '; awk '{print $1, $2, $3}' /proc/self/uid_map",
            "12\n3\n4\n0 100000 10\n10 150000 5",
            BOTH,
        ),
        case(
            "what is made in a user namespace belongs to the map",
            |world| {
                new_user(world)?;
                world.sandbox.dir("out")?;
                std::os::unix::fs::chown(world.sandbox.path().join("out"), Some(100_000), Some(200_000))?;
                let source = world.sandbox.path().join("out");
                world.mount(json!({ "destination": "/out", "source": source, "options": ["rbind"] }));
                Ok(())
            },
            "touch /out/x && stat -c '%u %g' /out/x",
            "0 0",
            BOTH,
        ),
        case(
            "a bind source that the mapped root could not reach",
            |world| {
                new_user(world)?;
                world.sandbox.file("closed/inner/file", "reached")?;
                fs::set_permissions(
                    world.sandbox.path().join("closed"),
                    std::os::unix::fs::PermissionsExt::from_mode(0o700),
                )?;
                std::os::unix::fs::chown(world.sandbox.path().join("closed"), Some(4242), Some(4242))?;
                let source = world.sandbox.path().join("closed/inner/file");
                world.mount(json!({ "destination": "/file", "source": source, "options": ["bind", "ro"] }));
                Ok(())
            },
            "cat /file",
            "reached",
            RUNC,
        ),
        case(
            "devices in a user namespace",
            new_user,
            "echo x > /dev/null && head -c 1 /dev/zero | wc -c; ls -l /dev/full | cut -c1-10",
            "1\ncrw-rw-rw-",
            BOTH,
        ),
        case(
            "a user namespace by path",
            |world| {
                new_user(world)?;
                let path = joined_user(world)?;
                compare_with(world, &path)
            },
            "test $(readlink /proc/self/ns/user) = $OTHER && echo same; id -u; echo $$; awk '{print $1, $2, $3}' /proc/self/uid_map; touch /x && stat -c %u /x; awk '$5 == \"/proc\" {print $(NF-2)}' /proc/self/mountinfo",
            "same\n0\n1\n0 100000 1000\n0\nproc",
            CRUN,
        ),
        case(
            "a pod: user, network, ipc and uts by path, pid and mounts new",
            |world| {
                new_user(world)?;
                let path = joined_user(world)?;
                let of = |name: &str| path.replace("user", name);
                for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
                    world.namespace(kind, Some(json!({ "type": kind, "path": of(name) })));
                }
                compare_with(world, &of("net"))
            },
            "test $(readlink /proc/self/ns/net) = $OTHER && echo same; id -u; echo $$; hostname; awk '$5 == \"/sys\" {print $(NF-2)}' /proc/self/mountinfo",
            "same\n0\n1\ncase\nsysfs",
            CRUN,
        ),
        case(
            "a user namespace, and one by path that is another's",
            |world| {
                new_user(world)?;
                let path = format!("/proc/{}/ns/net", world.hold(&["--net"])?);
                world.namespace("network", Some(json!({ "type": "network", "path": path })));
                sys_from_host(world);
                compare_with(world, &path)
            },
            "test $(readlink /proc/self/ns/net) = $OTHER && echo same || echo another",
            "same",
            BOTH,
        ),
    ]
}

/// A new user namespace, and a root for it.
pub fn new_user(world: &mut World) -> Outcome {
    world.namespace("user", Some(json!({ "type": "user" })));
    world.set("/linux/uidMappings", json!([{ "containerID": 0, "hostID": 100_000, "size": 1000 }]));
    world.set("/linux/gidMappings", json!([{ "containerID": 0, "hostID": 200_000, "size": 1000 }]));
    let root = world.root("");
    world.sandbox.program("chown").args(["-R", "100000:200000"]).arg(root).run()?.ok()?;
    Ok(())
}

/// A process in the user namespace that [`new_user`] describes, and in others that belong to it.
fn joined_user(world: &mut World) -> Outcome<String> {
    let pid = world.hold(&["--user", "--net", "--ipc", "--uts"])?;
    fs::write(format!("/proc/{pid}/uid_map"), "0 100000 1000")?;
    fs::write(format!("/proc/{pid}/gid_map"), "0 200000 1000")?;
    let path = format!("/proc/{pid}/ns/user");
    let linux = world.config["linux"].as_object_mut().ok_or("linux")?;
    linux.remove("uidMappings");
    linux.remove("gidMappings");
    world.namespace("user", Some(json!({ "type": "user", "path": path })));
    Ok(path)
}

/// Puts what the link `path` says on the host into the container's environment.
fn compare_with(world: &mut World, path: &str) -> Outcome {
    let link = fs::read_link(path)?;
    let env = world.config["process"]["env"].as_array_mut().ok_or("env")?;
    env.push(json!(format!("OTHER={}", link.display())));
    Ok(())
}

fn sys_from_host(world: &mut World) {
    let mounts = world.config["mounts"].as_array_mut().expect("a list");
    mounts.retain(|mount| mount["destination"] != "/sys");
    world.mount(json!({ "destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"] }));
}

/// unshare --fork stays outside; its child is inside.
fn child_of(pid: i32) -> Outcome<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children.split_whitespace().next().ok_or("it has no child")?.parse()?)
}
