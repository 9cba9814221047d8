//! `mounts`: every option, every kind, and every place.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::world::{BOTH, CRUN, Case, NOBODY, RUNC, Who, case};

/// Option, the mount's own options afterwards, those of its file system.
const OPTIONS: [(&str, &str, &str, &[Who]); 20] = [
    ("defaults", "rw,relatime", "rw", CRUN),
    ("nosuid", "rw,nosuid,relatime", "rw", BOTH),
    ("nodev", "rw,nodev,relatime", "rw", BOTH),
    ("noexec", "rw,noexec,relatime", "rw", BOTH),
    ("ro", "ro,relatime", "rw", NOBODY),
    ("ro,rw", "rw,relatime", "rw", RUNC),
    ("nosuid,suid,nodev,dev,noexec,exec", "rw,relatime", "rw", RUNC),
    ("noatime", "rw,noatime", "rw", BOTH),
    ("noatime,atime", "rw,relatime", "rw", RUNC),
    ("relatime", "rw,relatime", "rw", BOTH),
    ("strictatime", "rw", "rw", BOTH),
    ("strictatime,nostrictatime", "rw,relatime", "rw", RUNC),
    ("nodiratime", "rw,nodiratime,relatime", "rw", BOTH),
    ("nodiratime,diratime,norelatime", "rw,relatime", "rw", RUNC),
    ("sync", "rw,relatime", "rw,sync", BOTH),
    ("sync,async", "rw,relatime", "rw", RUNC),
    ("dirsync", "rw,relatime", "rw,dirsync", BOTH),
    ("lazytime", "rw,relatime", "rw,lazytime", NOBODY),
    ("nosymfollow", "rw,relatime,nosymfollow", "rw", NOBODY),
    ("silent,loud,nomand,nolazytime,noiversion,noacl,symfollow", "rw,relatime", "rw", NOBODY),
];

/// The recursive attributes: option, what the mount and the one below it have then.
const RECURSIVE: [(&str, &str); 8] = [
    ("rro", "ro,relatime ro,relatime"),
    ("rnosuid", "rw,nosuid,relatime rw,nosuid,relatime"),
    ("rnodev", "rw,nodev,relatime rw,nodev,relatime"),
    ("rnoexec", "rw,noexec,relatime rw,noexec,relatime"),
    ("rnoatime", "rw,noatime rw,noatime"),
    ("rstrictatime", "rw rw"),
    ("rnodiratime", "rw,nodiratime,relatime rw,nodiratime,relatime"),
    ("rnoexec,rro,rrw,rexec", "rw,relatime rw,relatime"),
];

/// Prints the options of the mount at a place, and those of its file system without its size.
fn show(place: &str) -> String {
    format!("awk '$5 == \"{place}\" {{ sub(/,size=.*/, \"\", $NF); print $6, $NF }}' /proc/self/mountinfo")
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (words, own, below, like) in OPTIONS {
        cases.push(case(
            format!("a tmpfs, {words}"),
            move |world| {
                let options: Vec<_> = words.split(',').chain(["size=64k", "mode=755"]).collect();
                world.mount(json!({ "destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": options }));
                Ok(())
            },
            show("/x"),
            format!("{own} {below}"),
            like,
        ));
        // sync and the like belong to the file system, which a bind mount shares.
        if below == "rw" {
            cases.push(case(
                format!("a bind mount, {words}"),
                move |world| {
                    let source = world.sandbox.dir("source")?;
                    world.host_mount(&["-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs"], &source)?;
                    let options: Vec<_> = words.split(',').chain(["bind"]).collect();
                    world.mount(json!({ "destination": "/x", "source": source, "options": options }));
                    Ok(())
                },
                show("/x"),
                format!("{own} rw"),
                if words == "ro" { BOTH } else { NOBODY },
            ));
        }
    }
    for (words, both) in RECURSIVE {
        cases.push(case(
            format!("a tree, {words}"),
            move |world| {
                let source = world.sandbox.dir("source")?;
                for place in [source.clone(), source.join("below")] {
                    fs::create_dir_all(&place)?;
                    world.host_mount(&["-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs"], &place)?;
                }
                let options: Vec<_> = words.split(',').chain(["rbind"]).collect();
                world.mount(json!({ "destination": "/x", "source": source, "options": options }));
                Ok(())
            },
            "awk '$5 ~ \"^/x\" { print $6 }' /proc/self/mountinfo | tr '\\n' ' '",
            both,
            if words.starts_with("rro") { CRUN } else { NOBODY },
        ));
    }
    cases.extend(propagation());
    cases.extend(kinds());
    cases.extend(binds());
    cases
}

