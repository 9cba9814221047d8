//! Ways out of a container that worked on other engines.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use harness::Outcome;
use nix::sys::signal::Signal;

use crate::Test;
use crate::world::{World, is_alive};

pub const TESTS: &[(&str, Test)] = &[
    ("no descriptor of the caller's reaches the program", descriptors),
    ("a working directory outside the root (CVE-2024-21626)", outside_directory),
    ("a linked /proc, /sys or /dev in a layer (CVE-2019-19921)", linked_system),
    ("a volume on a link out of the root (CVE-2018-15664)", linked_volume),
    ("a volume on /proc (CVE-2019-16884)", volume_on_proc),
    ("a /dev/null and a /dev/ptmx that are none (CVE-2025-31133, CVE-2025-52565)", false_devices),
    ("the same in a running container", false_devices_for_exec),
    ("an /etc/passwd that is none", false_passwd),
    ("init's own binary cannot be written (CVE-2019-5736)", own_binary),
    ("PID 1 without a handler does not hear TERM, with --init it does", first_process),
    ("kill -9 of the engine ends a program of another user (PR_SET_PDEATHSIG)", dies_with_engine),
];

pub const IN_USER_NAMESPACES: &[(&str, Test)] = &[("who joins cannot be looked into (CVE-2016-9962)", joining)];

fn descriptors(world: &World) -> Outcome {
    for step in [3, 5] {
        let run = world.script("exec 7</etc 8</etc/passwd 9</; exec \"$@\"", step, &[], &["ls", "/proc/self/fd"])?;
        // The fourth is the directory that ls itself reads.
        assert_eq!(run.run()?.ok()?.stdout, "0\n1\n2\n3\n", "step {step}");
    }
    Ok(())
}

fn outside_directory(world: &World) -> Outcome {
    symlink("/proc/self/fd/9", world.root.join("link"))?;
    world.sandbox.file("root/mark", "")?;
    for step in [3, 5] {
        let from_image = world.script("exec 9</; exec \"$@\"", step, &["--workdir", "/link"], &["true"])?.run()?;
        from_image.code(125)?.stderr_has("outside the root")?;
        let (mut refused, mut script) = (0, String::from("exec 9</ 10</etc"));
        script.push_str("; exec \"$@\"");
        for number in 0..16 {
            let place = format!("/proc/self/fd/{number}");
            let done = world.script(&script, step, &["--workdir", &place], &["ls", "-a", "."])?.run()?;
            assert!(done.code == 125 || done.stdout.contains("mark"), "step {step}, {place}: {done:?}");
            refused += u8::from(done.stderr.contains("outside the root"));
        }
        assert!(refused >= 2, "the two of the caller's were met only {refused} times");
    }
    let done = world.script("cd /; exec \"$@\"", 3, &["--workdir", "../../.."], &["ls"])?.run()?;
    done.ok()?.stdout_has("mark")?;
    Ok(())
}

fn linked_system(world: &World) -> Outcome {
    for name in ["proc", "sys", "dev"] {
        let upper = world.sandbox.dir(&format!("upper-{name}"))?;
        symlink("/data", upper.join(name))?;
        let layer = upper.display().to_string();
        let done = world.run(5, &["--layer", &layer], &["true"]).run()?;
        done.code(125)?.stderr_has(&format!("/{name} in the root must be a plain directory"))?;
    }
    Ok(())
}

fn linked_volume(world: &World) -> Outcome {
    let (outside, volume) = (world.sandbox.dir("outside")?, world.sandbox.dir("volume")?);
    fs::write(volume.join("mark"), "")?;
    symlink(&outside, world.root.join("absolute"))?;
    symlink("../../../../../../../../tmp", world.root.join("up"))?;
    let source = volume.display().to_string();
    let done = world.run(5, &["-v", &format!("{source}:/absolute")], &["true"]).run()?;
    done.code(125)?.stderr_has("leads to nothing inside the root")?;
    let below = format!("{source}:/absolute/below");
    world.run(5, &["-v", &below], &["true"]).run()?.code(125)?;
    assert_eq!(world.inside(5, &["-v", &format!("{source}:/up/below")], "ls /tmp/below")?, "mark\n");
    assert_eq!(fs::read_dir(&outside)?.count(), 0);
    Ok(())
}

fn volume_on_proc(world: &World) -> Outcome {
    let source = world.sandbox.dir("volume")?;
    fs::create_dir(source.join("attr"))?;
    for target in ["/proc", "/proc/self", "/proc/sys/kernel"] {
        let done = world.run(5, &["-v", &format!("{}:{target}", source.display())], &["true"]).run()?;
        done.code(125)?.stderr_has("mounted on /proc")?;
    }
    Ok(())
}

/// The devices are made by us, unless the user covers them; then whatever is there must not mislead nor stop us.
fn false_devices(world: &World) -> Outcome {
    let devices = world.sandbox.dir("devices")?;
    let made = world.sandbox.program("mkfifo").arg(devices.join("null")).run()?;
    made.ok()?;
    symlink("/proc/self/mem", devices.join("ptmx"))?;
    let covered = format!("{}:/dev", devices.display());
    world.run(5, &["-v", &covered], &["sh", "-c", "exit 7"]).timeout(Duration::from_secs(20)).run()?.code(7)?;
    let done = world.run(5, &["-t", "-v", &covered], &["true"]).run()?;
    done.code(125)?.stderr_has("/dev/ptmx")?;
    // And what a layer has in /dev is below ours.
    symlink("/etc/passwd", world.root.join("dev/null"))?;
    assert_eq!(world.inside(5, &[], "stat -c '%F %t:%T' /dev/null")?, "character special file 1:3\n");
    Ok(())
}

