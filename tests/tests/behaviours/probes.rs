//! The table: each behaviour, the chapter that brings it, and how it is seen.

use std::net::TcpListener;

use harness::{Lane, Outcome};

use crate::Behaviour;
use crate::bench::{Bench, word};

/// In the order of the chapters.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "the exit code comes through",
        since: 1,
        lane: Lane::User,
        needs: &[],
        ordinary: true,
        shows: exit_code,
    },
    Behaviour { name: "another root", since: 2, lane: Lane::User, needs: &[], ordinary: true, shows: another_root },
    Behaviour {
        name: "a root without escape",
        since: 3,
        lane: Lane::User,
        needs: &[],
        ordinary: true,
        shows: no_escape,
    },
    Behaviour { name: "process 1", since: 3, lane: Lane::User, needs: &[], ordinary: true, shows: process_1 },
    Behaviour {
        name: "a hostname of its own",
        since: 3,
        lane: Lane::User,
        needs: &[],
        ordinary: true,
        shows: hostname,
    },
    Behaviour {
        name: "a mount table of its own",
        since: 3,
        lane: Lane::User,
        needs: &[],
        ordinary: true,
        shows: mount_table,
    },
    Behaviour { name: "a memory limit", since: 4, lane: Lane::Vm, needs: &[], ordinary: true, shows: memory_limit },
    Behaviour {
        name: "a lower layer that writes do not reach",
        since: 5,
        lane: Lane::User,
        needs: &[],
        ordinary: true,
        shows: lower_layer,
    },
    Behaviour {
        name: "eth0 and a gateway that answers",
        since: 6,
        lane: Lane::Root,
        needs: &["nft"],
        ordinary: false,
        shows: gateway,
    },
    Behaviour { name: "an image by its name", since: 7, lane: Lane::User, needs: &[], ordinary: true, shows: image },
    Behaviour {
        name: "root with few of its rights",
        since: 9,
        lane: Lane::User,
        needs: &[],
        ordinary: true,
        shows: few_rights,
    },
    Behaviour {
        name: "a life without a terminal",
        since: 10,
        lane: Lane::User,
        needs: &[],
        ordinary: true,
        shows: background,
    },
];

fn exit_code(bench: &Bench) -> Outcome<bool> {
    Ok(bench.shell("exit 42")?.code == 42)
}

fn another_root(bench: &Bench) -> Outcome<bool> {
    let hidden = bench.shell(&format!("test ! -e '{}' && test -d /", bench.secret().display()))?;
    Ok(hidden.code == 0)
}

/// Chapter 2's own `escape`, run in the container, does not find the host's file.
fn no_escape(bench: &Bench) -> Outcome<bool> {
    let (secret, root, step02) = (word(&bench.secret()), word(&bench.root()), word(&harness::step(2)?));
    let escape = [step02.as_str(), "escape", "--root", "/tmp", "test", "-e", &secret];
    let done = match bench.step {
        // The container's only root is the host's: there is nothing to escape from.
        1 => return Ok(false),
        2 => bench.sandbox.step(2).args(["escape", "--root", &root, "test", "-e", &secret]).run()?,
        3..=6 => bench.run(&[], &escape)?,
        // The image lacks the program: it comes along with the libraries it needs, in a root of its own.
        _ => {
            let volume = format!("{root}:/jail");
            bench.run(&["-v", &volume], &[&["chroot", "/jail"], &escape[..]].concat())?
        }
    };
    // 0: the file was found. 1: `test` did not find it, or the escape itself was refused.
    match done.code {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(format!("the escape could not be tried: {done:?}").into()),
    }
}

fn process_1(bench: &Bench) -> Outcome<bool> {
    Ok(bench.shell("echo $$")?.ok()?.text() == "1")
}

fn hostname(bench: &Bench) -> Outcome<bool> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let done = bench.run(&["--hostname", "probe"], &["uname", "-n"])?;
    let unchanged = std::fs::read_to_string("/proc/sys/kernel/hostname")? == host;
    Ok(done.code == 0 && done.text() == "probe" && unchanged)
}

fn mount_table(bench: &Bench) -> Outcome<bool> {
    let ours = std::fs::read_link("/proc/self/ns/mnt")?;
    let done = bench.run(&[], &["readlink", "/proc/self/ns/mnt"])?;
    Ok(done.code == 0 && done.text() != word(&ours))
}

fn memory_limit(bench: &Bench) -> Outcome<bool> {
    let done = bench.run(&["--memory", "64m"], &["cat", "/sys/fs/cgroup/memory.max"])?;
    Ok(done.code == 0 && done.text() == "67108864")
}

/// What one container writes, neither the layer has nor the next container sees.
fn lower_layer(bench: &Bench) -> Outcome<bool> {
    let file = if bench.step == 1 { word(&bench.sandbox.path().join("written")) } else { "/etc/written".into() };
    bench.shell(&format!("echo x > {file}"))?.ok()?;
    let gone = bench.shell(&format!("test ! -e {file}"))?;
    Ok(gone.code == 0 && !bench.root().join("etc/written").exists())
}

/// A listener of the host is reached at the address of the default route.
fn gateway(bench: &Bench) -> Outcome<bool> {
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();
    let line = format!(
        "ip -o link show eth0 || exit 3; set -- $(ip route show default); echo gateway $3; exec 3<>/dev/tcp/$3/{port}"
    );
    let options: &[&str] = if bench.step >= 6 { &["--network", "bridge"] } else { &[] };
    Ok(bench.run(options, &["bash", "-c", &line])?.code == 0)
}

fn image(bench: &Bench) -> Outcome<bool> {
    let done = bench.sandbox.step(bench.step).args(["run", "host", "true"]).run()?;
    Ok(done.code == 0)
}

/// No mount is made without CAP_SYS_ADMIN, and none is possible by a user namespace of its own.
fn few_rights(bench: &Bench) -> Outcome<bool> {
    let read = "while read key value; do if test \"$key\" = CapBnd:; then echo $value; fi; done < /proc/self/status";
    // Chapter 2's root has no /proc yet, but root there may mount one; it is the host's table that it changes.
    let line = match bench.step {
        2 => format!("mkdir -p /proc && mount -t proc proc /proc && {read} && umount /proc"),
        _ => read.to_owned(),
    };
    Ok(bench.shell(&line)?.ok()?.text() == "00000000a80425fb")
}

/// The command comes back at once, and the container's exit code is known afterwards.
fn background(bench: &Bench) -> Outcome<bool> {
    if bench.run(&["-d", "--name", "probe"], &["sh", "-c", "exit 42"])?.code != 0 {
        return Ok(false);
    }
    let wait = bench.sandbox.step(bench.step).args(["wait", "probe"]).run()?;
    bench.sandbox.step(bench.step).args(["rm", "probe"]).run()?.ok()?;
    Ok(wait.code == 0 && wait.text() == "42")
}
