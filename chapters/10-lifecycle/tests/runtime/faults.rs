//! Two at once, and kill -9 at any moment: what is left can be deleted, and `list` tells the truth.

use std::time::Instant;

use harness::Outcome;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("kill -9 of create, start or run at any moment leaves what delete --force removes", random_kills),
    ("of two creates one wins, of two starts too", two_at_once),
    ("a half-made state directory is told and deleted", half_made),
    ("stale: a pid that another process has by now is nobody's", reused_pid),
];

fn random_kills(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    let bundle = world.bundle();
    let bundle = bundle.to_str().ok_or("path")?;
    // How long it takes undisturbed, so that the moments lie within.
    let begin = Instant::now();
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    let whole = begin.elapsed();
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    for round in 0..40 {
        let verb: &[&str] = if round % 2 == 0 { &["create"] } else { &["run", "--detach"] };
        let running = world.command(&[verb, &["--bundle", bundle, "one"]].concat()).spawn()?;
        std::thread::sleep(whole * round / 40);
        running.signal(Signal::SIGKILL)?;
        let _ = running.wait()?;
        let listed: Value = serde_json::from_str(&world.runtime(&["list", "--format", "json"])?.ok()?.stdout)?;
        let listed = listed.as_array().ok_or("no list")?;
        assert_eq!(listed.len(), world.left().len(), "{listed:?}");
        if let Some(one) = listed.first() {
            let lives = one["pid"].as_i64().is_some_and(|pid| pid > 0);
            // For the moment that the killed one's child takes to follow it, its lock is still held.
            let ended = one["status"] == "stopped" || one["status"] == "creating";
            assert_eq!(ended, !lives, "{one}");
        }
        world.runtime(&["delete", "--force", "one"])?.ok()?;
        assert!(world.left().is_empty(), "round {round}");
    }
    Ok(())
}

fn two_at_once(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    let bundle = world.bundle();
    let create = ["create", "--bundle", bundle.to_str().ok_or("path")?, "one"];
    for args in [&create[..], &["start", "one"]] {
        let both = [world.command(args).spawn()?, world.command(args).spawn()?];
        let codes: Vec<i32> = both.into_iter().map(|one| Ok(one.wait()?.code)).collect::<Outcome<_>>()?;
        assert_eq!(codes.iter().filter(|&&code| code == 0).count(), 1, "{args:?}: {codes:?}");
    }
    assert_eq!(world.status("one")?, "running");
    Ok(())
}

fn half_made(world: &mut World) -> Outcome {
    world.sandbox.dir("state")?;
    world.sandbox.dir("state/half")?;
    world.sandbox.file("state/half/config.json", "{")?;
    let listed = world.runtime(&["list"])?.ok()?;
    assert!(
        listed.stdout.lines().nth(1).is_some_and(|line| line.starts_with("half") && line.contains("stopped")),
        "{}",
        listed.stdout
    );
    world.runtime(&["kill", "half"])?.code(1)?.stderr_has("container not running")?;
    world.runtime(&["delete", "half"])?.ok()?;
    assert!(world.left().is_empty());
    Ok(())
}

fn reused_pid(world: &mut World) -> Outcome {
    world.write(&["true"])?;
    world.with_bundle("run", &["--keep", "one"])?.ok()?;
    let path = world.state().join("one/state.json");
    let mut state: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    // Ourselves, whom nobody shall hit.
    state["pid"] = std::process::id().into();
    std::fs::write(&path, state.to_string())?;
    assert_eq!(world.status("one")?, "stopped");
    world.runtime(&["kill", "one", "9"])?.code(1)?.stderr_has("container not running")?;
    world.runtime(&["delete", "--force", "one"])?.ok()?;
    Ok(())
}
