//! The same properties as the host sees them: /proc/PID of a container that has been created and not yet started.

use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use harness::{Outcome, Suite};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::json;

use crate::sys;
use crate::world::{Cooper, World};

pub fn add(suite: Suite) -> Suite {
    suite
        .root("a created container is all there, seen from outside", created)
        .needs(&["busybox"])
        .root("who is root inside is somebody else outside", mapped)
        .needs(&["busybox"])
        .root("nothing of a container is mounted on the host", no_mounts)
        .needs(&["busybox"])
        .root("consoleSize, and a terminal that goes to the console socket", terminal)
        .needs(&["busybox"])
        .root("exec: a process of its own, with all its properties", exec)
        .needs(&["busybox"])
        .root("descriptors that are preserved, and no others", descriptors)
        .needs(&["busybox"])
}

/// Creates the container; gives its pid.
fn create(world: &World, more: &[&str]) -> Outcome<i32> {
    world.write()?;
    let pid_file = world.sandbox.path().join("pid");
    let (bundle, file) = (world.bundle().display().to_string(), pid_file.display().to_string());
    let words = [&["create", "--bundle", &bundle, "--pid-file", &file], more, &["case"]].concat();
    world.command(Cooper, &words).run()?.ok()?;
    Ok(fs::read_to_string(pid_file)?.trim().parse()?)
}

fn delete(world: &World) -> Outcome {
    world.command(Cooper, &["delete", "--force", "case"]).run()?.ok()?;
    Ok(())
}

fn created() -> Outcome {
    let mut world = World::new()?;
    world.set("/process/args", json!(["sleep", "100"]));
    world.set("/process/oomScoreAdj", json!(77));
    world.mount(json!({ "destination": "/x", "type": "tmpfs", "source": "mine", "options": ["nosuid"] }));
    let pid = create(&world, &[])?;
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    for namespace in ["pid", "ipc", "uts", "mnt", "net"] {
        let (theirs, ours) = (
            fs::read_link(format!("/proc/{pid}/ns/{namespace}"))?,
            fs::read_link(format!("/proc/self/ns/{namespace}"))?,
        );
        assert_ne!(theirs, ours, "{namespace}");
    }
    assert_eq!(fs::read_link(format!("/proc/{pid}/ns/user"))?, fs::read_link("/proc/self/ns/user")?);
    assert_eq!(read("oom_score_adj")?.trim(), "77");
    let mounts = read("mountinfo")?;
    assert!(mounts.lines().any(|line| line.contains(" /x rw,nosuid")), "{mounts}");
    assert!(!mounts.contains(" /usr "), "the host's root is in view: {mounts}");
    assert!(read("status")?.contains("NSpid:\t"));
    delete(&world)
}

fn mapped() -> Outcome {
    let mut world = World::new()?;
    crate::namespaces::new_user(&mut world)?;
    world.set("/process/args", json!(["sleep", "100"]));
    let pid = create(&world, &[])?;
    world.command(Cooper, &["start", "case"]).run()?.ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    assert!(status.contains("Uid:\t100000\t100000"), "{status}");
    assert!(status.contains("Gid:\t200000\t200000"), "{status}");
    delete(&world)
}

fn no_mounts() -> Outcome {
    let mut world = World::new()?;
    world.set("/process/args", json!(["sleep", "100"]));
    let before = fs::read_to_string("/proc/self/mountinfo")?;
    create(&world, &[])?;
    assert_eq!(fs::read_to_string("/proc/self/mountinfo")?, before);
    delete(&world)
}

