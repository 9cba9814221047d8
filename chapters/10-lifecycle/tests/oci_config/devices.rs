//! Devices: those that every container has, those of config.json, and who may use them.

use serde_json::json;

use crate::world::{BOTH, Case, NOBODY, RUNC, case};

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "the usual nodes",
            |_| Ok(()),
            "cd /dev; stat -c '%n %a %t:%T %u:%g' full null random tty urandom zero",
            "full 666 1:7 0:0\nnull 666 1:3 0:0\nrandom 666 1:8 0:0\ntty 666 5:0 0:0\nurandom 666 1:9 0:0\nzero 666 1:5 0:0",
            BOTH,
        ),
        case(
            "the usual links",
            |_| Ok(()),
            "cd /dev; for name in fd stdin stdout stderr ptmx; do readlink $name; done",
            "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx",
            BOTH,
        ),
        case(
            "a character device, a block device and a FIFO",
            |world| {
                world.set("/linux/devices", json!([
                { "path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8 },
                { "path": "/dev/sub/disk", "type": "b", "major": 7, "minor": 0, "fileMode": 0o600 },
                { "path": "/dev/pipe", "type": "p", "fileMode": 0o622 },
                { "path": "/dev/unbuffered", "type": "u", "major": 1, "minor": 5 },
            ]));
                Ok(())
            },
            "cd /dev; stat -c '%F|%a|%t:%T|%u:%g' mine sub/disk pipe unbuffered",
            "character special file|640|1:3|7:8\nblock special file|600|7:0|0:0\nfifo|622|0:0|0:0\ncharacter special file|666|1:5|0:0",
            BOTH,
        ),
        case(
            "an own /dev/null takes the place of the usual one",
            |world| {
                world.set("/linux/devices", json!([{ "path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 0, "gid": 5 }]));
                Ok(())
            },
            "stat -c '%a %g' /dev/null",
            "600 5",
            NOBODY,
        ),
        case(
            "a /dev that is the host's is left alone",
            |world| {
                let source = world.sandbox.dir("dev")?;
                world.sandbox.program("mknod").arg(source.join("null")).args(["c", "1", "3"]).run()?.ok()?;
                world.config["mounts"] = json!([{ "destination": "/proc", "type": "proc", "source": "proc" }, { "destination": "/dev", "source": source, "options": ["bind"] }]);
                Ok(())
            },
            "ls /dev",
            "null",
            BOTH,
        ),
        case(
            "a device without a rule cannot be opened",
            |world| {
                world.set("/linux/resources/devices", json!([{ "allow": false, "access": "rwm" }]));
                world.set(
                    "/linux/devices",
                    json!([{ "path": "/dev/mine", "type": "c", "major": 10, "minor": 237, "fileMode": 0o666 }]),
                );
                Ok(())
            },
            "(: < /dev/mine) 2>&1; echo x > /dev/null && head -c 1 /dev/zero | wc -c; mknod /tmp/x c 1 3 && echo made",
            "sh: can't open /dev/mine: Operation not permitted\n1\nmade",
            RUNC,
        ),
        case(
            "a rule opens a device",
            |world| {
                world.set("/linux/resources/devices", json!([{ "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 240, "minor": 7, "access": "r" }]));
                // No driver has this number: who is let through finds nobody there.
                world.set(
                    "/linux/devices",
                    json!([{ "path": "/dev/mine", "type": "c", "major": 240, "minor": 7, "fileMode": 0o666 }]),
                );
                Ok(())
            },
            "(: < /dev/mine) 2>&1; (: > /dev/mine) 2>&1; true",
            "sh: can't open /dev/mine: No such device or address\nsh: can't create /dev/mine: Operation not permitted",
            RUNC,
        ),
    ]
}
