//! Chapter 1 from outside: exit codes, errors of exec, signals, terminals, the small init.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use harness::{Outcome, Sandbox, Suite};
use nix::sys::signal::Signal;

fn main() {
    Suite::new()
        .user("the exit code comes through", exit_code)
        .user("a signal is 128 + its number", signal_code)
        .user("what is not there is 127", not_found)
        .user("what cannot be executed is 126", not_executable)
        .user("a missing interpreter is told as such", missing_interpreter)
        .user("environment, directory and arguments arrive", program_options)
        .user("a missing directory is an error with the way out", missing_directory)
        .user("no descriptor of ours reaches the program", descriptors)
        .user("the program gets the signal that we get", forwarding)
        .user("the program dies with its engine", dies_with_engine)
        .user("init reaps orphans", init_reaps)
        .user("init passes signals on and the exit code up", init_forwards)
        .user("--explain narrates the calls", explain)
        .user("a listener that goes away does not matter", listener_gone)
        .user("help is complete and completion is offered", help)
        .user("Ctrl-C reaches the child only", ctrl_c)
        .user("a shell is interactive", interactive_shell)
        .root("--user takes ids, groups and home", user_option)
        .run();
}

fn exit_code() -> Outcome {
    let sandbox = Sandbox::new()?;
    for code in [0, 1, 7, 255] {
        sandbox.step(1).args(["run", "--", "sh", "-c", &format!("exit {code}")]).run()?.code(code)?;
    }
    Ok(())
}

fn signal_code() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.step(1).args(["run", "--", "sh", "-c", "kill -KILL $$"]).run()?.code(137)?;
    sandbox.step(1).args(["run", "--", "sh", "-c", "kill -TERM $$"]).run()?.code(143)?;
    Ok(())
}

fn not_found() -> Outcome {
    let sandbox = Sandbox::new()?;
    let done = sandbox.step(1).args(["run", "--", "no-such-program"]).run()?;
    done.code(127)?.stderr_has("exec no-such-program: ENOENT")?.stderr_has("PATH")?;
    let done = sandbox.step(1).args(["run", "--", "/no/such/program"]).run()?;
    done.code(127)?.stderr_has("no such file")?;
    Ok(())
}

fn not_executable() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.step(1).args(["run", "--", "/etc/passwd"]).run()?.code(126)?.stderr_has("EACCES")?;
    sandbox.step(1).args(["run", "--", "/etc"]).run()?.code(126)?.stderr_has("EACCES")?;
    let garbage = script(&sandbox, "garbage", "\x7fno format that the kernel knows")?;
    sandbox.step(1).args(["run", "--", &garbage]).run()?.code(126)?.stderr_has("ENOEXEC")?;
    Ok(())
}

fn missing_interpreter() -> Outcome {
    let sandbox = Sandbox::new()?;
    let script = script(&sandbox, "script", "#!/no/such/interpreter\n")?;
    sandbox.step(1).args(["run", "--", &script]).run()?.code(127)?.stderr_has("interpreter")?;
    Ok(())
}

