//! Odd surroundings that a caller may leave us: each gives the right behaviour or a clear error, and never a hang.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{Done, Outcome};

use crate::Test;
use crate::world::World;

/// One step of each kind: a plain child, a root, layers, an image.
const STEPS: [u8; 6] = [1, 3, 5, 7, 9, 10];

pub const TESTS: &[(&str, Test)] = &[
    ("SIGCHLD is ignored", sigchld),
    ("all signals are blocked", blocked),
    ("standard input, output and error are closed", closed),
    ("standard input is a directory", directory_as_input),
    ("the working directory was deleted", deleted_directory),
    ("started in the background by a script", background),
    ("few descriptors", few_descriptors),
    ("an empty environment", empty_environment),
    ("a relative COOPER_RUN counts from here", relative_place),
    ("places that cannot be written", unwritable),
    ("a place that somebody else has made in /tmp", somebody_elses),
];

pub const ORDINARY: &[(&str, Test)] = &[
    ("SIGCHLD is ignored", sigchld),
    ("few processes", few_processes),
    ("umask 077 and umask 000", umask),
    ("few descriptors", few_descriptors),
    ("neither HOME nor XDG_RUNTIME_DIR", empty_environment),
];

/// Runs `sh -c 'exit 7'` by each step behind `script`, which must bring the 7 through.
fn seven(world: &World, script: &str) -> Outcome {
    for step in STEPS {
        world.script(script, step, &[], &["sh", "-c", "exit 7"])?.run()?.code(7)?;
    }
    Ok(())
}

/// waitpid(2) would say ECHILD, and no signal would tell of the end.
fn sigchld(world: &World) -> Outcome {
    seven(world, "trap '' CHLD; \"$@\"; exit $?")
}

fn blocked(world: &World) -> Outcome {
    for step in STEPS {
        let look = "grep SigBlk /proc/self/status; exit 7";
        let done = world.script("env --block-signal \"$@\"", step, &[], &["sh", "-c", look])?.run()?.code(7)?;
        assert!(done.stdout.contains("0000000000000000"), "step {step}: the program cannot be told to end: {done:?}");
    }
    Ok(())
}

fn closed(world: &World) -> Outcome {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        seven(world, &format!("\"$@\" {closed}; exit $?"))?;
    }
    Ok(())
}

fn directory_as_input(world: &World) -> Outcome {
    seven(world, "\"$@\" < /; exit $?")?;
    let done = world.script("\"$@\" < /", 3, &["-i"], &["cat"])?.run()?;
    done.fails()?.stderr_has("directory")?;
    Ok(())
}

fn deleted_directory(world: &World) -> Outcome {
    let script = "d=$(mktemp -d) && cd $d && rmdir $d && exec \"$@\"";
    let plain = world.script(script, 1, &[], &["true"])?.run()?;
    plain.code(125)?.stderr_has("was deleted")?.stderr_has("--workdir")?;
    for step in [3, 5, 7] {
        world.script(script, step, &[], &["sh", "-c", "exit 7"])?.run()?.code(7)?;
    }
    Ok(())
}

fn background(world: &World) -> Outcome {
    seven(world, "\"$@\" & wait $!; exit $?")?;
    seven(world, "(\"$@\" </dev/null >/dev/null 2>&1; exit $?) & wait $!; exit $?")
}

fn few_descriptors(world: &World) -> Outcome {
    seven(world, "ulimit -n 32; exec \"$@\"")?;
    for number in [4, 6, 8, 10] {
        for step in STEPS {
            let script = format!("ulimit -n {number}; exec \"$@\"");
            clear(world.script(&script, step, &[], &["sh", "-c", "exit 7"])?.run()?, "EMFILE")?;
        }
    }
    // To remove a directory takes a descriptor, too: the next start sweeps.
    world.run(5, &[], &["true"]).run()?.ok()?;
    assert_eq!(world.left().len(), 0, "{:?}", world.left());
    Ok(())
}

