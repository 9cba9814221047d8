//! What a container must not do to its host, and what a full or bare host must not do to the engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use harness::Outcome;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;

use crate::Test;
use crate::world::World;

pub const TESTS: &[(&str, Test)] = &[
    ("a host whose / is shared sees no mount of a container", shared_root),
    ("what a container unmounts stays mounted on the host", unmounts),
    ("a full file system is told, and nothing stays behind", full),
    ("no /proc on the host", no_proc),
    ("a set-user-ID program ends with its engine, under --init", set_user_id),
];

pub const ROOT_FOR_ORDINARY: &[(&str, Test)] =
    &[("a read-only bind keeps the locked flags of its source", locked_flags)];

/// A mount of the suite's host, gone with the test.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(place: &Path, flags: MsFlags, options: &str) -> Outcome<Self> {
        mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options))?;
        Ok(Self(place.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// As systemd has it. What the container mounts before and after pivot_root would else appear here.
fn shared_root(world: &World) -> Outcome {
    let compare = "mount --make-rshared / || exit
        table() { cut -d' ' -f4- /proc/self/mountinfo | grep -v ' /proc/sys/fs/binfmt_misc '; }
        before=$(table); \"$@\" || exit; [ \"$before\" = \"$(table)\" ] || { echo changed; table; }";
    let volume = format!("{}:/data/volume", world.sandbox.dir("volume")?.display());
    for (step, options) in [(3, &[][..]), (5, &["-v", &volume, "--tmpfs", "/data"][..]), (6, &["-v", &volume][..])] {
        let unshare =
            world.sandbox.program("unshare").args(["--mount", "--propagation", "private", "bash", "-c", compare]);
        let run = unshare.arg("bash").arg(world.step(step)?).args(["run"]);
        let root = if step == 3 { "--root" } else { "--layer" };
        let run = if step == 6 { run.args(["--network", "none"]) } else { run };
        let done = run.arg(root).arg(&world.root).args(options);
        let done = done.args(["sh", "-c", "mount -t tmpfs inside /tmp && grep -c inside /proc/self/mounts"]).run()?;
        assert_eq!(done.ok()?.stdout, "1\n", "step {step}");
    }
    Ok(())
}

/// The harness compares the mount table of the host before and after.
fn unmounts(world: &World) -> Outcome {
    let volume = format!("{}:/data", world.sandbox.dir("volume")?.display());
    world.inside(3, &[], "umount -a; umount -l /proc; umount -l /; true")?;
    world.inside(5, &["-v", &volume], "umount /data; umount -a; umount -l /; mount -o remount,ro / ; true")?;
    fs::write(world.sandbox.path().join("volume/still"), "writable")?;
    Ok(())
}

fn full(world: &World) -> Outcome {
    let place = world.sandbox.dir("full")?;
    for step in [3, 5, 7] {
        for variable in ["COOPER_RUN", "COOPER_DATA"] {
            if step == 3 && variable == "COOPER_DATA" {
                continue; // it keeps nothing there
            }
            let _mounted = Mounted::tmpfs(&place, MsFlags::empty(), "size=64k")?;
            let _ = fs::write(place.join("fill"), vec![0; 100_000]);
            let done = world.run(step, &[], &["true"]).env(variable, &place).run()?;
            done.code(125)?.stderr_has("ENOSPC")?;
            let left: Vec<_> = fs::read_dir(place.join("containers")).into_iter().flatten().flatten().collect();
            assert!(left.is_empty(), "step {step}, {variable}: {left:?}");
        }
    }
    // Where there is room again, it goes on.
    world.run(5, &[], &["true"]).env("COOPER_DATA", &place).run()?.ok()?;
    Ok(())
}

fn no_proc(world: &World) -> Outcome {
    let bare = "umount -l /proc && exec \"$@\"";
    for step in [1, 3, 5] {
        let unshare = world.sandbox.program("unshare").args(["--mount", "bash", "-c", bare, "bash"]);
        let run = unshare.arg(world.step(step)?).arg("run");
        let run = match step {
            1 => run.arg("--"),
            3 => run.arg("--root").arg(&world.root),
            _ => run.args(["--rm", "--layer"]).arg(&world.root),
        };
        let done = run.args(["sh", "-c", "exit 7"]).run()?;
        if step == 1 {
            done.code(7)?
        } else {
            done.code(125)?.stderr_has("/proc")?
        };
    }
    assert_eq!(world.left().len(), 0, "{:?}", world.left());
    Ok(())
}

/// To execute such a program clears PR_SET_PDEATHSIG, and nobody can set it again; init's own is not cleared.
fn set_user_id(world: &World) -> Outcome {
    let program = world.root.join("bin/sleep-as-root");
    fs::copy(world.root.join("bin/busybox"), &program)?;
    fs::remove_file(world.root.join("bin/sleep"))?;
    fs::rename(program, world.root.join("bin/sleep"))?;
    fs::set_permissions(world.root.join("bin/sleep"), PermissionsExt::from_mode(0o4755))?;
    let running = world.waiting(3, &["--init", "--user", "ada"], "setuid", "")?;
    running.signal(Signal::SIGKILL)?;
    running.wait()?; // that nothing runs on is what the harness checks
    Ok(())
}

/// The kernel locks them in a user namespace: a remount that leaves one out is refused (mount_namespaces(7)).
fn locked_flags(world: &World) -> Outcome {
    let place = world.sandbox.dir("removable")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let _mounted = Mounted::tmpfs(&place, flags, "mode=1777")?;
    let read_only = format!("{}:/data:ro", place.display());
    let look = "grep ' /data ' /proc/self/mountinfo; mount -o remount,bind,rw,suid,dev,exec /data; touch /data/x; true";
    let done = world.run(5, &["-v", &read_only], &["sh", "-c", look]).run()?.ok()?;
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(done.stdout.contains(flag), "{flag}: {done:?}");
    }
    let again = "mount -o remount,bind,suid,dev,exec /data; grep ' /data ' /proc/self/mountinfo";
    let writable = world.inside(5, &["-v", &format!("{}:/data", place.display())], again)?;
    assert!(writable.contains("nosuid") && writable.contains("noexec"), "{writable}");
    Ok(())
}