fn script(sandbox: &Sandbox, name: &str, text: &str) -> Outcome<String> {
    let path = sandbox.path().join(name);
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

fn program_options() -> Outcome {
    let sandbox = Sandbox::new()?;
    let file = sandbox.path().join("variables");
    std::fs::write(&file, "# a comment\nFROM_FILE=file\nBOTH=file\n")?;
    let file = file.display().to_string();
    let done = sandbox
        .step(1)
        .args(["run", "-e", "BOTH=option", "--env-file", &file, "-e", "PASSED_ON", "-w", "/usr", "--"])
        .args(["sh", "-c", "echo $FROM_FILE $BOTH $PASSED_ON $PWD \"$1\"", "sh", "one  word"])
        .env("PASSED_ON", "yes")
        .run()?;
    assert_eq!(done.ok()?.stdout, "file option yes /usr one  word\n");
    sandbox.step(1).args(["run", "-e", "=value", "--", "true"]).run()?.code(125)?.stderr_has("NAME=VALUE")?;
    Ok(())
}

fn missing_directory() -> Outcome {
    let sandbox = Sandbox::new()?;
    let done = sandbox.step(1).args(["run", "-w", "/no/such/dir", "--", "true"]).run()?;
    done.code(125)?.stderr_has("chdir /no/such/dir: ENOENT")?.stderr_has("help:")?;
    Ok(())
}

fn descriptors() -> Outcome {
    let sandbox = Sandbox::new()?;
    let done = sandbox.step(1).args(["run", "--", "sh", "-c", "ls /proc/self/fd"]).run()?;
    // The fourth is the directory that ls itself reads.
    assert_eq!(done.ok()?.stdout, "0\n1\n2\n3\n");
    // Nor does anything of ours about signals: our runtime ignores SIGPIPE, and we block them all.
    let done = sandbox.step(1).args(["run", "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]).run()?;
    let done = done.ok()?;
    for mask in done.stdout.split_whitespace().skip(1).step_by(2) {
        // The real-time ones are the caller's affair.
        assert_eq!(u64::from_str_radix(mask, 16)? & 0x7fff_ffff, 0, "{}", done.stdout);
    }
    Ok(())
}

fn forwarding() -> Outcome {
    let sandbox = Sandbox::new()?;
    for (name, signal) in [("TERM", Signal::SIGTERM), ("HUP", Signal::SIGHUP), ("USR1", Signal::SIGUSR1)] {
        let trap = format!("trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.05; done");
        let mut running = sandbox.step(1).args(["run", "--", "sh", "-c", &trap]).spawn()?;
        running.says("ready")?;
        running.signal(signal)?;
        assert!(running.wait()?.code(9)?.stdout.contains(&format!("got {name}")));
    }
    Ok(())
}

fn dies_with_engine() -> Outcome {
    let sandbox = Sandbox::new()?;
    let mut running = sandbox.step(1).args(["run", "--", "sh", "-c", "echo pid $$; exec sleep 60"]).spawn()?;
    running.says("pid ")?;
    let pid = pid_of(&running.output().0)?;
    running.signal(Signal::SIGKILL)?;
    running.wait()?;
    ends(pid)
}

fn init_reaps() -> Outcome {
    let sandbox = Sandbox::new()?;
    // The inner shell leaves an orphan that ends at once; then its zombie is looked for.
    let look = "(sh -c 'sleep 0.05 &' ); sleep 0.3; ps -e -o ppid=,stat= | grep -c \"^ *$PPID Z\"; true";
    let done = sandbox.step(1).args(["run", "--init", "--", "sh", "-c", look]).run()?;
    assert_eq!(done.ok()?.stdout, "0\n");
    Ok(())
}

fn init_forwards() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.step(1).args(["run", "--init", "--", "sh", "-c", "exit 5"]).run()?.code(5)?;
    sandbox.step(1).args(["run", "--init", "--", "no-such-program"]).run()?.code(127)?;
    let trap = "trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done";
    let mut running = sandbox.step(1).args(["run", "--init", "--", "sh", "-c", trap]).spawn()?;
    running.says("ready")?;
    running.signal(Signal::SIGTERM)?;
    running.wait()?.code(6)?;
    Ok(())
}

fn explain() -> Outcome {
    let sandbox = Sandbox::new()?;
    let done = sandbox.step(1).args(["--explain", "run", "--", "true"]).run()?;
    done.ok()?.stderr_has("clone3(0) = ")?.stderr_has("execve(")?.stderr_has("chapter 1")?;
    let silent = sandbox.step(1).args(["run", "--", "true"]).run()?;
    assert_eq!(silent.ok()?.stderr, "");
    Ok(())
}

fn listener_gone() -> Outcome {
    let sandbox = Sandbox::new()?;
    let step = harness::step(1)?.display().to_string();
    // The narration's reader ends at once; the program says more than a pipe holds, to nobody.
    let script = format!("({step} --explain run -- sh -c 'sleep 0.2; exit 3'; echo code $? >&3) 2>&1 | :");
    let done = sandbox.program("sh").args(["-c", &format!("exec 3>&1; {script}")]).run()?;
    assert_eq!(done.ok()?.text(), "code 3");
    Ok(())
}

fn help() -> Outcome {
    let sandbox = Sandbox::new()?;
    let done = sandbox.step(1).args(["run", "--help"]).run()?;
    for option in ["--env", "--env-file", "--workdir", "--user", "--init", "--explain"] {
        assert!(done.stdout.contains(option), "--help lacks {option}:\n{}", done.stdout);
    }
    let done = sandbox.step(1).args(["completion", "bash"]).run()?;
    assert!(done.ok()?.stdout.contains("complete -F"));
    Ok(())
}

fn ctrl_c() -> Outcome {
    let sandbox = Sandbox::new()?;
    let trap = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done";
    let mut terminal = sandbox.step(1).args(["run", "--", "sh", "-c", trap]).pty()?;
    terminal.expect("ready")?;
    terminal.send("\x03")?;
    // Had it reached us too, we would have forwarded a second one, or died of it before the trap's exit code.
    terminal.expect("caught")?;
    assert_eq!(terminal.wait()?, 3);
    Ok(())
}

fn interactive_shell() -> Outcome {
    let sandbox = Sandbox::new()?;
    let mut terminal = sandbox.step(1).args(["run", "--", "sh"]).pty()?;
    terminal.send("echo sum $((40 + 2))\n")?;
    terminal.expect("sum 42")?;
    // Ctrl-C ends the command in the foreground, not the shell and not the engine.
    terminal.send("sleep 60\n")?;
    std::thread::sleep(Duration::from_millis(200));
    terminal.send("\x03")?;
    terminal.send("echo still $((40 + 3))\n")?;
    terminal.expect("still 43")?;
    terminal.send("exit 4\n")?;
    assert_eq!(terminal.wait()?, 4);
    Ok(())
}

fn user_option() -> Outcome {
    let sandbox = Sandbox::new()?;
    let done = sandbox.step(1).args(["run", "-u", "nobody", "--", "sh", "-c", "id -un; id -G; echo $HOME"]).run()?;
    let done = done.ok()?;
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!((lines[0], lines[2]), ("nobody", "/nonexistent"));
    let done = sandbox.step(1).args(["run", "-u", "4242:4243", "--", "sh", "-c", "id -u; id -g; id -G"]).run()?;
    assert_eq!(done.ok()?.stdout, "4242\n4243\n4243\n");
    sandbox.step(1).args(["run", "-u", "no-such-user", "--", "true"]).run()?.code(125)?.stderr_has("/etc/passwd")?;
    // The set-uid bit is gone and so are the privileges: nothing leads back.
    sandbox.step(1).args(["run", "-u", "4242", "--", "chown", "0", "/"]).run()?.code(1)?;
    Ok(())
}

/// The number after `pid `.
fn pid_of(text: &str) -> Outcome<i32> {
    let after = text.rsplit("pid ").next().unwrap_or_default();
    Ok(after.split_whitespace().next().unwrap_or_default().parse()?)
}

/// Waits until a process is gone.
fn ends(pid: i32) -> Outcome {
    for _ in 0..100 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("process {pid} outlives its engine"))?
}