/// The 7 comes through, or an error of the engine says what was in the way. (Too few to load a library: 127.)
fn clear(done: Done, word: &str) -> Outcome {
    if done.code != 7 && !(done.code == 127 && done.stderr.contains("shared libraries")) {
        let done = done.code(125)?.stderr_has(word)?;
        assert!(!done.stderr.contains("panicked"), "{done:?}");
    }
    Ok(())
}

fn few_processes(world: &World) -> Outcome {
    for step in [1, 3, 5] {
        let run = world.script("ulimit -u 1; exec \"$@\"", step, &[], &["sh", "-c", "exit 7"])?;
        clear(run.run()?, "EAGAIN")?;
    }
    Ok(())
}

/// A plain child keeps its caller's mask; a container has the usual one, and its users can enter and read it.
fn umask(world: &World) -> Outcome {
    for mask in ["077", "000"] {
        let script = format!("umask {mask}; exec \"$@\"");
        let plain = world.script(&script, 1, &[], &["sh", "-c", "umask"])?.run()?.ok()?;
        assert_eq!(plain.text(), format!("0{mask}"));
        for step in [3, 5] {
            let look =
                "umask; cat /etc/passwd >/dev/null && ls /dev/pts >/dev/null && echo > /dev/shm/x; stat -c %a / /dev";
            let done = world.script(&script, step, &["--user", "ada"], &["sh", "-c", look])?.run()?.ok()?;
            assert_eq!(done.stdout, "0022\n755\n755\n", "step {step}");
        }
    }
    Ok(())
}

fn empty_environment(world: &World) -> Outcome {
    let fallback = format!("/tmp/cooper-{}", nix::unistd::geteuid());
    if world.sandbox.user().is_none() {
        return seven(world, "exec env -i COOPER_DATA=\"$COOPER_DATA\" COOPER_RUN=\"$COOPER_RUN\" \"$@\"");
    }
    let fallback = world.sandbox.user().map_or(fallback, |user| format!("/tmp/cooper-{}", user.uid()));
    if fs::exists(&fallback)? {
        return Ok(()); // it is in use: not ours to remove
    }
    let done = world.script("exec env -i \"$@\"", 5, &[], &["sh", "-c", "exit 7"])?.run();
    let mode = fs::metadata(&fallback).map(|about| about.permissions().mode() & 0o777);
    fs::remove_dir_all(&fallback)?;
    done?.code(7)?;
    assert_eq!(mode?, 0o700);
    Ok(())
}

fn relative_place(world: &World) -> Outcome {
    let here = world.sandbox.dir("here")?;
    let run = world.run(3, &[], &["true"]).current_dir(&here).env("COOPER_RUN", "run").env("COOPER_DATA", "data");
    run.run()?.ok()?;
    assert!(here.join("run/containers").is_dir());
    Ok(())
}

fn unwritable(world: &World) -> Outcome {
    let file = world.sandbox.file("file", "")?;
    for place in [file.join("below"), "/proc/none".into()] {
        for (step, variable) in [(3, "COOPER_RUN"), (5, "COOPER_RUN"), (5, "COOPER_DATA"), (7, "COOPER_DATA")] {
            let done = world.run(step, &[], &["true"]).env(variable, &place).run()?;
            done.code(125)?.stderr_has(variable)?;
        }
    }
    assert_eq!(world.left().len(), 0, "{:?}", world.left());
    Ok(())
}

/// Who owns the directory of records could tell us of containers that are none.
fn somebody_elses(world: &World) -> Outcome {
    let shared = world.sandbox.dir("shared")?;
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777))?;
    let theirs = shared.join("run");
    if nix::unistd::geteuid().is_root() {
        fs::create_dir(&theirs)?;
        std::os::unix::fs::chown(&theirs, Some(12345), Some(12345))?;
    } else {
        std::os::unix::fs::symlink("/", &theirs)?; // a link is nobody's directory either
    }
    let done = world.run(3, &[], &["true"]).env("COOPER_RUN", &theirs).run()?.code(125)?;
    done.stderr_has(if nix::unistd::geteuid().is_root() { "belongs to somebody else" } else { "" })?;
    Ok(())
}
