//! Masked and read-only paths, from inside: what they cover, and images and volumes that try to have something else
//! covered. Everything twice: for root's engine and for an ordinary user's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use harness::{Outcome, Run, Sandbox, Suite};

type Make = fn() -> Outcome<Sandbox>;
type Test = fn(&Sandbox) -> Outcome;

const TESTS: [(&str, Test); 8] = [
    ("what is masked reads as empty and stays empty", masked),
    ("what is read-only is, and keeps its flags", read_only),
    ("everything is there if it is asked for", unmasked),
    ("a container cannot undo it", undone),
    ("a /dev/null of the image's (CVE-2025-31133)", false_null),
    ("a /dev, /proc or /sys that is a link (CVE-2026-41579)", linked),
    ("a volume in the place of /proc (CVE-2025-52881)", false_proc),
    ("exec finds the same", exec),
];

fn main() {
    let mut suite = Suite::new();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in TESTS {
            let (name, test) = (format!("{who}: {name}"), move || test(&make()?));
            suite = if who == "root" {
                suite.root(name, test)
            } else {
                suite.user(name, test).needs(&["userns", "subuid"])
            };
        }
    }
    suite.run()
}

fn container(sandbox: &Sandbox, options: &[&str], script: &str) -> Run {
    let run = sandbox.step(9).args(["run", "--rm", "--network", "none"]).args(options);
    run.args(["host", "sh", "-c", script])
}

fn inside(sandbox: &Sandbox, options: &[&str], script: &str) -> Outcome<String> {
    Ok(container(sandbox, options, script).run()?.ok()?.stdout)
}

/// The directory of the image's layer, to put into it what an image could have in it.
fn layer(sandbox: &Sandbox) -> Outcome<PathBuf> {
    inside(sandbox, &[], "true")?;
    let entry = fs::read_dir(sandbox.data().join("layers"))?.next().ok_or("no layer")??;
    Ok(entry.path().join("diff"))
}

fn masked(sandbox: &Sandbox) -> Outcome {
    // Not every kernel has all of them; what is there must be a mount of its own, and empty.
    let script = "for path in /proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats \
                  /proc/sched_debug /proc/scsi /proc/timer_list /sys/devices/virtual/powercap /sys/firmware; do \
                  test -e $path || continue; echo found; \
                  if test -d $path; then ls -A $path; touch $path/x 2>/dev/null && echo written; \
                  stat -c %d $path >> /tmp/directories; \
                  else cat $path; stat -L -c %t:%T $path | grep -v 1:3; fi; \
                  done; sort -u /tmp/directories | wc -l";
    let said = inside(sandbox, &[], script)?;
    assert!(said.contains("found") && !said.contains("written"), "{said}");
    let rest: Vec<_> = said.lines().filter(|line| *line != "found").collect();
    assert_eq!(rest, ["1"], "one empty file system serves for all directories");
    Ok(())
}

fn read_only(sandbox: &Sandbox) -> Outcome {
    let script = "for path in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger; do \
                  test -e $path || continue; grep \" $path \" /proc/self/mounts | cut -d' ' -f4; done; \
                  echo x 2>/dev/null > /proc/sys/kernel/domainname || echo refused; cat /proc/sys/kernel/ostype; \
                  echo h 2>/dev/null > /proc/sysrq-trigger || echo refused";
    let said = inside(sandbox, &[], script)?;
    let flags: Vec<_> = said.lines().filter(|line| line.contains("relatime")).collect();
    assert!(flags.len() >= 3 && flags.iter().all(|flags| flags.starts_with("ro,nosuid,nodev,noexec")), "{said}");
    assert_eq!(said.matches("refused").count(), 2, "{said}");
    assert!(said.contains("Linux"), "what may not be written can be read: {said}");
    Ok(())
}

fn unmasked(sandbox: &Sandbox) -> Outcome {
    let script = "ls /sys/firmware | wc -l; grep -cE ' /(proc|sys/firmware)/' /proc/self/mounts; true";
    let all = inside(sandbox, &["--security-opt", "systempaths=unconfined"], script)?;
    assert!(all.trim().ends_with('0'), "{all}");
    let privileged = inside(sandbox, &["--privileged"], script)?;
    assert_eq!(all, privileged);
    Ok(())
}

