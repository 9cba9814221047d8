//! What the user has mounted on the root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use harness::Outcome;

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("a directory of the host, read and written", bind),
    ("a read-only one refuses writes", bind_read_only),
    ("a file on a file", bind_file),
    ("-v makes a missing directory, --mount does not", missing_source),
    ("a linked destination stays inside", linked_destination),
    ("mounts lie in each other, whatever the order", nested),
    ("memory, with its size and mode", tmpfs),
    ("what makes no sense is refused", refused),
];

pub const ROOT: &[(&str, Test)] = &[
    ("root: read-only means also what is mounted below", submount_read_only),
    ("root: mounts of the host do not appear, unless slave", propagation_in),
    ("root: mounts of the container reach the host only if shared", propagation_out),
];

fn bind(world: &World) -> Outcome {
    let host = world.host("host")?;
    world.file("host/from-host", "hello\n")?;
    let volume = format!("{}:/mnt/host", host.display());
    let seen = world
        .inside(&["--name", "c1", "-v", &volume], "cat /mnt/host/from-host; echo back > /mnt/host/from-container")?;
    assert_eq!(seen, "hello\n");
    assert_eq!(fs::read_to_string(host.join("from-container"))?, "back\n");
    assert_eq!(world.ok(&["diff", "c1"])?, "A /mnt\nA /mnt/host\n", "the place is made, what is on it is elsewhere");
    let seen =
        world.container(&["-v", "./host:/h"], "cat /h/from-host").current_dir(world.sandbox.path()).run()?.ok()?;
    assert_eq!(seen.stdout, "hello\n");
    Ok(())
}

fn bind_read_only(world: &World) -> Outcome {
    let host = world.host("host")?;
    for option in
        [format!("-v={}:/h:ro", host.display()), format!("--mount=type=bind,src={},dst=/h,readonly", host.display())]
    {
        world.container(&[&option], "echo x > /h/x").run()?.fails()?.stderr_has("Read-only file system")?;
    }
    assert!(!host.join("x").exists());
    Ok(())
}

fn bind_file(world: &World) -> Outcome {
    let file = world.file("file", "mine\n")?;
    for place in ["/etc/motd", "/new/place"] {
        let volume = format!("{}:{place}", file.display());
        world.inside(&["-v", &volume], &format!("cat {place} && echo {place} >> {place}"))?;
    }
    assert_eq!(fs::read_to_string(&file)?, "mine\n/etc/motd\n/new/place\n");
    assert_eq!(fs::read_to_string(world.base.join("etc/motd"))?, "from the layer\n");
    let volume = format!("{}:/data", file.display());
    world.refused(&["-v", &volume], "of the other kind")?;
    Ok(())
}

fn missing_source(world: &World) -> Outcome {
    world.own(world.sandbox.path())?;
    let missing = world.sandbox.path().join("missing");
    let mount = format!("type=bind,src={},dst=/h", missing.display());
    world.refused(&["--mount", &mount], "does not exist")?;
    assert!(!missing.exists());
    world.inside(&["-v", &format!("{}/deep:/h", missing.display())], "test -d /h")?;
    assert!(missing.join("deep").is_dir());
    Ok(())
}

fn linked_destination(world: &World) -> Outcome {
    let host = world.host("host")?;
    world.file("host/mark", "here\n")?;
    let outside = world.host("outside")?;
    symlink(&outside, world.base.join("absolute"))?;
    symlink("../../../../../../../../../..", world.base.join("up"))?;
    symlink("/data", world.base.join("good"))?;
    let volume = |place: &str| format!("{}:{place}", host.display());
    // Inside, the absolute link leads to what the container's root does not have.
    for options in [["-v", &volume("/absolute/x")], ["--tmpfs", "/absolute/x"]] {
        world.container(&options, "true").run()?.fails()?.stderr_has("/absolute")?;
    }
    let deep = format!("/up{}/deep", outside.display());
    let options = ["-v", &volume("/good/x"), "-v", &volume("/up/mnt/y"), "-v", &volume(&deep)];
    let script = format!("cat /data/x/mark /mnt/y/mark {}/deep/mark", outside.display());
    assert_eq!(world.inside(&options, &script)?, "here\nhere\nhere\n");
    assert!(fs::read_dir(&outside)?.next().is_none(), "the host's directory is untouched");
    Ok(())
}

fn nested(world: &World) -> Outcome {
    let (outer, inner) = (world.host("outer")?, world.host("inner")?);
    world.file("inner/mark", "inner\n")?;
    let volumes = [format!("{}:/m/a/b:ro", inner.display()), format!("{}:/m", outer.display())];
    let script = "cat /m/a/b/mark; echo x > /m/x; echo x > /m/a/b/x || echo refused";
    assert_eq!(world.inside(&["-v", &volumes[0], "-v", &volumes[1]], script)?, "inner\nrefused\n");
    assert!(outer.join("x").exists() && outer.join("a/b").is_dir() && !inner.join("x").exists());
    Ok(())
}

