//! What is printed for drivers and people: version, features, spec, list, help.

use std::fs;

use harness::{Outcome, Sandbox, Suite};
use serde_json::Value;

use crate::world::World;

pub fn add(suite: Suite) -> Suite {
    suite
        .user("the version names the specification", version)
        .user("features are the specification's", features)
        .user("spec writes what can be run, and never over a file", spec)
        .user("help knows the verbs and their options", help)
        .user("a wrong command line is refused", wrong)
        .user("an ordinary user's state lies in XDG_RUNTIME_DIR", default_root)
        .user("list: table, ids and JSON", || list(&World::ordinary()?))
        .needs(&["busybox", "userns"])
}

fn run(args: &[&str]) -> Outcome<harness::Done> {
    Sandbox::new()?.program(env!("CARGO_BIN_EXE_cooper-runtime")).args(args).run()
}

fn version() -> Outcome {
    let done = run(&["--version"])?.ok()?;
    let lines: Vec<_> = done.stdout.lines().collect();
    assert!(lines[0].starts_with("cooper-runtime version "), "{lines:?}");
    assert!(lines[1].starts_with("commit: "), "{lines:?}");
    assert_eq!(lines[2], "spec: 1.2.0");
    Ok(())
}

fn features() -> Outcome {
    let features: Value = serde_json::from_str(&run(&["features"])?.ok()?.stdout)?;
    assert_eq!(features["ociVersionMax"], "1.2.0");
    for (pointer, wanted) in [
        ("/hooks", "createContainer"),
        ("/mountOptions", "rro"),
        ("/linux/namespaces", "time"),
        ("/linux/capabilities", "CAP_SYS_ADMIN"),
        ("/linux/seccomp/actions", "SCMP_ACT_ERRNO"),
    ] {
        let list = features.pointer(pointer).and_then(Value::as_array).ok_or(pointer)?;
        assert!(list.iter().any(|entry| entry == wanted), "{pointer}: {list:?}");
    }
    Ok(())
}

fn spec() -> Outcome {
    let sandbox = Sandbox::new()?;
    let program = || sandbox.program(env!("CARGO_BIN_EXE_cooper-runtime")).current_dir(sandbox.path());
    program().arg("spec").run()?.ok()?;
    let spec: Value = serde_json::from_slice(&fs::read(sandbox.path().join("config.json"))?)?;
    assert_eq!((&spec["ociVersion"], &spec["root"]["path"]), (&Value::from("1.2.0"), &Value::from("rootfs")));
    program().arg("spec").run()?.code(1)?.stderr_has("exists")?;
    Ok(())
}

fn help() -> Outcome {
    let all = run(&["--help"])?.ok()?;
    for verb in [
        "create", "start", "state", "kill", "delete", "run", "exec", "ps", "pause", "resume", "update", "events",
        "list", "spec", "features",
    ] {
        assert!(all.stdout.contains(&format!("  {verb} ")), "{verb}: {}", all.stdout);
        run(&[verb, "--help"])?.ok()?.stdout_has("Usage: cooper-runtime")?;
    }
    run(&["exec", "--help"])?.ok()?.stdout_has("--process")?;
    Ok(())
}

fn wrong() -> Outcome {
    run(&[])?.code(1)?.stderr_has("Usage")?;
    run(&["dance"])?.code(1)?.stderr_has("dance")?;
    run(&["create"])?.code(1)?.stderr_has("<ID>")?;
    run(&["create", "--dance", "id"])?.code(1)?.stderr_has("--dance")?;
    run(&["--log-format", "xml", "list"])?.code(1)?.stderr_has("xml")?;
    run(&["--log", "/nope/log", "list"])?.fails()?.stderr_has("/nope/log")?;
    Ok(())
}

fn default_root() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let runtime_dir = sandbox.user().ok_or("no user")?.runtime_dir().join("cooper-runtime");
    fs::create_dir_all(runtime_dir.join("made-by-hand"))?;
    sandbox.user().ok_or("no user")?.give(&runtime_dir)?;
    let done = sandbox.program(env!("CARGO_BIN_EXE_cooper-runtime")).args(["list", "--quiet"]).run()?.ok()?;
    assert_eq!(done.text(), "made-by-hand");
    Ok(())
}

fn list(world: &World) -> Outcome {
    assert_eq!(world.runtime(&["list", "--format", "json"])?.ok()?.text(), "[]");
    world.write(&["sleep", "1000"])?;
    for id in ["b", "a"] {
        world.with_bundle("create", &[id])?.ok()?;
    }
    world.runtime(&["start", "b"])?.ok()?;
    assert_eq!(world.runtime(&["list", "-q"])?.ok()?.stdout, "a\nb\n");
    let table = world.runtime(&["list"])?.ok()?.stdout;
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    assert_eq!((lines[1][0], lines[1][2], lines[2][0], lines[2][2]), ("a", "created", "b", "running"));
    let json: Value = serde_json::from_str(&world.runtime(&["list", "-f", "json"])?.ok()?.stdout)?;
    assert_eq!(json[1]["status"], "running");
    Ok(())
}