fn undone(sandbox: &Sandbox) -> Outcome {
    let script = "umount /proc/keys && echo undone; umount -l /sys/firmware && echo undone; \
                  mount -o remount,rw,bind /proc/sys && echo undone; \
                  mkdir /tmp/p && mount -t proc proc /tmp/p && echo undone; \
                  mount --bind /proc /tmp/p && echo undone; \
                  echo x > /proc/sys/kernel/domainname && echo undone; \
                  echo x > /proc/1/root/proc/sys/kernel/domainname && echo undone; true";
    assert_eq!(inside(sandbox, &[], script)?, "");
    // A new user namespace has all capabilities over mounts of its own; what it inherits is locked.
    let script = "unshare -Urm sh -c 'umount /proc/keys && echo undone; mount -o remount,rw,bind /proc/sys && echo undone; \
                  echo x > /proc/sys/kernel/domainname && echo undone'; true";
    for options in [&[][..], &["--security-opt", "seccomp=unconfined"]] {
        assert_eq!(inside(sandbox, options, script)?, "", "{options:?}");
    }
    Ok(())
}

/// What would cover /proc/keys must be the null device, whatever an image or a volume calls so: bound from a link, the
/// link's target would be mounted writable (`/proc/sys/kernel/core_pattern`), or nothing would be covered at all.
fn false_null(sandbox: &Sandbox) -> Outcome {
    let script = "stat -L -c %t:%T /proc/keys; cat /proc/keys; grep -c core_pattern /proc/self/mounts; true";
    let layer = layer(sandbox)?;
    let devices = sandbox.dir("devices")?;
    for target in ["/proc/sys/kernel/core_pattern", "/etc/passwd", "/none"] {
        for place in [layer.join("dev"), devices.clone()] {
            fs::create_dir_all(&place)?;
            let _ = fs::remove_file(place.join("null"));
            symlink(target, place.join("null"))?;
        }
        assert_eq!(inside(sandbox, &[], script)?, "1:3\n0\n", "{target} in the image");
        let volume = format!("{}:/dev", devices.display());
        assert_eq!(inside(sandbox, &["-v", &volume], script)?, "1:3\n0\n", "{target} in a volume");
    }
    Ok(())
}

fn linked(sandbox: &Sandbox) -> Outcome {
    let layer = layer(sandbox)?;
    fs::create_dir(layer.join("trap"))?;
    for (name, target) in [("proc", "/trap"), ("sys", "trap"), ("dev", "/trap"), ("dev", "../../../../../../../tmp")] {
        let (place, aside) = (layer.join(name), layer.join("aside"));
        let was = place.symlink_metadata().is_ok();
        if was {
            fs::rename(&place, &aside)?;
        }
        symlink(target, &place)?;
        let refused = container(sandbox, &["--device", "/dev/null:/dev/other"], "true").run()?.code(125)?;
        refused.stderr_has(&format!("/{name} in the root must be a plain directory"))?;
        fs::remove_file(&place)?;
        if was {
            fs::rename(&aside, &place)?;
        }
    }
    assert_eq!(fs::read_dir(layer.join("trap"))?.count(), 0);
    Ok(())
}

fn false_proc(sandbox: &Sandbox) -> Outcome {
    let volume = sandbox.dir("volume")?;
    for directory in ["sys/kernel", "self/attr", "thread-self/attr"] {
        fs::create_dir_all(volume.join(directory))?;
    }
    for target in ["/proc", "/proc/sys", "/proc/self/attr"] {
        let option = format!("{}:{target}", volume.display());
        container(sandbox, &["-v", &option], "true").run()?.code(125)?.stderr_has("mounted on /proc")?;
    }
    // Over /sys it may be, as with Docker; then there is nothing of the kernel's to cover.
    let option = format!("{}:/sys", volume.display());
    assert_eq!(
        inside(sandbox, &["-v", &option], "ls /sys; cat /proc/keys")?,
        "kernel\n".replace("kernel", "self\nsys\nthread-self")
    );
    // A link of the image below /sys leads a mask nowhere else.
    symlink("/etc", volume.join("firmware"))?;
    let said = inside(sandbox, &["-v", &option], "test -s /etc/passwd && echo there; true")?;
    assert!(said.is_empty() || said == "there\n", "inside the root at most: {said}");
    assert!(fs::metadata("/etc/passwd")?.len() > 0, "the host's is as it was");
    Ok(())
}

fn exec(sandbox: &Sandbox) -> Outcome {
    let options = ["--name", "one"];
    let mut running = container(sandbox, &options, "trap 'exit 0' TERM; echo ready; sleep 1000 & wait").spawn()?;
    running.says("ready")?;
    let script = "stat -L -c %t:%T /proc/keys; echo x 2>/dev/null > /proc/sys/kernel/domainname || echo refused";
    let done = sandbox.step(9).args(["exec", "one", "sh", "-c", script]).run()?.ok()?;
    assert_eq!(done.stdout, "1:3\nrefused\n");
    sandbox.step(9).args(["exec", "one", "sh", "-c", "kill -TERM 1"]).run()?;
    running.wait()?.ok()?;
    Ok(())
}