fn terminal() -> Outcome {
    let mut world = World::new()?;
    world.set(
        "/process/args",
        json!(["sh", "-c", "stty size; tty; test -c /dev/console && echo console; stat -c %u $(tty)"]),
    );
    world.set("/process/terminal", json!(true));
    world.set("/process/consoleSize", json!({ "height": 10, "width": 77 }));
    world.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let socket = world.sandbox.path().join("console.sock");
    let listener = UnixListener::bind(&socket)?;
    create(&world, &["--console-socket", &socket.to_string_lossy()])?;
    let master = receive(&listener)?;
    world.command(Cooper, &["start", "case"]).run()?.ok()?;
    let text = read_until(master, "1000\r\n")?;
    assert_eq!(text, "10 77\r\n/dev/pts/0\r\nconsole\r\n1000\r\n");
    delete(&world)
}

fn receive(listener: &UnixListener) -> Outcome<OwnedFd> {
    let (stream, _) = listener.accept()?;
    let (mut bytes, mut space) = ([0; 64], nix::cmsg_space!(i32));
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let fd = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    Ok(sys::own(fd.ok_or("no descriptor came")?))
}

fn read_until(master: OwnedFd, end: &str) -> Outcome<String> {
    let (mut text, deadline) = (String::new(), Instant::now() + Duration::from_secs(20));
    let mut buffer = [0; 256];
    while !text.ends_with(end) && Instant::now() < deadline {
        match nix::unistd::read(&master, &mut buffer) {
            Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
            Err(_) => break, // EIO: nobody has the terminal open any more
        }
    }
    Ok(text)
}

fn exec() -> Outcome {
    let mut world = World::new()?;
    world.set("/process/args", json!(["sleep", "100"]));
    world.set(
        "/linux/seccomp",
        json!({ "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122 }] }),
    );
    create(&world, &[])?;
    world.command(Cooper, &["start", "case"]).run()?.ok()?;
    let script = "id -u; id -g; pwd; umask; hostname; echo $X; grep Cpus_allowed_list /proc/self/status | cut -f2; \
                  grep CapBnd /proc/self/status | cut -f2; ulimit -n; awk '{print $19, $41}' /proc/self/stat; mkdir /x 2>&1";
    let process = json!({
        "user": { "uid": 1000, "gid": 1001, "umask": 0o027 }, "args": ["sh", "-c", script], "cwd": "/etc",
        "env": ["PATH=/bin", "X=y"], "capabilities": { "bounding": ["CAP_KILL"] },
        "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 55, "hard": 66 }],
        "scheduler": { "policy": "SCHED_BATCH", "nice": 3 },
        "execCPUAffinity": { "initial": "0", "final": "0" },
    });
    let file = world.sandbox.file("process.json", process.to_string())?;
    let done = world.command(Cooper, &["exec", "--process", &file.to_string_lossy(), "case"]).run()?;
    let wanted = "1000\n1001\n/etc\n0027\ncase\ny\n0\n0000000000000020\n55\n3 3\nmkdir: can't create directory '/x': Disk quota exceeded";
    assert_eq!(done.stdout.trim(), wanted, "{}", done.stderr);
    delete(&world)
}

fn descriptors() -> Outcome {
    let mut world = World::new()?;
    world.set("/process/args", json!(["sh", "-c", "cat <&3; ls /proc/self/fd | tr '\\n' ' '"]));
    world.write()?;
    let extra = world.sandbox.file("extra", "from three\n")?;
    let bundle = world.bundle().display().to_string();
    let runtime = env!("CARGO_BIN_EXE_cooper-runtime");
    let state = world.sandbox.path().join("state").display().to_string();
    let line = format!(
        "exec 3< {} 4< /etc/passwd; exec {runtime} --root {state} run --preserve-fds 1 --bundle {bundle} case",
        extra.display()
    );
    let done = world.sandbox.program("sh").args(["-c", &line]).run()?.code(0)?;
    // ls has opened the directory itself.
    assert_eq!(done.stdout.trim(), "from three\n0 1 2 3 4");
    let without = world.run(Cooper)?;
    assert!(without.stdout.contains("0 1 2 3") && !without.stdout.contains('4'), "{}", without.stdout);
    Ok(())
}
