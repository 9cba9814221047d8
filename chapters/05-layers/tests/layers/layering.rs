//! The overlay: what the container sees, and what it leaves alone.

use std::fs;

use harness::Outcome;

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("writing copies up and leaves the layer alone", copy_up),
    ("diff lists what was added, changed and deleted", diff),
    ("what the engine mounts on is no change", mount_points),
    ("a directory made anew is opaque", opaque),
    ("the topmost of 120 layers wins", many_layers),
    ("paths of layers may hold colons, commas and backslashes", odd_paths),
    ("the root can be read-only", read_only),
    ("the root has the mode of the topmost layer's", mode_of_root),
    ("a layer that is not there is named", missing_layer),
];

pub const ROOT: &[(&str, Test)] = &[
    ("root: data on an overlay is refused with the way out", on_overlay),
    ("root: --userns is refused with the way out", userns),
];

fn copy_up(world: &World) -> Outcome {
    let seen = world.inside(&["--name", "c1"], "echo new >> /etc/motd; rm /data/one; cat /etc/motd")?;
    assert_eq!(seen, "from the layer\nnew\n");
    assert_eq!(fs::read_to_string(world.base.join("etc/motd"))?, "from the layer\n");
    assert!(world.base.join("data/one").exists());
    // Another container on the same layer sees nothing of it.
    assert_eq!(world.inside(&[], "cat /etc/motd /data/one")?, "from the layer\n1\n");
    Ok(())
}

fn diff(world: &World) -> Outcome {
    let script =
        "echo x > /etc/new; echo x >> /etc/motd; rm -r /data/sub; mkdir -p /opt/a; chmod 700 /root; chmod 755 /run";
    world.inside(&["--name", "c1"], script)?;
    let wanted = "C /data\nD /data/sub\nC /etc\nC /etc/motd\nA /etc/new\nA /opt\nA /opt/a\nC /root\n";
    assert_eq!(world.ok(&["diff", "c1"])?, wanted);
    world.step(&["diff", "no-such"]).run()?.code(125)?.stderr_has("no container is called")?;
    Ok(())
}

/// A layer with nothing in it but a shell: the engine needs places for /proc, /etc/hosts and others.
fn mount_points(world: &World) -> Outcome {
    let bare = world.host("bare")?;
    fs::create_dir(bare.join("bin"))?;
    fs::copy(world.base.join("bin/busybox"), bare.join("bin/busybox"))?;
    let layer = bare.display().to_string();
    world.ok(&["run", "--name", "bare", "--layer", &layer, "/bin/busybox", "sh", "-c", "echo text > /new"])?;
    assert_eq!(world.ok(&["diff", "bare"])?, "A /new\n");
    Ok(())
}

fn opaque(world: &World) -> Outcome {
    let seen =
        world.inside(&["--name", "c1"], "rm -r /data; mkdir /data; echo new > /data/new; mkdir /fresh; ls /data")?;
    assert_eq!(seen, "new\n");
    let wanted = "C /data\nD /data/link\nA /data/new\nD /data/one\nD /data/sub\nA /fresh\n";
    // An opaque directory is listed with what it hides; its own mode and owner are as before.
    let said = world.ok(&["diff", "c1"])?;
    assert_eq!(said, wanted);
    let layer = world.sandbox.path().join("layer.tar");
    world.own(world.sandbox.path())?;
    world.step(&["commit", "c1"]).arg(&layer).run()?.ok()?.stdout_has("sha256:")?;
    let list = world.sandbox.program("tar").arg("-tf").arg(&layer).run()?.ok()?.stdout;
    assert_eq!(list, "data/\ndata/.wh..wh..opq\ndata/new\nfresh/\n");
    Ok(())
}

fn many_layers(world: &World) -> Outcome {
    let mut run = world.step(&["run", "--layer"]).arg(&world.base);
    for number in 0..119 {
        let name = format!("layers/a-layer-with-a-rather-long-name-{number:03}");
        world.file(&format!("{name}/only-{number}"), "")?;
        world.file(&format!("{name}/top"), &format!("{number}\n"))?;
        run = run.arg("--layer").arg(world.sandbox.path().join(name));
    }
    let script = "cat /top; ls / | grep -c only-; grep -c 'lowerdir=[0-9]*:' /proc/self/mounts; echo x > /only-7; pwd";
    let seen = run.args(["--name", "c1", "sh", "-c", script]).run()?.ok()?.stdout;
    assert_eq!(seen, "118\n119\n1\n/\n");
    assert_eq!(world.ok(&["diff", "c1"])?, "C /only-7\n");
    Ok(())
}

fn odd_paths(world: &World) -> Outcome {
    let odd = world.host(r"a:b,c\d e")?;
    world.file(r"a:b,c\d e/odd", "odd\n")?;
    let seen = world.step(&["run", "--layer"]).arg(&world.base).arg("--layer").arg(odd);
    let seen = seen.args(["sh", "-c", "cat /odd; rm /odd; ls /odd"]).run()?.code(1)?;
    assert_eq!(seen.stdout, "odd\n");
    Ok(())
}

fn read_only(world: &World) -> Outcome {
    let options = ["--read-only", "--tmpfs", "/tmp", "-v", "data:/vol", "-v", "/made/up"];
    let script = "echo x > /etc/x || echo x > /tmp/x && echo x > /vol/x && echo x > /made/up/x && echo x > /dev/shm/x && echo fine";
    let done = world.container(&options, script).run()?.ok()?;
    assert_eq!(done.stdout, "fine\n");
    done.stderr_has("Read-only file system")?;
    Ok(())
}

fn mode_of_root(world: &World) -> Outcome {
    fs::set_permissions(&world.base, std::os::unix::fs::PermissionsExt::from_mode(0o751))?;
    assert_eq!(world.inside(&["--name", "c1"], "stat -c '%a %u' /")?, "751 0\n");
    assert_eq!(world.ok(&["diff", "c1"])?, "");
    Ok(())
}

fn missing_layer(world: &World) -> Outcome {
    let done = world.step(&["run", "--layer", "/no/such", "true"]).run()?.code(125)?;
    done.stderr_has("/no/such")?;
    assert!(world.containers().is_empty());
    Ok(())
}

fn on_overlay(world: &World) -> Outcome {
    let [lower, upper, work, merged] = ["l", "u", "w", "m"].map(|name| world.host(name).expect("a directory"));
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let mut mount = std::process::Command::new("mount");
    assert!(mount.args(["-t", "overlay", "none", "-o", &options]).arg(&merged).status()?.success());
    let run = |world: &World| -> Outcome {
        let done = world.container(&[], "true").env("COOPER_DATA", &merged).run()?.code(125)?;
        done.stderr_has("lies on overlayfs")?.stderr_has("COOPER_DATA")?;
        Ok(())
    };
    let outcome = run(world);
    std::process::Command::new("umount").arg(&merged).status()?;
    outcome
}

fn userns(world: &World) -> Outcome {
    world.refused(&["--userns"], "help:")?;
    assert!(world.containers().is_empty(), "{:?}", world.containers());
    Ok(())
}
