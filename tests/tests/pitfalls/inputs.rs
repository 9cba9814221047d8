//! Senseless requests: each is refused in words, before anything is made.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use harness::Outcome;
use nix::sys::signal::Signal;

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("options that make no sense", options),
    ("user -1 is not root", minus_one),
    ("arguments that are no UTF-8 arrive as they are", non_utf8),
    ("an argument list that is too long", too_long),
    ("a file of variables with a NUL byte", nul_byte),
    ("exec and inspect of what is no container", no_container),
];

/// The step, an option that it refuses, and a word of why. Exit code 2 is clap's, 125 ours.
const REFUSED: &[(u8, &[&str], &str)] = &[
    (1, &["--workdir", ""], "--workdir"),
    (1, &["--env", ""], "is no variable"),
    (1, &["--env", "=x"], "is no variable"),
    (1, &["--env-file", "/none"], "ENOENT"),
    (1, &["--env-file", "/"], "EISDIR"),
    (1, &["--user", ""], "is no user"),
    (3, &["--user=-1"], "no user \"-1\""),
    (3, &["--user", "99999999999"], "no user"),
    (3, &["--user", "4294967295"], "no user"),
    (3, &["--user", "0:4294967295"], "no group"),
    (3, &["--hostname", ""], "is no host name"),
    (3, &["--hostname", "a\nb"], "is no host name"),
    (3, &["--name", "../up"], "is no name for a container"),
    (3, &["--name", "a\nb"], "is no name for a container"),
    (3, &["--share", "everything"], "everything"),
    (3, &["--uidmap", "0:1"], "is no id range"),
    (3, &["--uidmap", "0:0:-1"], "is no id range"),
    (3, &["--uidmap", "0:0:4294967296"], "is no id range"),
    (3, &["--uidmap", "0:4294967295:2"], "user namespace"),
    (3, &["--uidmap", "0:1:4294967295", "--uidmap", "7:7:7"], "user namespace"),
    (3, &["--boot-offset", "9223372036854775807"], "ERANGE"),
    (3, &["--boot-offset", "-99999999999"], "ERANGE"),
    (3, &["--boot-offset", "1.5"], "--boot-offset"),
    (4, &["--memory", ""], "is no size"),
    (4, &["--memory=-1"], "is no size"),
    (4, &["--memory", "99999999999999999999"], "is no size"),
    (4, &["--cpus=-1"], "is no number of CPUs"),
    (4, &["--cpus", "1e99"], "this machine has"),
    (4, &["--cpus", "NaN"], "is no number of CPUs"),
    (4, &["--pids-limit", "99999999999999999999"], "--pids-limit"),
    (4, &["--cpuset-cpus", "0-99999999999"], "is no list of numbers"),
    (4, &["--device-read-bps", "/none:1m"], "ENOENT"),
    (5, &["--layer", "/none"], "no directory"),
    (5, &["--tmpfs", "/x:size=99999999999999999999g"], "is no size"),
    (5, &["--tmpfs", "/x:size=17179869184g"], "is no size"),
    (5, &["--tmpfs", "/x:mode=99999999999"], "is no mode"),
    (5, &["-v", ""], "-v"),
    (5, &["-v", "/a:/"], "root itself"),
    (5, &["-v", "/a:relative"], "is no place"),
];

fn options(world: &World) -> Outcome {
    for (step, options, words) in REFUSED {
        let done = world.run(*step, options, &["true"]).run()?.fails()?.stderr_has(words)?;
        assert!([2, 125].contains(&done.code) && !done.stderr.contains("panicked"), "{done:?}");
    }
    assert_eq!(world.left().len(), 0, "{:?}", world.left());
    Ok(())
}

/// To setresuid(2) the number means "as it is": the program would run as root, in words as somebody else.
fn minus_one(world: &World) -> Outcome {
    world.sandbox.file("root/etc/passwd", "root:x:0:0::/root:/bin/sh\neve:x:4294967295:4294967295::/:/bin/sh\n")?;
    for (step, user) in [(3, "4294967295"), (3, "eve"), (5, "eve"), (7, "4294967295")] {
        world.run(step, &["--user", user], &["id"]).run()?.code(125)?.stderr_has("no user")?;
    }
    Ok(())
}

fn non_utf8(world: &World) -> Outcome {
    let odd = OsStr::from_bytes(b"\xff\xfe");
    let mut variable = std::ffi::OsString::from("ODD=");
    variable.push(odd);
    for step in [1, 3, 5] {
        let run = world.run(step, &[], &["sh", "-c", "[ \"$1\" = \"$(printf '\\377\\376')\" ]", "sh"]).arg(odd);
        run.run()?.ok()?;
    }
    let bash = "exec \"$1\" run --env \"$2\" -- sh -c '[ \"$ODD\" = \"$(printf \"\\377\\376\")\" ]'";
    let run = world.sandbox.program("bash").args(["-c", bash, "bash"]).arg(world.step(1)?).arg(&variable);
    run.run()?.ok()?;
    world.run(5, &["--volume"], &["true"]).arg(odd).run()?.fails()?;
    Ok(())
}

fn too_long(world: &World) -> Outcome {
    for step in [1, 3, 5] {
        let longest = "a".repeat(100_000);
        assert_eq!(world.run(step, &[], &["echo", &longest]).run()?.ok()?.text().len(), 100_000);
        let file = world.sandbox.file("variables", format!("LONG={}\n", "a".repeat(200_000)))?;
        let file = file.display().to_string();
        let done = world.run(step, &["--env-file", &file], &["true"]).run()?;
        done.code(126)?.stderr_has("E2BIG")?.stderr_has("too long")?;
    }
    let name = "a".repeat(5000);
    world.run(3, &[], &[&name]).run()?.fails()?.stderr_has("ENAMETOOLONG")?;
    Ok(())
}

fn nul_byte(world: &World) -> Outcome {
    let file = world.sandbox.file("variables", "A=b\0c\n")?;
    let file = file.display().to_string();
    for step in [1, 3] {
        let done = world.run(step, &["--env-file", &file], &["true"]).run()?;
        done.code(125)?.stderr_has("NUL byte")?;
    }
    Ok(())
}

fn no_container(world: &World) -> Outcome {
    let own = std::process::id().to_string();
    for (target, words) in [
        ("", "no running container"),
        ("0", "pidfd_open"),
        ("-1", "pidfd_open"),
        ("2147483647", "no such process"),
        ("99999999999999999999", "no running container"),
        ("none", "no running container"),
        (&own, "in no container"),
    ] {
        let exec = world.sandbox.step(3).args(["exec", "--", target, "true"]).run()?;
        exec.code(125)?.stderr_has(words)?;
        if target != own {
            world.sandbox.step(3).args(["inspect", "--", target]).run()?.code(125)?;
        }
    }
    // A process that only has another PID namespace can be joined.
    let mut other = world.sandbox.program("unshare").args(["--map-root-user", "--pid", "--fork", "--kill-child"]);
    other = other.args(["--mount-proc", "sh", "-c", "echo up; exec sleep 60"]);
    let mut other = other.spawn()?;
    other.says("up")?;
    other.signal(Signal::SIGKILL)?;
    other.wait()?;
    Ok(())
}
