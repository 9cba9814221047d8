//! `exec`: another program beside the first.

use std::fs;
use std::time::Duration;

use harness::Outcome;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("exec: output, exit code and place", plain),
    ("exec: directory, variables, capabilities", changes),
    ("exec: the process as a file", file),
    ("exec --detach gives its process id and goes on", detached),
    ("exec: what fails ends with 255", failures),
];

fn running(world: &World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    Ok(())
}

fn plain(world: &mut World) -> Outcome {
    running(world)?;
    let done = world.runtime(&["exec", "one", "sh", "-c", "echo out; echo err >&2; exit 5"])?.code(5)?;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
    // An option behind the command is the command's.
    assert_eq!(world.runtime(&["exec", "one", "echo", "-t", "--env"])?.ok()?.text(), "-t --env");
    let done = world.runtime(&["exec", "one", "sh", "-c", "echo $$"])?.ok()?;
    assert_ne!(done.text(), "1", "it is not the first process");
    let done = world.command(&["exec", "one", "cat"]).stdin("through\n").run()?.ok()?;
    assert_eq!(done.stdout, "through\n");
    Ok(())
}

fn changes(world: &mut World) -> Outcome {
    running(world)?;
    let args = [
        "exec",
        "--cwd",
        "/tmp",
        "-e",
        "A=1",
        "--env",
        "B=2",
        "--cap",
        "CAP_NET_RAW",
        "--no-new-privs",
        "one",
        "sh",
        "-c",
    ];
    let done = world.runtime(&[&args[..], &["pwd; echo $A $B; cat /proc/self/status"]].concat())?.ok()?;
    let mut lines = done.stdout.lines();
    assert_eq!((lines.next(), lines.next()), (Some("/tmp"), Some("1 2")));
    let field =
        |name: &str| done.stdout.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    assert_eq!(field("NoNewPrivs:"), "1");
    let effective = u64::from_str_radix(&field("CapEff:"), 16)?;
    assert_eq!(effective & (1 << 13), 1 << 13, "CAP_NET_RAW was asked for");
    assert_eq!(effective & (1 << 21), 0, "CAP_SYS_ADMIN was not");
    Ok(())
}

fn file(world: &mut World) -> Outcome {
    running(world)?;
    let process = json!({
        "user": { "uid": 0, "gid": 0 }, "cwd": "/", "env": ["PATH=/bin", "X=y"], "args": ["sh", "-c", "echo $X"],
    });
    let path = world.sandbox.file("process.json", process.to_string())?;
    let done = world.runtime(&["exec", "--process", path.to_str().ok_or("path")?, "one"])?.ok()?;
    assert_eq!(done.text(), "y");
    let path = world.sandbox.file("wrong.json", "{}")?;
    world.runtime(&["exec", "--process", path.to_str().ok_or("path")?, "one"])?.code(255)?;
    Ok(())
}

fn detached(world: &mut World) -> Outcome {
    running(world)?;
    let pid_file = world.sandbox.file("pids/pid", "")?;
    world
        .runtime(&["exec", "--detach", "--pid-file", pid_file.to_str().ok_or("path")?, "one", "sleep", "1000"])?
        .ok()?;
    let pid: i32 = fs::read_to_string(&pid_file)?.parse()?;
    kill(Pid::from_raw(pid), None)?;
    let done = world.runtime(&["ps", "--format", "json", "one"])?.ok()?;
    let pids: Vec<i32> = serde_json::from_str(&done.stdout)?;
    assert!(pids.contains(&pid), "{pids:?}");
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    for _ in 0..100 {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("the container's end was not its".into())
}

fn failures(world: &mut World) -> Outcome {
    running(world)?;
    let done = world.runtime(&["exec", "one", "nope"])?.code(255)?.stderr_has("executable file not found in $PATH")?;
    assert!(!done.stderr.contains("panicked"));
    world.runtime(&["exec", "one"])?.code(255)?.stderr_has("process args cannot be empty")?;
    world.runtime(&["exec", "--cwd", "/nope", "one", "true"])?.code(255)?.stderr_has("/nope")?;
    world.runtime(&["exec", "--cap", "CAP_FLY", "one", "true"])?.code(255)?.stderr_has("unknown capability")?;
    world.runtime(&["exec", "--user", "ada", "one", "true"])?.fails()?.stderr_has("ada")?;
    assert_eq!(world.status("one")?, "running");
    Ok(())
}
