//! What surrounds a container: logs, hooks, descriptors, the bundle, and who makes its group.

use std::fs;

use harness::Outcome;
use serde_json::{Value, json};

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("the log has one object for podman to parse", log),
    ("hooks of start and delete", hooks),
    ("what is done to the bundle after create does not matter", bundle_changes),
    ("a program that is missing is told by create", missing_program),
    ("a descriptor is passed on", preserve_fds),
    ("a service manager's sockets are passed on", listen_fds),
    ("a pid file that cannot be written leaves no container", no_pid_file),
    ("a hook may ask for the state, as often as it likes", asking_hook),
];

/// Only for root, who may make groups anywhere.
pub const ROOT: &[(&str, Test)] = &[
    ("--systemd-cgroup: a scope, or the reason why not", systemd),
    ("--cgroup-manager disabled: no group, and no limit either", no_group),
];

fn log(world: &mut World) -> Outcome {
    let log = world.sandbox.file("log.json", "")?;
    let log_option = log.to_str().ok_or("path")?;
    let logged = ["--log", log_option, "--log-format", "json", "--systemd-cgroup=false"];
    world.runtime(&[&logged[..], &["state", "nobody"]].concat())?.code(1)?.stderr_has("container does not exist")?;
    let line: Value = serde_json::from_slice(&fs::read(&log)?)?;
    assert_eq!((&line["level"], &line["msg"]), (&json!("error"), &json!("container does not exist")));
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')));
    // What goes well says nothing.
    fs::write(&log, "")?;
    world.write(&["true"])?;
    let bundle = world.bundle();
    let run = ["run", "--bundle", bundle.to_str().ok_or("path")?, "one"];
    world.runtime(&[&logged[..], &run].concat())?.ok()?;
    assert_eq!(fs::read_to_string(&log)?, "");
    Ok(())
}

fn hooks(world: &mut World) -> Outcome {
    let seen = world.sandbox.file("seen", "")?;
    let seen = seen.to_str().ok_or("path")?;
    let hook = |name: &str| json!([{ "path": "/bin/sh", "args": ["sh", "-c", format!("(echo {name}; cat; echo) >> {seen}")] }]);
    world.config["hooks"] = json!({ "poststart": hook("poststart"), "poststop": hook("poststop") });
    world.write(&["sleep", "1000"])?;
    world.with_bundle("create", &["one"])?.ok()?;
    assert_eq!(fs::read_to_string(seen)?, "");
    world.runtime(&["start", "one"])?.ok()?;
    let told = fs::read_to_string(seen)?;
    let state: Value = serde_json::from_str(told.strip_prefix("poststart\n").ok_or(told.clone())?)?;
    assert_eq!((&state["id"], &state["status"]), (&json!("one"), &json!("running")));
    fs::write(seen, "")?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    let told = fs::read_to_string(seen)?;
    assert!(told.starts_with("poststop\n") && told.contains("\"stopped\""), "{told}");
    // One that fails after the start ends the container; one that fails after the end is only told.
    world.config["hooks"] = json!({ "poststart": [{ "path": "/bin/false" }] });
    world.write(&["sleep", "1000"])?;
    world.with_bundle("run", &["--detach", "one"])?.code(1)?.stderr_has("poststart hook")?;
    assert!(world.left().is_empty());
    world.config["hooks"] = json!({ "poststop": [{ "path": "/bin/false" }] });
    world.write(&["true"])?;
    world.with_bundle("run", &["one"])?.code(0)?.stderr_has("poststop hook")?;
    Ok(())
}

fn bundle_changes(world: &mut World) -> Outcome {
    world.config["process"]["env"] = json!(["PATH=/bin", "WHICH=first"]);
    world.write(&["sleep", "1000"])?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    world.sandbox.file("b/config.json", "nonsense")?;
    let done = world.runtime(&["exec", "one", "sh", "-c", "echo $WHICH"])?.ok()?;
    assert_eq!(done.text(), "first");
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    Ok(())
}

