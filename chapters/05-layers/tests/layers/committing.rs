//! `commit`: the layer, read by other programs, gives the tree that the container saw.

use std::fs;
use std::process::Command;

use harness::{Outcome, Run};

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("a layer on standard output, its digest beside it", to_stdout),
    ("a layer that cannot be finished leaves no file", no_half),
];

pub const UMOCI: &[(&str, Test)] = &[("root: umoci makes of the layer what the container saw", round_trip)];

/// What a tree looks like from inside: names, modes, owners, sizes, times, links.
const LOOK: &str = "find / -xdev -path /dev -prune -o -path /proc -prune -o -path /sys -prune -o -print | sort | while read -r f; \
                    do stat -c '%n %f %u %g %h %t %T' \"$f\"; test -f \"$f\" && stat -c '%s %y' \"$f\"; test -L \"$f\" && readlink \"$f\"; done; true";

fn to_stdout(world: &World) -> Outcome {
    world.inside(&["--name", "c1"], "echo x > /x")?;
    let file = world.sandbox.path().join("layer.tar");
    world.own(world.sandbox.path())?;
    let digest = world.step(&["commit", "c1"]).arg(&file).run()?.ok()?.stdout;
    let said = world.sandbox.program("sha256sum").arg(&file).run()?.ok()?.stdout;
    assert_eq!(digest.trim(), format!("sha256:{}", said.split(' ').next().unwrap_or_default()));
    let done = world.step(&["commit", "c1", "-"]).run()?.ok()?;
    assert_eq!(done.stderr.trim(), digest.trim());
    assert_eq!(done.stdout.as_bytes(), fs::read(&file)?);
    Ok(())
}

fn no_half(world: &World) -> Outcome {
    world.inside(&["--name", "c1"], "echo x > /.wh.x")?;
    world.own(world.sandbox.path())?;
    let file = world.sandbox.path().join("layer.tar");
    world.step(&["commit", "c1"]).arg(&file).run()?.code(125)?.stderr_has(".wh.x")?;
    let left = fs::read_dir(world.sandbox.path())?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(".tar"));
    assert_eq!(left.count(), 0);
    Ok(())
}

fn round_trip(world: &World) -> Outcome {
    let script = "rm -r /data; mkdir /data; echo new > /data/new; rm /etc/motd; mkdir -p /opt/a/b; chmod 2750 /opt/a; \
        chown 7:8 /opt/a; echo s > /opt/suid; chmod 4755 /opt/suid; ln /opt/suid /opt/hard; ln -s /nowhere /opt/soft; \
        ln -s ../bin/sh /opt/short; mkfifo /opt/pipe; mknod /opt/null c 1 3; mknod /opt/loop b 7 1; \
        n=$(head -c 150 /dev/zero | tr '\\0' n); echo long > /opt/$n; echo x >> /etc/passwd; cp /bin/busybox /opt/cap; \
        dd if=/dev/zero of=/opt/sparse bs=1 count=1 seek=100000 2>/dev/null; touch -d '1999-12-31 23:59:59' /opt/a/b; chmod 1777 /tmp";
    world.inside(&["--name", "c1"], script)?;
    let upper = world.containers().pop().ok_or("no container")?.join("upper");
    assert!(Command::new("setcap").arg("cap_net_raw+ep").arg(upper.join("opt/cap")).status()?.success());
    let (base, layer) = (world.sandbox.path().join("base.tar"), world.sandbox.path().join("layer.tar"));
    world.ok(&["commit", "c1", &layer.display().to_string()])?;
    assert!(
        Command::new("tar")
            .args(["--numeric-owner", "--format=posix", "-C"])
            .arg(&world.base)
            .arg("-cf")
            .arg(&base)
            .arg(".")
            .status()?
            .success()
    );
    let image = world.sandbox.path().join("image");
    let reference = format!("{}:x", image.display());
    let umoci = |arguments: &[&str]| -> Outcome {
        world.sandbox.program("umoci").args(arguments).run()?.ok()?;
        Ok(())
    };
    umoci(&["init", "--layout", &image.display().to_string()])?;
    umoci(&["new", "--image", &reference])?;
    for tar in [&base, &layer] {
        umoci(&["raw", "add-layer", "--image", &reference, &tar.display().to_string()])?;
    }
    let bundle = world.sandbox.path().join("bundle");
    umoci(&["unpack", "--image", &reference, &bundle.display().to_string()])?;
    // The same look at both: at the layers with what the container wrote, and at what umoci made of the archive.
    let ours = looked(world.step(&["run", "--rm", "--layer"]).arg(&world.base).arg("--layer").arg(&upper))?;
    let theirs = looked(world.step(&["run", "--rm", "--layer"]).arg(bundle.join("rootfs")))?;
    assert!(
        ours.contains("/opt/suid 89ed 0 0 2") && ours.contains("/opt/a 45e8 7 8") && !ours.contains("motd"),
        "{ours}"
    );
    similar(&ours, &theirs)?;
    let said = Command::new("getcap").arg(bundle.join("rootfs/opt/cap")).output()?;
    assert!(String::from_utf8_lossy(&said.stdout).contains("cap_net_raw=ep"));
    Ok(())
}

fn looked(run: Run) -> Outcome<String> {
    Ok(run.args(["sh", "-c", LOOK]).run()?.ok()?.stdout)
}

/// Compares line by line; a directory's number of links is the file system's own affair.
fn similar(ours: &str, theirs: &str) -> Outcome {
    let plain = |line: &str| -> String {
        let mut words: Vec<_> = line.split(' ').collect();
        if words.get(1).is_some_and(|mode| mode.starts_with('4') && words.len() > 6) {
            words.remove(4);
        }
        words.join(" ")
    };
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        assert_eq!(plain(ours), plain(theirs));
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
    Ok(())
}
