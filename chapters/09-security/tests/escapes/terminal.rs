//! The terminal of whoever called the engine.

use std::os::unix::fs::symlink;
use std::time::Duration;

use harness::Outcome;

use crate::place::{Place, volume};

/// A program that has the caller's terminal as its input, output or error could type into it what the caller's shell
/// executes when the container has ended (`TIOCSTI`; CVE-2016-2568 and its like).
pub fn type_ahead(place: &Place) -> Outcome {
    let mut outside = place.sandbox.program(&place.attacker).args(["act", "type-ahead"]).pty()?;
    let open = outside.expect("type-ahead: ").and_then(|_| outside.expect("\n"))?;
    outside.wait()?;
    // Linux since 6.2 may have it switched off for everybody (dev.tty.legacy_tiocsti).
    assert!(["done", "EIO"].contains(&open.trim()), "{open}");

    let running = place.idle("one", &[])?;
    let engine = place.engine_file()?.display().to_string();
    let attacker = volume(&place.attacker, "/attack:ro");
    let run = format!("{engine} run --rm --network none -v {attacker}");
    for command in [
        format!("{run} -i host /attack act type-ahead"),
        format!("{run} host /attack act type-ahead < /dev/null"),
        format!("{run} -i --init host /attack act type-ahead"),
        format!("{run} --user 1000 -i host /attack act type-ahead"),
        format!("{engine} exec -i one /attack act type-ahead"),
        format!("{engine} exec one /attack act type-ahead < /dev/null"),
    ] {
        let mut shell = place.sandbox.program("sh").args(["-c", &format!("{command}; true")]).pty()?;
        let end = shell.expect("type-ahead: ").and_then(|_| shell.expect("\n"));
        let end = end.map_err(|failed| format!("{command}: {}", failed.message().unwrap_or_default()))?;
        assert!(["EPERM", "EIO", "ENOTTY"].contains(&end.trim()), "{command}: {end}");
        shell.wait()?;
    }
    place.end("one", running)
}

/// What a terminal is for goes on, although it is not the container's own: its input, and Ctrl-C.
pub fn still_a_terminal(place: &Place) -> Outcome {
    let script = "trap 'echo told; exit 3' INT; echo up; read line; echo $((line + 1)); sleep 1000 & wait";
    let mut terminal = place.container(&["-i"], &["sh", "-c", script]).pty()?;
    terminal.expect("up")?;
    terminal.send("41\n")?;
    terminal.expect("42")?;
    terminal.send("\x03")?;
    terminal.expect("told")?;
    assert_eq!(terminal.wait()?, 3);
    Ok(())
}

/// CVE-2025-52565: where a terminal should be made or mounted, the container has something else.
pub fn false_terminals(place: &Place) -> Outcome {
    let terminals = place.sandbox.dir("terminals")?;
    for name in ["ptmx", "0", "1"] {
        symlink(&place.secret, terminals.join(name))?;
    }
    let attack = volume(&terminals, "/dev/pts");
    let limit = Duration::from_secs(20);
    place.container(&["-t", "-v", &attack], &["true"]).timeout(limit).run()?.code(125)?.stderr_has("/dev/ptmx")?;
    let swap = "rm -f /dev/ptmx /dev/null /dev/console; umount /dev/null 2>/dev/null; rm -f /dev/null; \
                ln -s /proc/self/mem /dev/ptmx; mkfifo /dev/null; trap 'exit 0' TERM; echo ready; sleep 1000 & wait";
    let mut running = place.container(&["--name", "one"], &["sh", "-c", swap]).spawn()?;
    running.says("ready")?;
    let exec = |options: &[&str]| place.engine().arg("exec").args(options).args(["one", "sh", "-c", "exit 7"]);
    exec(&["-t"]).timeout(limit).run()?.code(125)?.stderr_has("/dev/ptmx")?;
    exec(&[]).timeout(limit).run()?.code(7)?; // and a null device that would never answer keeps nobody waiting
    place.end("one", running)
}
