//! Named and anonymous volumes.

use std::fs;

use harness::Outcome;

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("a volume is filled from the image once", filled_once),
    ("a filling that was cut short is done again", half_filled),
    ("containers that start at once wait for the filling", at_once),
    ("nocopy leaves a volume empty", no_copy),
    ("a volume that is used cannot be removed", used),
    ("an anonymous volume goes with its container", anonymous),
    ("volumes have names, and are made and removed by hand", by_hand),
];

fn filled_once(world: &World) -> Outcome {
    let look = "cd /vol; stat -c '%n %a %u %g %Y' . sub; stat -c '%n %a %u %g %h %Y' one link sub/two; readlink link; cat one sub/again";
    let prepare = "chmod 4711 /data/sub/two; chown 7:7 /data/sub /data/one; chmod 1777 /data; ";
    let expected = world.inside(&["--name", "c1"], &format!("{prepare} {}", look.replace("/vol", "/data")))?;
    // What a container changed becomes a layer of the next, so that the volume's place has owners and modes.
    let upper = world.containers().pop().ok_or("no container")?.join("upper");
    let run = |script: &str| -> Outcome<String> {
        let run = world.step(&["run", "--layer"]).arg(&world.base).arg("--layer").arg(&upper);
        Ok(run.args(["-v", "vol:/data", "sh", "-c", script]).run()?.ok()?.stdout)
    };
    if world.sandbox.user().is_none() {
        assert_eq!(run(&look.replace("/vol", "/data"))?, expected);
    }
    assert_eq!(world.inside(&["-v", "once:/data"], "cat /data/one; echo mine > /data/one; rm /data/link")?, "1\n");
    assert_eq!(world.inside(&["-v", "once:/data"], "cat /data/one; ls /data")?, "mine\none\nsub\n");
    assert_eq!(
        world.inside(&["-v", "once:/elsewhere:ro"], "ls /elsewhere; echo x > /elsewhere/x || true")?,
        "one\nsub\n"
    );
    assert_eq!(fs::read_to_string(world.base.join("data/one"))?, "1\n");
    Ok(())
}

fn half_filled(world: &World) -> Outcome {
    let volume = world.sandbox.data().join("volumes/vol");
    world.ok(&["volume", "create", "vol"])?;
    for file in ["filling", "_data/half"] {
        fs::write(volume.join(file), "")?;
        world.own(&volume)?;
    }
    assert_eq!(world.inside(&["-v", "vol:/data"], "ls /data")?, "link\none\nsub\n");
    assert!(!volume.join("filling").exists());
    Ok(())
}

fn no_copy(world: &World) -> Outcome {
    assert_eq!(world.inside(&["-v", "vol:/data:nocopy"], "ls /data")?, "");
    assert_eq!(world.inside(&["--mount", "src=other,dst=/data,volume-nocopy"], "ls /data")?, "");
    Ok(())
}

fn used(world: &World) -> Outcome {
    world.inside(&["--name", "c1", "-v", "vol:/vol"], "true")?;
    world.step(&["volume", "rm", "vol"]).run()?.code(125)?.stderr_has("used by c1")?;
    assert!(world.ok(&["volume", "ls"])?.contains("vol"));
    world.ok(&["rm", "c1"])?;
    assert_eq!(world.ok(&["volume", "rm", "vol"])?, "vol\n");
    world.step(&["volume", "inspect", "vol"]).run()?.code(125)?.stderr_has("no volume is called")?;
    Ok(())
}

fn anonymous(world: &World) -> Outcome {
    let count = || fs::read_dir(world.sandbox.data().join("volumes")).map_or(0, Iterator::count);
    assert_eq!(
        world.inside(&["--rm", "-v", "/data", "-v", "named:/n"], "ls /data; echo x > /data/x")?,
        "link\none\nsub\n"
    );
    assert_eq!(count(), 1, "the named one stays");
    world.inside(&["--name", "c1", "-v", "/data"], "true")?;
    assert_eq!(count(), 2);
    world.ok(&["rm", "c1"])?;
    assert_eq!(count(), 1);
    Ok(())
}

fn by_hand(world: &World) -> Outcome {
    assert_eq!(world.ok(&["volume", "create", "one"])?, "one\n");
    let drawn = world.ok(&["volume", "create"])?;
    assert_eq!(drawn.trim().len(), 64);
    world.ok(&["volume", "inspect", "one"])?.contains("_data").then_some(()).ok_or("no mountpoint")?;
    for name in ["../x", "a", "-x", "a/b"] {
        world.step(&["volume", "create", "--", name]).run()?.code(125)?.stderr_has("no name for a volume")?;
    }
    assert_eq!(world.ok(&["volume", "prune"])?, "");
    assert_eq!(world.ok(&["volume", "prune", "--all"])?.lines().count(), 2);
    Ok(())
}

fn at_once(world: &World) -> Outcome {
    let start = || world.container(&["--rm", "-v", "vol:/data"], "ls /data; cat /data/sub/two").spawn();
    let all: Vec<_> = (0..4).map(|_| start()).collect::<Outcome<_>>()?;
    for container in all {
        assert_eq!(container.wait()?.ok()?.stdout, "link\none\nsub\n2\n");
    }
    Ok(())
}