/// A tmpfs of each propagation type; the root of each.
fn propagation() -> Vec<Case> {
    let tags = |place: &str| {
        format!(
            "awk '$5 == \"{place}\" {{ for (i = 7; $i != \"-\"; i++) printf \"%s \", $i; print \"end\" }}' /proc/self/mountinfo | sed 's/[0-9][0-9]*/N/g'"
        )
    };
    let mut cases = Vec::new();
    for (word, shown, like) in [
        ("private", "end", BOTH),
        ("rprivate", "end", BOTH),
        ("shared", "shared:N end", RUNC),
        ("rshared", "shared:N end", RUNC),
        ("slave", "end", BOTH),
        ("unbindable", "unbindable end", RUNC),
        ("runbindable", "unbindable end", RUNC),
    ] {
        cases.push(case(
            format!("a tmpfs, {word}"),
            move |world| {
                world.mount(json!({ "destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": [word] }));
                Ok(())
            },
            tags("/x"),
            shown,
            like,
        ));
    }
    // The mount that the root lies on is parted from the host's before the root is bound: it is shared with nobody.
    for (word, shown) in
        [("", "master:N end"), ("rslave", "master:N end"), ("rprivate", "end"), ("rshared", "end"), ("shared", "end")]
    {
        cases.push(case(
            format!("rootfsPropagation {word:?}"),
            move |world| {
                let bundle = world.bundle();
                world.host_mount(&["--bind", &bundle.to_string_lossy()], &bundle)?;
                world.sandbox.program("mount").arg("--make-shared").arg(&bundle).run()?.ok()?;
                if !word.is_empty() {
                    world.set("/linux/rootfsPropagation", json!(word));
                }
                Ok(())
            },
            tags("/"),
            shown,
            RUNC,
        ));
    }
    cases.push(case(
        "a host's mount comes in through rslave",
        |world| {
            let source = world.sandbox.dir("source")?;
            world.host_mount(&["--bind", &source.to_string_lossy()], &source)?;
            world.sandbox.program("mount").arg("--make-shared").arg(&source).run()?.ok()?;
            world.mount(json!({ "destination": "/x", "source": source, "options": ["rbind", "rslave"] }));
            Ok(())
        },
        tags("/x"),
        "master:N end",
        RUNC,
    ));
    cases.push(case(
        "a container's mount goes out through rshared",
        |world| {
            let source = world.sandbox.dir("source")?;
            world.host_mount(&["--bind", &source.to_string_lossy()], &source)?;
            world.sandbox.program("mount").arg("--make-shared").arg(&source).run()?.ok()?;
            world.set("/linux/rootfsPropagation", json!("rshared"));
            world.mount(json!({ "destination": "/x", "source": source, "options": ["rbind", "rshared"] }));
            let table = fs::read_to_string("/proc/self/mountinfo")?;
            let line = table.lines().find(|line| line.split(' ').nth(4) == source.to_str()).ok_or("not mounted")?;
            let group = line.split(' ').find(|word| word.starts_with("shared:")).ok_or("not shared")?;
            let env = world.config["process"]["env"].as_array_mut().ok_or("env")?;
            env.push(json!(format!("GROUP={group}")));
            Ok(())
        },
        "grep ' /x ' /proc/self/mountinfo | grep -q \" $GROUP \" && echo one group",
        "one group",
        RUNC,
    ));
    cases
}

