//! Containers' directories: kept, listed, removed, and what a killed engine leaves of them.

use std::fs;

use harness::Outcome;
use nix::sys::signal::Signal;

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("a container is kept and listed until it is removed", kept),
    ("--rm leaves nothing", removed),
    ("a container whose program never ran leaves nothing", never_ran),
    ("a name is taken until the container is removed", name),
    ("a running container is not removed, unless by force", running),
    ("kill -9 leaves no mounts, and the next start works", kill_nine),
    ("--rm holds also after kill -9, with the next start", killed_and_removed),
    ("of two that want a name at once, one gets it", name_at_once),
    ("exec sees the root and what is mounted on it", exec),
    ("what was half made or half removed is swept", half),
];

fn kept(world: &World) -> Outcome {
    world.inside(&["--name", "c1"], "exit 0")?;
    world.container(&["--name", "c2"], "exit 3").run()?.code(3)?;
    let list = world.ok(&["ls"])?;
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.contains("exited") && list.contains("c1") && list.contains("sh -c exit 3"), "{list}");
    // The overlay's scratch directory is closed even to its owner.
    let id = world.containers()[0].file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    assert_eq!(world.ok(&["rm", &id[..12]])?, format!("{}\n", &id[..12]));
    assert_eq!(world.containers().len(), 1);
    assert!(!world.containers()[0].ends_with(&id));
    Ok(())
}

fn removed(world: &World) -> Outcome {
    world.inside(&["--rm"], "echo x > /x")?;
    world.container(&["--rm", "--init"], "kill -9 $$").run()?.code(137)?;
    assert!(world.containers().is_empty());
    Ok(())
}

fn never_ran(world: &World) -> Outcome {
    world.step(&["run", "--layer"]).arg(&world.base).arg("/no/such").run()?.code(127)?;
    world.container(&["-v", "/etc:/etc/passwd"], "true").run()?.code(125)?;
    assert!(world.containers().is_empty());
    Ok(())
}

fn name(world: &World) -> Outcome {
    world.inside(&["--name", "web"], "true")?;
    world.refused(&["--name", "web"], "is taken")?;
    world.ok(&["rm", "web"])?;
    world.inside(&["--name", "web"], "true")?;
    Ok(())
}

fn running(world: &World) -> Outcome {
    let mut container = world.container(&["--name", "web"], "echo up; echo x > /x; sleep 60").spawn()?;
    container.says("up")?;
    assert!(world.ok(&["ls"])?.contains("running"));
    world.step(&["rm", "web"]).run()?.code(125)?.stderr_has("in use")?;
    assert_eq!(world.ok(&["diff", "web"])?, "A /x\n");
    world.ok(&["rm", "--force", "web"])?;
    container.wait()?.code(137)?;
    assert!(world.containers().is_empty());
    Ok(())
}

fn kill_nine(world: &World) -> Outcome {
    let host = world.host("host")?;
    let volume = format!("{}:/h", host.display());
    let options = ["--name", "web", "-v", &volume, "-v", "vol:/data", "--tmpfs", "/t"];
    let mut container = world.container(&options, "echo x > /x; echo up; sleep 60").spawn()?;
    container.says("up")?;
    container.signal(Signal::SIGKILL)?;
    container.wait()?.code(137)?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    assert!(!mounts.contains(&world.sandbox.data().display().to_string()), "{mounts}");
    let mut said = String::new();
    for _ in 0..100 {
        // Its process dies with it, a moment later.
        said = world.ok(&["ls"])?;
        if said.contains("exited") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(said.contains("exited"), "{said}");
    assert_eq!(world.ok(&["diff", "web"])?, "A /h\nA /t\nA /x\n");
    world.ok(&["rm", "web"])?;
    assert_eq!(world.inside(&["--name", "web", "-v", "vol:/data"], "ls /data")?, "link\none\nsub\n");
    Ok(())
}

/// `--rm` holds also where nobody was left to do it: the next start does.
fn killed_and_removed(world: &World) -> Outcome {
    let mut container = world.container(&["--rm", "--name", "brief", "-v", "/kept"], "echo up; sleep 60").spawn()?;
    container.says("up")?;
    container.signal(Signal::SIGKILL)?;
    container.wait()?.code(137)?;
    for _ in 0..100 {
        if world.ok(&["ps"])?.lines().count() == 1 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    world.inside(&["--rm", "--name", "brief"], "true")?;
    assert_eq!(world.ok(&["ls"])?.lines().count(), 1);
    assert_eq!(world.ok(&["volume", "ls"])?.lines().count(), 1);
    Ok(())
}

fn half(world: &World) -> Outcome {
    world.inside(&["--name", "c1"], "true")?;
    let whole = world.containers().pop().ok_or("no container")?;
    fs::rename(&whole, whole.with_file_name(".half-1234"))?;
    assert_eq!(world.ok(&["ls"])?.lines().count(), 1);
    world.inside(&["--rm"], "true")?;
    assert!(world.containers().is_empty(), "{:?}", world.containers());
    Ok(())
}

fn name_at_once(world: &World) -> Outcome {
    let script = "echo up; sleep 60";
    let mut both = [
        world.container(&["--name", "web", "-v", "vol:/data"], script).spawn()?,
        world.container(&["--name", "web", "-v", "vol:/data"], script).spawn()?,
    ];
    for container in &mut both {
        // One says so, the other one why not.
        container.says("\n")?;
    }
    let said: Vec<_> = both.iter().map(harness::Background::output).collect();
    let up = said.iter().filter(|(out, _)| out.contains("up")).count();
    let taken = said.iter().filter(|(_, err)| err.contains("is taken")).count();
    assert_eq!((up, taken), (1, 1), "{said:?}");
    world.ok(&["rm", "--force", "web"])?;
    for container in both {
        container.wait()?.fails()?;
    }
    Ok(())
}

fn exec(world: &World) -> Outcome {
    let options = ["--name", "web", "-v", "vol:/data", "--tmpfs", "/t"];
    let mut container = world.container(&options, "echo mine > /t/x; echo up; sleep 60").spawn()?;
    container.says("up")?;
    let seen = world.ok(&["exec", "web", "sh", "-c", "cat /t/x /data/one /etc/motd; echo x > /by-exec"])?;
    assert_eq!(seen, "mine\n1\nfrom the layer\n");
    assert_eq!(world.ok(&["diff", "web"])?, "A /by-exec\nA /t\n");
    world.ok(&["rm", "--force", "web"])?;
    container.wait()?.code(137)?;
    Ok(())
}