fn missing_program(world: &mut World) -> Outcome {
    for (program, told) in [
        ("nope", r#"exec: "nope": executable file not found in $PATH"#),
        ("/nope", r#"exec: "/nope": stat /nope: no such file or directory"#),
        ("/etc", r#"exec: "/etc": permission denied"#),
    ] {
        world.write(&[program])?;
        let done = world.with_bundle("create", &["one"])?.code(1)?;
        assert!(done.stderr.replace('\\', "").contains(told), "{}", done.stderr);
    }
    assert!(world.left().is_empty());
    let bundle = world.sandbox.dir("empty")?;
    let done = world.runtime(&["create", "--bundle", bundle.to_str().ok_or("path")?, "one"])?.code(1)?;
    done.stderr_has("config.json")?;
    assert!(world.left().is_empty());
    Ok(())
}

fn preserve_fds(world: &mut World) -> Outcome {
    world.write(&["sh", "-c", "cat <&3; ls /proc/self/fd | wc -l"])?;
    let runtime = env!("CARGO_BIN_EXE_cooper-runtime");
    let file = world.sandbox.file("passed", "by descriptor\n")?;
    let script = format!(
        "{runtime} --root {} run --bundle {} --preserve-fds 1 one 3< {} 9< /dev/null",
        world.state().display(),
        world.bundle().display(),
        file.display()
    );
    let shell = world.sandbox.program("/bin/sh").args(["-c", &script]).run()?.ok()?;
    // The three standard ones, the one that was passed, and that of `ls` itself.
    assert_eq!(shell.stdout.split_whitespace().collect::<Vec<_>>(), ["by", "descriptor", "5"]);
    Ok(())
}

fn listen_fds(world: &mut World) -> Outcome {
    world.write(&["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4"])?;
    let runtime = env!("CARGO_BIN_EXE_cooper-runtime");
    let one = world.sandbox.file("one", "first\n")?;
    let two = world.sandbox.file("two", "second\n")?;
    let (state, bundle) = (world.state(), world.bundle());
    let script = format!(
        "LISTEN_FDS=1 {runtime} --root {} run --bundle {} --preserve-fds 1 one 3< {} 4< {}",
        state.display(),
        bundle.display(),
        one.display(),
        two.display()
    );
    let done = world.sandbox.program("/bin/sh").args(["-c", &script]).run()?.ok()?;
    assert_eq!(done.stdout, "1 1\nfirst\nsecond\n");
    Ok(())
}

fn no_pid_file(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    for verb in [&["create"][..], &["run"], &["run", "--detach"]] {
        let args = [&verb[1..], &["--pid-file", "/nope/pid", "one"]].concat();
        world.with_bundle(verb[0], &args)?.code(1)?.stderr_has("--pid-file")?;
        assert!(world.left().is_empty(), "{verb:?}");
    }
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    world.runtime(&["exec", "--detach", "--pid-file", "/nope/pid", "one", "sleep", "1000"])?.code(255)?;
    Ok(())
}

fn asking_hook(world: &mut World) -> Outcome {
    let seen = world.sandbox.file("seen", "")?;
    let ask = format!("{} --root {} state one", env!("CARGO_BIN_EXE_cooper-runtime"), world.state().display());
    let script = format!("for i in 1 2 3 4 5 6; do {ask} || exit 1; done > {}", seen.display());
    let hook = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "timeout": 20 }]);
    world.config["hooks"] = json!({ "createRuntime": hook });
    world.write(&["true"])?;
    world.with_bundle("create", &["one"])?.ok()?;
    assert_eq!(fs::read_to_string(&seen)?.matches("\"id\": \"one\"").count(), 6);
    world.runtime(&["start", "one"])?.ok()?;
    world.wait_for("one", "stopped")
}

fn systemd(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    let bundle = world.bundle();
    let create = ["--systemd-cgroup", "create", "--bundle", bundle.to_str().ok_or("path")?, "one"];
    world.config["linux"]["cgroupsPath"] = json!("/no/unit");
    world.write(&["sleep", "1000"])?;
    world.runtime(&create)?.code(1)?.stderr_has("slice:prefix:name")?;
    world.config["linux"]["cgroupsPath"] = json!("system.slice:cooper-test:one");
    world.write(&["sleep", "1000"])?;
    let done = world.runtime(&create)?;
    if done.code != 0 {
        done.stderr_has("--systemd-cgroup")?.stderr_has("leave --systemd-cgroup out")?;
        assert!(world.left().is_empty());
        return Ok(());
    }
    let state = fs::read_to_string(world.state().join("one/state.json"))?;
    assert!(state.contains("cooper-test-one.scope\""), "{state}");
    world.runtime(&["start", "one"])?.ok()?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    Ok(())
}

fn no_group(world: &mut World) -> Outcome {
    world.config["linux"]["cgroupsPath"] = json!("/cooper-test-none");
    world.write(&["cat", "/proc/self/cgroup"])?;
    let bundle = world.bundle();
    let run = ["--cgroup-manager", "disabled", "run", "--bundle", bundle.to_str().ok_or("path")?, "one"];
    let done = world.runtime(&run)?.ok()?;
    assert!(!done.stdout.contains("cooper-test-none"), "{}", done.stdout);
    world.config["linux"]["resources"] = json!({ "pids": { "limit": 9 } });
    world.write(&["true"])?;
    world.runtime(&run)?.code(1)?.stderr_has("linux.resources.pids.limit needs a control group")?;
    assert!(world.left().is_empty());
    Ok(())
}