fn false_devices_for_exec(world: &World) -> Outcome {
    let swap = "rm /dev/null /dev/ptmx 2>/dev/null || umount /dev/null; rm -f /dev/null /dev/ptmx
                mkfifo /dev/null; ln -s /proc/1/mem /dev/ptmx";
    let mut running = world.waiting(3, &[], "hostile", swap)?;
    let exec =
        |options: &[&str]| world.sandbox.step(3).arg("exec").args(options).args(["hostile", "sh", "-c", "exit 7"]);
    exec(&[]).timeout(Duration::from_secs(20)).run()?.code(7)?;
    exec(&["-t"]).timeout(Duration::from_secs(20)).run()?.code(125)?.stderr_has("/dev/ptmx")?;
    running.signal(Signal::SIGKILL)?;
    running.says("").ok();
    Ok(())
}

/// It is read before each start: that must neither wait, nor never end, nor read what is the host's.
fn false_passwd(world: &World) -> Outcome {
    let passwd = world.root.join("etc/passwd");
    let host = world.sandbox.file("passwd", "secret:x:7:7::/:/bin/sh\n")?;
    let behind = format!("exec 9<{}; exec \"$@\"", host.display());
    for link in ["/dev/zero", "/proc/self/fd/9", "/proc/self/mem", "/none"] {
        fs::remove_file(&passwd)?;
        symlink(link, &passwd)?;
        for step in [3, 5] {
            let run = world.script(&behind, step, &[], &["sh", "-c", "exit 7"])?;
            run.timeout(Duration::from_secs(20)).run()?.code(7)?;
            let run = world.script(&behind, step, &["--user", "secret"], &["true"])?;
            run.run()?.code(125)?.stderr_has("no user \"secret\"")?;
        }
    }
    fs::remove_file(&passwd)?;
    world.sandbox.program("mkfifo").arg(&passwd).run()?.ok()?;
    world.run(3, &[], &["sh", "-c", "exit 7"]).timeout(Duration::from_secs(20)).run()?.code(7)?;
    fs::remove_file(&passwd)?;
    world.sandbox.file("root/etc/passwd", b"\xff:x:0:0::/:\nada:x:7:7::/:/bin/sh\n")?;
    assert_eq!(world.inside(3, &["--user", "ada"], "id -u")?, "7\n");
    Ok(())
}

/// While its engine runs, the kernel itself refuses (ETXTBSY); and a container's processes end with its init.
fn own_binary(world: &World) -> Outcome {
    for step in [3, 5] {
        let script = "echo x >> /proc/1/exe && echo written; cat /proc/1/exe > /tmp/copy; \
                      for file in /proc/self/exe /proc/1/exe; do readlink $file; done";
        let done = world.run(step, &["--init"], &["sh", "-c", script]).run()?;
        assert!(!done.stdout.contains("written"), "{done:?}");
    }
    Ok(())
}

fn first_process(world: &World) -> Outcome {
    let running = world.waiting(3, &[], "deaf", "")?;
    running.signal(Signal::SIGTERM)?;
    std::thread::sleep(Duration::from_millis(200));
    running.signal(Signal::SIGKILL)?;
    running.wait()?.code(128 + 9)?;
    let running = world.waiting(3, &["--init"], "hears", "")?;
    running.signal(Signal::SIGTERM)?;
    running.wait()?.code(128 + 15)?;
    let reaped = "(sleep 0.05 &); sleep 0.4; ps -o stat | grep -c Z";
    world.run(3, &["--init"], &["sh", "-c", reaped]).run()?.code(1)?.stdout_has("0")?;
    Ok(())
}

/// setresuid(2) clears the promise; it has to be given again. A user namespace of a single id has no other user.
fn dies_with_engine(world: &World) -> Outcome {
    for (step, init) in [(3, &[][..]), (3, &["--init"][..]), (5, &[][..])] {
        let options = [init, &["--user", "ada"]].concat();
        let running = world.waiting(step, &options, "short", "")?;
        let pid = recorded_pid(world)?;
        assert!(is_alive(&pid));
        running.signal(Signal::SIGKILL)?;
        running.wait()?;
        let ended = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !is_alive(&pid)
        });
        assert!(ended, "step {step}: {pid} lives on");
        let _ = world.run(step, &["--name", "sweeps"], &["true"]).run()?.ok()?;
        world.sandbox.step(5).args(["rm", "short"]).run()?;
    }
    Ok(())
}

/// The first process of the one container that runs.
fn recorded_pid(world: &World) -> Outcome<String> {
    let entry = fs::read_dir(world.sandbox.run_dir().join("containers"))?.next().ok_or("no record")??;
    let record = fs::read_to_string(entry.path())?;
    Ok(record.lines().find_map(|line| line.strip_prefix("pid ")).ok_or("no pid")?.to_owned())
}

/// `exec --init` leaves a process of ours in the container for as long as the program runs; its memory, its
/// descriptors and its binary must stay closed to root in there.
fn joining(world: &World) -> Outcome {
    let spy = "(while :; do for p in /proc/[0-9]*; do \
               grep -aq 'step0[3]' $p/cmdline || continue; echo seen; \
               readlink $p/exe; ls $p/fd; cat $p/environ; done; done) 2>/dev/null &";
    let running = world.waiting(3, &[], "spy", spy)?;
    for _ in 0..5 {
        world.sandbox.step(3).args(["exec", "spy", "true"]).run()?.ok()?;
    }
    world.sandbox.step(3).args(["exec", "--init", "spy", "sleep", "1"]).run()?.ok()?;
    let said = running.output().0;
    running.signal(Signal::SIGKILL)?;
    running.wait()?;
    assert!(said.contains("seen"), "the spy has seen nobody: {said}");
    assert!(said.lines().all(|line| ["up", "seen"].contains(&line)), "{said}");
    Ok(())
}
