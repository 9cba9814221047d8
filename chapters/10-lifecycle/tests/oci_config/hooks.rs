//! Hooks: when they run, where, and what they are told. Compared with the peers by the log that they write.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

use harness::{Outcome, Suite};
use serde_json::{Value, json};

use crate::world::{Cooper, Crun, Runc, Who, World};

pub fn add(mut suite: Suite) -> Suite {
    for who in [Cooper, Runc, Crun] {
        let about = |what: &str| {
            if who == Cooper { what.to_owned() } else { format!("{} does the same: {what}", who.program()) }
        };
        suite = suite.root(about("hooks run in their order, in their namespaces"), move || order(who));
        suite = suite.needs(&["busybox", "unshare", who_needs(who)]);
        suite = suite.root(about("hooks are told the state"), move || told(who));
        suite = suite.needs(&["busybox", "unshare", who_needs(who)]);
        suite = suite.root(about("a hook that fails ends the container"), move || fails(who));
        suite = suite.needs(&["busybox", "unshare", who_needs(who)]);
    }
    suite
        .root("a hook has its arguments and variables, and no others", arguments)
        .needs(&["busybox", "unshare"])
        .root("a hook that takes too long is killed", too_long)
        .needs(&["busybox", "unshare"])
        .root("a poststop hook runs also after a failure", after_failure)
        .needs(&["busybox", "unshare"])
}

fn who_needs(who: Who) -> &'static str {
    if who == Cooper { "busybox" } else { who.program() }
}

/// A world with a script that serves as every hook: it appends a line to the log.
fn world(script: &str) -> Outcome<(World, PathBuf)> {
    let mut world = World::new()?;
    let log = world.sandbox.file("log/lines", "")?;
    let hook = world.sandbox.file("log/hook", format!("#!/bin/sh\nlog={}\n{script}\n", log.display()))?;
    fs::set_permissions(&hook, PermissionsExt::from_mode(0o755))?;
    // startContainer hooks are programs of the container: there the directory has the same name.
    let place = log.parent().ok_or("no directory")?;
    world.mount(json!({ "destination": place, "source": place, "options": ["bind"] }));
    world.set("/process/args", json!(["sh", "-c", format!("echo program >> {}", log.display())]));
    Ok((world, log))
}

const MOMENTS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

fn hook(world: &World, words: &[&str]) -> Value {
    let args: Vec<_> = std::iter::once("hook").chain(words.iter().copied()).collect();
    json!({ "path": world.sandbox.path().join("log/hook"), "args": args, "env": ["PATH=/usr/bin:/bin"] })
}

fn order(who: Who) -> Outcome {
    // Whether it stands in the container's mount namespace, and in its root.
    let script = "test \"$(readlink /proc/self/ns/mnt)\" = \"$2\" && where=host || where=container\n\
                  test -e /bin/busybox -a ! -e /usr && root=container || root=host\n\
                  cat > /dev/null; echo \"$1 $where $root\" >> $log";
    let (mut world, log) = world(script)?;
    let host = fs::read_link("/proc/self/ns/mnt")?.display().to_string();
    for moment in MOMENTS {
        let two =
            json!([hook(&world, &[&format!("{moment} 1"), &host]), hook(&world, &[&format!("{moment} 2"), &host])]);
        world.set(&format!("/hooks/{moment}"), two);
    }
    world.run(who)?.code(0)?;
    let lines = fs::read_to_string(log)?;
    let of_host = |moment: &str| format!("{moment} 1 host host\n{moment} 2 host host\n");
    let inside = "createContainer 1 container host\ncreateContainer 2 container host\n\
                  startContainer 1 container container\nstartContainer 2 container container\n";
    let before = of_host("prestart") + &of_host("createRuntime") + inside;
    let wanted = before + &of_host("poststart") + &of_host("poststop");
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().filter(|line| *line != "program").map(str::to_owned).collect();
        if who == Crun {
            // It runs in a namespace of its own here, see HIDE_V1.
            lines.iter_mut().for_each(|line| *line = line.replace(" host host", " container host"));
        }
        if who != Cooper {
            lines.sort(); // the peers do not wait for startContainer before they come to poststart
        }
        lines
    };
    assert_eq!(sorted(&lines), sorted(&wanted), "{lines}");
    // The program and poststart run at the same time, but startContainer is before both.
    let at = |wanted: &str| lines.lines().position(|line| line.starts_with(wanted));
    assert!(at("program") > at("startContainer 2") && at("program") < at("poststop"), "{lines}");
    Ok(())
}