fn tmpfs(world: &World) -> Outcome {
    let options =
        ["--name", "c1", "--tmpfs", "/t:size=1m,mode=0700", "--tmpfs", "/root", "--mount", "type=tmpfs,dst=/u"];
    let script = "stat -c %a /t /u; df /t | grep -c 1024; dd if=/dev/zero of=/t/big bs=1M count=2 2>/dev/null || echo full; \
                  grep ' /t ' /proc/self/mounts | grep -c nosuid,nodev,noexec";
    assert_eq!(world.inside(&options, script)?, "700\n1777\n1\nfull\n1\n");
    assert_eq!(world.ok(&["diff", "c1"])?, "A /t\nA /u\n");
    let script = "cp /bin/busybox /t/busybox; /t/busybox true && echo ran";
    assert_eq!(world.inside(&["--tmpfs", "/t:exec,size=50%"], script)?, "ran\n");
    Ok(())
}

fn refused(world: &World) -> Outcome {
    for (options, words) in
        [(&["-v", "/etc:/x", "--tmpfs", "/x"][..], "two mounts on /x"), (&["-v", "/etc:/proc/sys"], "/proc")]
    {
        world.refused(options, words)?;
    }
    for options in [
        ["-v", "/a:rel"],
        ["-v", "a:/b"],
        ["--mount", "type=bind,dst=/x"],
        ["--tmpfs", "/t:bad"],
        ["--tmpfs", "/t:size=1q"],
    ] {
        world.container(&options, "true").run()?.code(2)?.stderr_has("help:")?;
    }
    assert!(world.containers().is_empty(), "{:?}", world.containers());
    Ok(())
}

/// A file system of the host at `path`, gone on drop.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(path: &'a Path, propagation: &str) -> Outcome<Self> {
        let mut mount = Command::new("mount");
        assert!(mount.args(["-t", "tmpfs", "cooper-test"]).arg(path).status()?.success());
        let mounted = Self(path);
        assert!(Command::new("mount").arg(propagation).arg(path).status()?.success());
        Ok(mounted)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--recursive"]).arg(self.0).status();
    }
}

fn submount_read_only(world: &World) -> Outcome {
    let host = world.host("host")?;
    let sub = world.host("host/sub")?;
    let _mounted = Mounted::new(&sub, "--make-private")?;
    let volume = format!("{}:/h:ro", host.display());
    world.container(&["-v", &volume], "echo x > /h/sub/x").run()?.fails()?.stderr_has("Read-only file system")?;
    let mount = format!("type=bind,src={},dst=/h,readonly,bind-recursive=writable", host.display());
    assert_eq!(world.inside(&["--mount", &mount], "echo x > /h/sub/x; echo x > /h/x || echo refused")?, "refused\n");
    let volume = format!("{}:/h:bind", host.display());
    assert_eq!(
        world.inside(&["-v", &volume], "ls /h/sub")?,
        "",
        "not recursive: the place is there, what is on it is not"
    );
    Ok(())
}

fn propagation_in(world: &World) -> Outcome {
    let host = world.host("host")?;
    let _mounted = Mounted::new(&host, "--make-shared")?;
    for (option, wanted) in [("rprivate", "0\n"), ("rslave", "1\n"), ("rshared", "1\n")] {
        let volume = format!("{}:/h:{option}", host.display());
        fs::create_dir_all(host.join("sub"))?;
        let script = "echo ready; until test -e /h/go; do sleep 0.1; done; grep -c ' /h/sub ' /proc/self/mounts; true";
        let mut running = world.container(&["-v", &volume], script).spawn()?;
        running.says("ready")?;
        assert!(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(host.join("sub")).status()?.success());
        fs::write(host.join("go"), "")?;
        let seen = running.wait()?.ok()?.stdout;
        assert!(Command::new("umount").arg(host.join("sub")).status()?.success());
        fs::remove_file(host.join("go"))?;
        assert_eq!(seen, format!("ready\n{wanted}"), "{option}");
    }
    Ok(())
}

fn propagation_out(world: &World) -> Outcome {
    let host = world.host("host")?;
    let _mounted = Mounted::new(&host, "--make-shared")?;
    let mounts = || fs::read_to_string("/proc/self/mounts").map(|table| table.contains("host/sub "));
    for (option, wanted) in [("rprivate", false), ("rslave", false), ("rshared", true)] {
        let volume = format!("{}:/h:{option}", host.display());
        world.inside(&["-v", &volume], "mkdir -p /h/sub; mount -t tmpfs none /h/sub")?;
        let seen = mounts()?;
        if seen {
            assert!(Command::new("umount").arg(host.join("sub")).status()?.success());
        }
        assert_eq!(seen, wanted, "{option}");
    }
    assert!(Command::new("mount").arg("--make-private").arg(&host).status()?.success());
    let volume = format!("{}:/h:rshared", host.display());
    world.refused(&["-v", &volume], "mount --make-rshared")?;
    Ok(())
}