fn kinds() -> Vec<Case> {
    vec![
        case(
            "proc, sysfs, devpts and mqueue",
            |_| Ok(()),
            "awk '{print $5, $(NF-2)}' /proc/self/mountinfo | grep -E '^/(proc|sys|dev/pts|dev/mqueue) '",
            "/proc proc\n/dev/pts devpts\n/dev/mqueue mqueue\n/sys sysfs",
            BOTH,
        ),
        case(
            "tmpfs: mode, size and owner",
            |world| {
                world.mount(json!({ "destination": "/x", "type": "tmpfs", "source": "mine", "options": ["mode=710", "size=128k", "uid=7", "gid=8"] }));
                Ok(())
            },
            "stat -c '%a %u %g' /x; awk '$5 == \"/x\" {print $(NF-1), $NF}' /proc/self/mountinfo | tr ',' '\\n' | grep -E 'mine|size'",
            "710 7 8\nmine rw\nsize=128k",
            BOTH,
        ),
        case(
            "tmpfs keeps the mode of the directory below",
            |world| {
                fs::create_dir(world.root("x"))?;
                fs::set_permissions(world.root("x"), std::os::unix::fs::PermissionsExt::from_mode(0o705))?;
                world.mount(json!({ "destination": "/x", "type": "tmpfs", "source": "tmpfs" }));
                Ok(())
            },
            "stat -c %a /x",
            "705",
            RUNC,
        ),
        case(
            "tmpcopyup",
            |world| {
                world.file("x/deep/file", "kept")?;
                symlink("deep/file", world.root("x/link"))?;
                std::os::unix::fs::chown(world.root("x/deep/file"), Some(7), Some(8))?;
                fs::set_permissions(world.root("x/deep"), std::os::unix::fs::PermissionsExt::from_mode(0o751))?;
                world.mount(json!({ "destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "mode=755"] }));
                Ok(())
            },
            "cat /x/link; stat -c '%u %g' /x/deep/file; stat -c %a /x/deep; awk '$5 == \"/x\" {print $(NF-2)}' /proc/self/mountinfo",
            "kept7 8\n751\ntmpfs",
            BOTH,
        ),
        case(
            "overlay",
            |world| {
                for (dir, name) in [("l1", "one"), ("l2", "two")] {
                    world.sandbox.file(&format!("{dir}/{name}"), dir)?;
                }
                let top = world.sandbox.dir("top")?;
                world.host_mount(&["-t", "tmpfs", "tmpfs"], &top)?;
                fs::create_dir(top.join("upper"))?;
                fs::create_dir(top.join("work"))?;
                let dir = |name: &str| world.sandbox.path().join(name).display().to_string();
                let options = [
                    format!("lowerdir={}:{}", dir("l1"), dir("l2")),
                    format!("upperdir={}", dir("top/upper")),
                    format!("workdir={}", dir("top/work")),
                ];
                world.mount(json!({ "destination": "/x", "type": "overlay", "source": "overlay", "options": options }));
                Ok(())
            },
            "cat /x/one /x/two; touch /x/three && echo; ls /x",
            "l1l2\none\nthree\ntwo",
            BOTH,
        ),
        case(
            "cgroup",
            |world| {
                world.namespace("cgroup", Some(json!({ "type": "cgroup" })));
                world.mount(json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] }));
                Ok(())
            },
            "grep ^0:: /proc/self/cgroup; awk '$5 == \"/sys/fs/cgroup\" {print $4, $6, $(NF-2)}' /proc/self/mountinfo; cat /sys/fs/cgroup/cgroup.procs | head -n 1",
            "0::/\n/ ro,nosuid,nodev,noexec,relatime cgroup2\n1",
            NOBODY,
        ),
        case(
            "cgroup without a namespace for it",
            |world| {
                world.mount(
                    json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] }),
                );
                Ok(())
            },
            "awk '$5 == \"/sys/fs/cgroup\" {print $6, $(NF-2)}' /proc/self/mountinfo | sed 's/.*cgroup2/cgroup2/'; ls /sys/fs/cgroup/cgroup.procs",
            "cgroup2\n/sys/fs/cgroup/cgroup.procs",
            NOBODY,
        ),
    ]
}