fn told(who: Who) -> Outcome {
    let (mut world, log) = world("cat >> $log; echo >> $log")?;
    for moment in MOMENTS {
        world.set(&format!("/hooks/{moment}"), json!([hook(&world, &[])]));
    }
    world.set("/annotations", json!({ "org.example.key": "value" }));
    world.set("/process/args", json!(["sleep", "0.2"]));
    world.run(who)?.code(0)?;
    let text = fs::read_to_string(log)?;
    let states = serde_json::Deserializer::from_str(&text).into_iter::<Value>().collect::<Result<Vec<_>, _>>()?;
    let statuses: Vec<_> = states.iter().map(|state| state["status"].as_str().unwrap_or("none").to_owned()).collect();
    assert_eq!(states.len(), 6, "{text}");
    let bundle = world.bundle();
    for (state, moment) in states.iter().zip(MOMENTS) {
        assert_eq!(state["id"], "case", "{moment}: {state}");
        assert_eq!(state["annotations"]["org.example.key"], "value", "{moment}: {state}");
        assert!(state["ociVersion"].is_string(), "{moment}: {state}");
        if who != Cooper {
            continue; // crun gives startContainer hooks another bundle and no pid, runc calls a running one created
        }
        assert_eq!(state["bundle"].as_str(), bundle.to_str(), "{moment}: {state}");
        if moment != "poststop" {
            assert!(state["pid"].as_i64().is_some_and(|pid| pid > 0), "{moment}: {state}");
        }
    }
    let wanted = ["creating", "creating", "creating", "created", "running", "stopped"];
    if who == Cooper {
        assert_eq!(statuses, wanted, "{text}");
    }
    Ok(())
}

fn fails(who: Who) -> Outcome {
    for moment in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let (mut world, log) = world("cat > /dev/null; echo the reason >&2; exit 7")?;
        world.set(&format!("/hooks/{moment}"), json!([hook(&world, &[])]));
        let done = world.run(who)?.fails()?;
        if who == Cooper {
            done.stderr_has(moment)?.stderr_has("the reason")?;
        }
        assert_eq!(fs::read_to_string(log)?, "", "{moment}: the program has run");
    }
    Ok(())
}

fn arguments() -> Outcome {
    let (mut world, log) =
        world("printf '%s|' \"$@\" >> $log; echo >> $log; tr '\\0' '\\n' < /proc/$$/environ | sort >> $log")?;
    let mut one = hook(&world, &["a b", "", "$c"]);
    one["env"] = json!(["PATH=/usr/bin:/bin", "ONLY=this"]);
    world.set("/hooks/createRuntime", json!([one]));
    world.command(Cooper, &["--help"]).run()?.ok()?;
    world.run(Cooper)?.code(0)?;
    let text = fs::read_to_string(log)?;
    let text =
        text.lines().filter(|line| !line.starts_with("PWD=") && *line != "program").collect::<Vec<_>>().join("\n");
    assert_eq!(text, "a b||$c|\nONLY=this\nPATH=/usr/bin:/bin");
    Ok(())
}

fn too_long() -> Outcome {
    let (mut world, log) = world("exec sleep 60")?;
    let mut one = hook(&world, &[]);
    one["timeout"] = json!(1);
    world.set("/hooks/createRuntime", json!([one]));
    let begin = Instant::now();
    world.run(Cooper)?.fails()?.stderr_has("within 1 s")?;
    assert!(begin.elapsed().as_secs() < 20);
    assert_eq!(fs::read_to_string(log)?, "");
    Ok(())
}

fn after_failure() -> Outcome {
    let (mut world, log) = world("cat > /dev/null; echo $1 >> $log; test $1 != createRuntime")?;
    for moment in ["createRuntime", "poststop"] {
        world.set(&format!("/hooks/{moment}"), json!([hook(&world, &[moment])]));
    }
    world.run(Cooper)?.fails()?;
    assert_eq!(fs::read_to_string(log)?, "createRuntime\npoststop\n");
    Ok(())
}
