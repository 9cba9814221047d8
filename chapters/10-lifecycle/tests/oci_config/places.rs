//! `mounts[].destination`, `root.readonly`, `linux.maskedPaths` and `linux.readonlyPaths`: where things go in the root.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::world::{BOTH, Case, case};

/// Where mounts go: links of the root count in the root, and the kernel's places are guarded.
pub fn cases() -> Vec<Case> {
    let tmpfs =
        |place: &str| json!({ "destination": place, "type": "tmpfs", "source": "tmpfs", "options": ["size=4k"] });
    vec![
        case(
            "through an absolute link",
            move |world| {
                world.sandbox.dir("b/rootfs/real")?;
                symlink("/real", world.root("link"))?;
                world.mount(tmpfs("/link/x"));
                Ok(())
            },
            "awk '$(NF-2) == \"tmpfs\" {print $5}' /proc/self/mountinfo | grep real",
            "/real/x",
            BOTH,
        ),
        case(
            "through a link that leads far up",
            move |world| {
                symlink("../../../../../../../../etc", world.root("up"))?;
                world.mount(tmpfs("/up/x"));
                Ok(())
            },
            "awk '$(NF-2) == \"tmpfs\" {print $5}' /proc/self/mountinfo | grep etc; ls -d /etc/x",
            "/etc/x\n/etc/x",
            BOTH,
        ),
        case(
            "through a link to what is not there yet",
            |world| {
                symlink("../run/deep/resolv.conf", world.root("etc/resolv.conf"))?;
                let source = world.sandbox.file("source", "nameserver 192.0.2.1\n")?;
                world.mount(json!({ "destination": "/etc/resolv.conf", "source": source, "options": ["bind"] }));
                Ok(())
            },
            "cat /etc/resolv.conf; awk '$5 ~ \"resolv\" {print $5}' /proc/self/mountinfo",
            "nameserver 192.0.2.1\n/run/deep/resolv.conf",
            BOTH,
        ),
        case(
            "over a file of /proc that is commonly replaced",
            |world| {
                let source = world.sandbox.file("source", "MemTotal: 1 kB\n")?;
                world.mount(json!({ "destination": "/proc/meminfo", "source": source, "options": ["bind"] }));
                Ok(())
            },
            "cat /proc/meminfo",
            "MemTotal: 1 kB",
            BOTH,
        ),
        case(
            "a mount on a mount",
            move |world| {
                world.mount(tmpfs("/x"));
                world.mount(tmpfs("/x/y"));
                Ok(())
            },
            "grep -c ' /x' /proc/self/mountinfo",
            "2",
            BOTH,
        ),
        case(
            "the order is that of the list",
            |world| {
                for (dir, text) in [("one", "1"), ("two", "2")] {
                    let source = world.sandbox.file(&format!("{dir}/file"), text)?;
                    world.mount(json!({ "destination": "/x", "source": source.parent(), "options": ["bind"] }));
                }
                Ok(())
            },
            "cat /x/file",
            "2",
            BOTH,
        ),
        case(
            "a read-only root",
            |world| {
                world.set("/root/readonly", json!(true));
                Ok(())
            },
            "touch /x 2>&1; touch /dev/x && echo made; awk '$5 == \"/\" {print $6}' /proc/self/mountinfo | cut -d, -f1",
            "touch: /x: Read-only file system\nmade\nro",
            BOTH,
        ),
        case(
            "a read-only /dev that still has its devices",
            |world| {
                world.config["mounts"][1]["options"].as_array_mut().ok_or("options")?.push(json!("ro"));
                Ok(())
            },
            "touch /dev/x 2>&1; echo x > /dev/null; ls /dev/ptmx /dev/full",
            "touch: /dev/x: Read-only file system\n/dev/full\n/dev/ptmx",
            BOTH,
        ),
        case(
            "masked paths",
            |world| {
                world.file("secret/file", "s")?;
                world.set("/linux/maskedPaths", json!(["/proc/kcore", "/proc/timer_list", "/secret", "/nowhere"]));
                Ok(())
            },
            "cat /proc/timer_list | wc -c; ls -A /secret | wc -l; touch /secret/x 2>/dev/null || echo closed",
            "0\n0\nclosed",
            BOTH,
        ),
        case(
            "read-only paths",
            |world| {
                world.file("keep/file", "k")?;
                world.set("/linux/readonlyPaths", json!(["/proc/sys", "/keep", "/nowhere"]));
                Ok(())
            },
            "cat /keep/file; echo; (echo x > /keep/file) 2>/dev/null || echo closed; (echo 1 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null || echo closed",
            "k\nclosed\nclosed",
            BOTH,
        ),
    ]
}