fn binds() -> Vec<Case> {
    vec![
        case(
            "a file on a file that is not there",
            |world| {
                let source = world.sandbox.file("source", "content")?;
                world.mount(
                    json!({ "destination": "/new/file", "type": "bind", "source": source, "options": ["bind"] }),
                );
                Ok(())
            },
            "cat /new/file; test -f /new/file && echo",
            "content",
            BOTH,
        ),
        case(
            "bind: what is mounted below stays out",
            |world| {
                let source = world.sandbox.dir("source")?;
                fs::create_dir(source.join("below"))?;
                world.host_mount(&["-t", "tmpfs", "tmpfs"], &source.join("below"))?;
                fs::write(source.join("below/file"), "")?;
                world.mount(json!({ "destination": "/x", "source": source, "options": ["bind"] }));
                Ok(())
            },
            "ls /x/below; grep -c ' /x' /proc/self/mountinfo",
            "1",
            BOTH,
        ),
        case(
            "rbind: what is mounted below comes along",
            |world| {
                let source = world.sandbox.dir("source")?;
                fs::create_dir(source.join("below"))?;
                world.host_mount(&["-t", "tmpfs", "tmpfs"], &source.join("below"))?;
                fs::write(source.join("below/file"), "")?;
                world.mount(json!({ "destination": "/x", "source": source, "options": ["rbind", "rprivate"] }));
                Ok(())
            },
            "ls /x/below; grep -c ' /x' /proc/self/mountinfo",
            "file\n2",
            BOTH,
        ),
        case(
            "a source relative to the bundle",
            |world| {
                world.sandbox.file("b/data/file", "content")?;
                world.mount(json!({ "destination": "/x", "source": "data", "options": ["bind"] }));
                Ok(())
            },
            "cat /x/file",
            "content",
            RUNC,
        ),
        case(
            "a destination that is not absolute",
            |world| {
                world.mount(json!({ "destination": "x/y", "type": "tmpfs", "source": "tmpfs" }));
                Ok(())
            },
            "awk '$5 == \"/x/y\" {print $(NF-2)}' /proc/self/mountinfo",
            "tmpfs",
            NOBODY,
        ),
        case(
            "a read-only bind mount of a file",
            |world| {
                let source = world.sandbox.file("source", "content")?;
                world.mount(json!({ "destination": "/file", "source": source, "options": ["bind", "ro", "nosuid", "nodev", "noexec"] }));
                Ok(())
            },
            "cat /file; echo; echo x 2>&1 > /file; awk '$5 == \"/file\" {print $6}' /proc/self/mountinfo",
            "content\nsh: can't create /file: Read-only file system\nro,nosuid,nodev,noexec,relatime",
            BOTH,
        ),
        case(
            "mapped ids",
            |world| {
                let source = world.sandbox.dir("source")?;
                world.host_mount(&["-t", "tmpfs", "tmpfs"], &source)?;
                fs::write(source.join("file"), "")?;
                std::os::unix::fs::chown(source.join("file"), Some(5), Some(6))?;
                let map = |to: u32| json!([{ "containerID": 0, "hostID": to, "size": 100 }]);
                world.mount(json!({ "destination": "/x", "source": source, "options": ["bind", "idmap"], "uidMappings": map(1000), "gidMappings": map(2000) }));
                Ok(())
            },
            "stat -c '%u %g' /x/file",
            "1005 2006",
            NOBODY,
        ),
        case(
            "mapped ids in a user namespace",
            |world| {
                crate::namespaces::new_user(world)?;
                let source = world.sandbox.dir("source")?;
                world.host_mount(&["-t", "tmpfs", "tmpfs"], &source)?;
                fs::write(source.join("file"), "")?;
                std::os::unix::fs::chown(source.join("file"), Some(5), Some(6))?;
                world.mount(json!({ "destination": "/x", "source": source, "options": ["rbind", "ridmap"] }));
                Ok(())
            },
            "stat -c '%u %g' /x/file",
            "5 6",
            NOBODY,
        ),
    ]
}
