//! `process`: who runs what, where, with which rights and limits.

use serde_json::{Value, json};

use crate::world::{BOTH, CRUN, Case, NOBODY, RUNC, World, case};

type Row = (&'static str, &'static str, fn() -> Value, &'static str, &'static str, &'static [crate::world::Who]);

/// Name, property, value, script, what it says, who says the same.
const ROWS: [Row; 22] = [
    (
        "user, group and additional groups",
        "/process/user",
        || json!({ "uid": 1000, "gid": 1001, "additionalGids": [5, 6] }),
        "id -u; id -g; grep Groups: /proc/self/status | cut -f2",
        "1000\n1001\n5 6",
        BOTH,
    ),
    (
        "a user without groups",
        "/process/user",
        || json!({ "uid": 7, "gid": 8 }),
        "id -u; id -g; id -G",
        "7\n8\n8",
        BOTH,
    ),
    ("umask", "/process/user/umask", || json!(0o077), "umask", "0077", BOTH),
    ("umask if nobody says", "/process/user", || json!({ "uid": 0, "gid": 0 }), "umask", "0022", BOTH),
    (
        "variables, in every form",
        "/process/env",
        || json!(["PATH=/bin", "A=b c", "EMPTY=", "EQ=a=b", "HOME=/h"]),
        "tr '\\0' '\\n' < /proc/1/environ | sort",
        "A=b c\nEMPTY=\nEQ=a=b\nHOME=/h\nPATH=/bin",
        BOTH,
    ),
    (
        "of two variables of a name the last",
        "/process/env",
        || json!(["PATH=/bin", "X=1", "X=2", "HOME=/"]),
        "tr '\\0' '\\n' < /proc/1/environ | grep X",
        "X=2",
        RUNC,
    ),
    ("cwd", "/process/cwd", || json!("/etc"), "pwd", "/etc", BOTH),
    ("cwd that is not there yet", "/process/cwd", || json!("/new/dir"), "pwd", "/new/dir", RUNC),
    (
        "arguments are not looked into",
        "/process/args",
        || json!(["printf", "%s|", "a b", "$X", "", "*"]),
        "",
        "a b|$X||*|",
        BOTH,
    ),
    (
        "rlimits",
        "/process/rlimits",
        || {
            json!([{ "type": "RLIMIT_NOFILE", "soft": 33, "hard": 44 }, { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
                { "type": "RLIMIT_CPU", "soft": 100, "hard": 200 }, { "type": "RLIMIT_NPROC", "soft": 60, "hard": 61 },
                { "type": "RLIMIT_FSIZE", "soft": 4096, "hard": 8192 }, { "type": "RLIMIT_SIGPENDING", "soft": 5, "hard": 6 }])
        },
        "awk '/open files|core file|cpu time|Max processes|file size|pending/ {print $(NF-2), $(NF-1)}' /proc/1/limits",
        "100 200\n4096 8192\n0 0\n60 61\n33 44\n5 6",
        BOTH,
    ),
    ("oomScoreAdj", "/process/oomScoreAdj", || json!(321), "cat /proc/self/oom_score_adj", "321", BOTH),
    (
        "the five sets of capabilities",
        "/process/capabilities",
        || {
            json!({ "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"], "effective": ["CAP_KILL"],
                "permitted": ["CAP_KILL", "CAP_SETUID"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"] })
        },
        "grep -E 'Cap(Inh|Bnd|Amb)' /proc/1/status | cut -f2",
        "0000000000000020\n00000000000000a1\n0000000000000020",
        BOTH,
    ),
    (
        "no capabilities at all",
        "/process/capabilities",
        || Value::Null,
        "grep -E 'Cap(Prm|Eff|Bnd)' /proc/1/status | cut -f2",
        "0000000000000000\n0000000000000000\n0000000000000000",
        BOTH,
    ),
    (
        "noNewPrivileges",
        "/process/noNewPrivileges",
        || json!(true),
        "grep NoNewPrivs /proc/1/status | cut -f2",
        "1",
        BOTH,
    ),
    (
        "privileges may be gained",
        "/process/noNewPrivileges",
        || json!(false),
        "grep NoNewPrivs /proc/1/status | cut -f2",
        "0",
        BOTH,
    ),
    (
        "scheduler: batch, and a nice value",
        "/process/scheduler",
        || json!({ "policy": "SCHED_BATCH", "nice": 5 }),
        "awk '{print $19, $41}' /proc/1/stat",
        "5 3",
        NOBODY,
    ),
    (
        "scheduler: idle",
        "/process/scheduler",
        || json!({ "policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_RESET_ON_FORK"] }),
        "awk '{print $41}' /proc/1/stat",
        "5",
        NOBODY,
    ),
    (
        "ioPriority",
        "/process/ioPriority",
        || json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 }),
        "ionice -p 1",
        "best-effort: prio 6",
        NOBODY,
    ),
    (
        "ioPriority: idle",
        "/process/ioPriority",
        || json!({ "class": "IOPRIO_CLASS_IDLE", "priority": 0 }),
        "ionice -p 1 | cut -d: -f1",
        "idle",
        NOBODY,
    ),
    (
        "personality",
        "/linux/personality",
        || json!({ "domain": "LINUX32" }),
        "case $(uname -m) in i686 | armv* | x86) echo 32;; *) uname -m;; esac",
        "32",
        CRUN,
    ),
    (
        "seccomp: a call that fails",
        "/linux/seccomp",
        || {
            json!({ "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122 }] })
        },
        "mkdir /x 2>&1; grep Seccomp: /proc/1/status | cut -f2",
        "mkdir: can't create directory '/x': Disk quota exceeded\n2",
        BOTH,
    ),
    (
        "annotations are nobody's business inside",
        "/annotations",
        || json!({ "org.example.a": "b", "c": "" }),
        "tr '\\0' '\\n' < /proc/1/environ | grep -c example; true",
        "0",
        BOTH,
    ),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = ROWS
        .into_iter()
        .map(|(name, pointer, value, script, says, like)| {
            let change = move |world: &mut World| {
                match value() {
                    Value::Null => drop(
                        world
                            .config
                            .pointer_mut("/process")
                            .and_then(Value::as_object_mut)
                            .and_then(|process| process.remove("capabilities")),
                    ),
                    value => world.set(pointer, value),
                }
                Ok(())
            };
            case(name, change, script, says, like)
        })
        .collect();
    cases.push(case(
        "HOME comes from the root's own passwd",
        |world| {
            world.file(
                "etc/passwd",
                "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n1000:x:0:0::/wrong:/bin/sh\n",
            )?;
            world.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
            Ok(())
        },
        "tr '\\0' '\\n' < /proc/1/environ | grep HOME; id -u",
        "HOME=/home/ada\n1000",
        BOTH,
    ));
    cases.push(case(
        "ambient capabilities reach a user who is not root",
        |world| {
            world.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
            for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
                world.set(&format!("/process/capabilities/{set}"), json!(["CAP_NET_BIND_SERVICE"]));
            }
            Ok(())
        },
        "grep -E 'Cap(Eff|Amb)' /proc/1/status | cut -f2",
        "0000000000000400\n0000000000000400",
        BOTH,
    ));
    cases.push(case(
        "standard output is the user's to open anew",
        |world| {
            world.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
            Ok(())
        },
        "stat -L -c %u /proc/self/fd/1; echo again >> /dev/stdout",
        "1000\nagain",
        RUNC,
    ));
    cases.push(case(
        "a capability that no kernel has is left out",
        |world| {
            world.set("/process/capabilities/bounding", json!(["CAP_KILL", "CAP_FLY"]));
            Ok(())
        },
        "grep CapBnd /proc/1/status | cut -f2",
        "0000000000000020",
        RUNC,
    ));
    cases
}
