//! `--userns` for root's engine: root inside is nobody outside, and what is on the disk keeps its owners.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use harness::{Outcome, Run, Sandbox, Suite};
use nix::sys::signal::Signal;

type Test = fn(&Sandbox) -> Outcome;

const TESTS: [(&str, Test); 10] = [
    ("root inside is nobody outside", identities),
    ("what it writes belongs to who it is inside", owners),
    ("volumes are the same with and without", volumes),
    ("a bind mount with idmap, and one without", binds),
    ("idmap needs a user namespace", refused),
    ("a directory that a layer replaces stays replaced", opaque),
    ("devices of an image are none", image_devices),
    ("exec, users, read-only, privileged", variants),
    ("a container network of its own", network),
    ("kill -9 of the engine leaves no mount", killed),
];

fn main() {
    let mut suite = Suite::new();
    for (name, test) in TESTS {
        suite = suite.root(name, move || test(&Sandbox::new()?));
        if name.contains("network") {
            suite = suite.needs(&["nft"]);
        }
    }
    suite
        .user("ordinary: one user namespace is enough", || {
            let done = container(&Sandbox::ordinary()?, &["--userns"], "true").run()?.code(125)?;
            done.stderr_has("help:")?;
            Ok(())
        })
        .needs(&["userns", "subuid"])
        .run()
}

fn container(sandbox: &Sandbox, options: &[&str], script: &str) -> Run {
    let run = sandbox.step(9).args(["run", "--rm", "--network", "none"]).args(options);
    run.args(["host", "sh", "-c", script])
}

/// In a user namespace.
fn inside(sandbox: &Sandbox, options: &[&str], script: &str) -> Outcome<String> {
    Ok(container(sandbox, &[&["--userns"], options].concat(), script).run()?.ok()?.stdout)
}

fn step(sandbox: &Sandbox, arguments: &[&str]) -> Outcome<String> {
    Ok(sandbox.step(9).args(arguments).run()?.ok()?.stdout)
}

fn identities(sandbox: &Sandbox) -> Outcome {
    let map = inside(sandbox, &[], "id -u; cat /proc/self/uid_map")?;
    let words: Vec<_> = map.split_whitespace().collect();
    assert!(words[..2] == ["0", "0"] && words[2] != "0" && words[3] == "65536", "{map}");

    let script = "trap 'exit 0' TERM; echo ready; sleep 1000 & wait";
    let mut running = container(sandbox, &["--userns", "--name", "one"], script).spawn()?;
    running.says("ready")?;
    let record = fs::read_dir(sandbox.run_dir().join("containers"))?.next().ok_or("no record")??;
    let record = fs::read_to_string(record.path())?;
    let pid = record.lines().find_map(|line| line.strip_prefix("pid ")).ok_or("no pid")?;
    let outside = fs::metadata(format!("/proc/{pid}"))?.uid();
    assert_eq!(outside.to_string(), words[2]);
    assert_eq!(step(sandbox, &["exec", "one", "sh", "-c", "id -u; cat /proc/self/uid_map"])?, map);
    // With the first process all others of its namespace end, also who has just sent the signal.
    sandbox.step(9).args(["exec", "one", "sh", "-c", "kill -TERM 1"]).run()?;
    running.wait()?.ok()?;
    Ok(())
}

fn owners(sandbox: &Sandbox) -> Outcome {
    let script = "touch /a /b; chown 7:8 /b; mkdir -m 700 /d; ln -s x /l; chmod 4755 /a; stat -c '%u:%g %a' /a /b /d /l /etc /usr/bin/sh";
    let said = step(sandbox, &["run", "--userns", "--name", "one", "--network", "none", "host", "sh", "-c", script])?;
    let plain = inside(sandbox, &[], "stat -c '%u:%g %a' /etc /usr/bin/sh")?;
    assert_eq!(said, format!("0:0 4755\n7:8 644\n0:0 700\n0:0 777\n{plain}"));
    assert!(plain.lines().all(|line| line.starts_with("0:0 ")), "{plain}");
    let upper = fs::read_dir(sandbox.data().join("containers"))?.next().ok_or("no container")??.path().join("upper");
    let of = |name: &str| upper.join(name).symlink_metadata().map(|about| (about.uid(), about.gid()));
    assert_eq!((of("a")?, of("b")?, of("d")?), ((0, 0), (7, 8), (0, 0)));
    assert_eq!(step(sandbox, &["diff", "one"])?, "A /a\nA /b\nA /d\nA /l\n");
    step(sandbox, &["rm", "one"])?;
    Ok(())
}

fn volumes(sandbox: &Sandbox) -> Outcome {
    // New, it is filled from the image by root inside.
    let script = "touch /etc/opt/mine; chown 7:7 /etc/opt/mine; stat -c %u /etc/opt";
    assert_eq!(inside(sandbox, &["-v", "data:/etc/opt"], &format!("mkdir -p /etc/opt; {script}"))?, "0\n");
    let done =
        container(sandbox, &["-v", "data:/x"], "stat -c %u:%g /x/mine; touch /x/plain; chown 9:9 /x/plain").run()?;
    assert_eq!(done.ok()?.stdout, "7:7\n");
    assert_eq!(inside(sandbox, &["-v", "data:/x"], "stat -c %u:%g /x/plain; rm /x/plain /x/mine")?, "9:9\n");
    step(sandbox, &["volume", "rm", "data"])?;
    Ok(())
}

fn binds(sandbox: &Sandbox) -> Outcome {
    let (host, file) = (sandbox.dir("host")?, sandbox.file("host/file", "text\n")?);
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let at = |target: &str, options: &str| format!("{}:{target}{options}", host.display());
    let script = "cat /m/file; stat -c %u /m/file; echo new > /m/new; chown 7 /m/new; cat /p/file || echo closed; stat -c %u /p/file";
    let said = inside(sandbox, &["-v", &at("/m", ":idmap"), "-v", &at("/p", "")], script)?;
    assert_eq!(said, "text\n0\nclosed\n65534\n");
    assert_eq!(host.join("new").metadata()?.uid(), 7);
    let one = format!("type=bind,src={},dst=/f,readonly,idmap", file.display());
    let said = inside(sandbox, &["--mount", &one], "cat /f; echo x >> /f || echo read-only")?;
    assert_eq!(said, "text\nread-only\n");
    let shared = container(sandbox, &["--userns", "-v", &at("/m", ":idmap,rshared")], "true").run()?;
    shared.code(125)?.stderr_has("rshared")?;
    let missing = container(sandbox, &["--userns", "-v", "/no/such:/m:idmap"], "true").run()?;
    missing.code(125)?.stderr_has("/no/such")?;
    assert!(!Path::new("/no").exists());
    Ok(())
}

fn refused(sandbox: &Sandbox) -> Outcome {
    let volume = format!("{}:/m:idmap", sandbox.path().display());
    container(sandbox, &["-v", &volume], "true").run()?.code(125)?.stderr_has("--userns")?;
    Ok(())
}

/// A layer says by a mark, `trusted.overlay.opaque`, that its directory replaces the one below. Only the machine's root
/// may read such marks, so whoever mounts the layers has to be that.
fn opaque(sandbox: &Sandbox) -> Outcome {
    let script = "rm -rf /usr/share; mkdir -p /usr/share/new; ls /usr/share";
    let run = ["run", "--userns", "--name", "one", "--network", "none", "host", "sh", "-c", script];
    assert_eq!(step(sandbox, &run)?, "new\n");
    let container = fs::read_dir(sandbox.data().join("containers"))?.next().ok_or("no container")??;
    let set = "import os, sys; path = sys.argv[1]; names = os.listxattr(path); print(names)";
    let marks = sandbox.program("python3").args(["-c", set]).arg(container.path().join("upper/usr/share")).run()?;
    assert!(marks.code != 0 || !marks.stdout.contains("user.overlay"), "{marks:?}");
    // And a layer with the mark, above the one that has the directory.
    let image = fs::read_dir(sandbox.data().join("layers"))?.next().ok_or("no layer")??.path().join("diff");
    fs::create_dir_all(image.join("usr/share/old"))?;
    assert_eq!(inside(sandbox, &[], "ls /usr/share")?, "old\n");
    step(sandbox, &["rm", "one"])?;
    Ok(())
}

fn image_devices(sandbox: &Sandbox) -> Outcome {
    inside(sandbox, &[], "true")?;
    let layer = fs::read_dir(sandbox.data().join("layers"))?.next().ok_or("no layer")??.path().join("diff/node");
    sandbox.program("mknod").args(["-m", "666"]).arg(&layer).args(["c", "1", "3"]).run()?.ok()?;
    let script = "stat -c %F /node; (exec 3</node) 2>/dev/null && echo open; echo x > /dev/null && echo null; \
                  mknod /tmp/null c 1 3 2>/dev/null && echo made; true";
    assert_eq!(inside(sandbox, &[], script)?, "character special file\nnull\n");
    Ok(())
}

fn variants(sandbox: &Sandbox) -> Outcome {
    assert_eq!(
        inside(sandbox, &["--user", "1000:1000"], "id -u; touch /x 2>/dev/null || echo closed")?,
        "1000\nclosed\n"
    );
    assert_eq!(
        inside(sandbox, &["--read-only"], "touch /x 2>/dev/null || echo closed; touch /dev/shm/x && echo open")?,
        "closed\nopen\n"
    );
    assert_eq!(
        inside(
            sandbox,
            &["--uidmap", "0:200000:1000", "--gidmap", "0:300000:1000"],
            "cat /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g /etc"
        )?
        .split_whitespace()
        .collect::<Vec<_>>(),
        ["0", "200000", "1000", "0", "300000", "1000", "0:0"]
    );
    // All capabilities, over what is its own.
    let script = "mount -t tmpfs none /tmp && echo mounted; mknod /x b 8 0 2>/dev/null && echo made; \
                  echo 1 2>/dev/null > /proc/sys/kernel/panic && echo written; dmesg >/dev/null 2>&1; true";
    assert_eq!(inside(sandbox, &["--privileged"], script)?, "mounted\n");
    let script = "stat -L -c %t:%T /proc/keys; echo x 2>/dev/null > /proc/sys/kernel/domainname || echo refused; ls /sys/firmware | wc -l";
    assert_eq!(inside(sandbox, &[], script)?, "1:3\nrefused\n0\n");
    Ok(())
}

fn network(sandbox: &Sandbox) -> Outcome {
    let run = sandbox.step(9).args(["run", "--rm", "--userns", "--network", "bridge", "host", "sh", "-c"]);
    let done = run.arg("ip -4 address show eth0; cat /etc/hosts").run()?.ok()?;
    assert!(done.stdout.contains("inet 10."), "{done:?}");
    Ok(())
}

fn killed(sandbox: &Sandbox) -> Outcome {
    let volume = format!("{}:/m:idmap", sandbox.dir("host")?.display());
    let options = ["--userns", "--name", "short", "-v", &volume];
    let mut running = container(sandbox, &options, "echo ready; sleep 1000").spawn()?;
    running.says("ready")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    assert!(!mounts.contains("idmapped"), "nothing of it is mounted on the host: {mounts}");
    running.signal(Signal::SIGKILL)?;
    running.wait()?;
    container(sandbox, &["--userns"], "true").run()?.ok()?;
    assert_eq!(fs::read_dir(sandbox.data().join("containers"))?.count(), 0, "it was not to stay");
    Ok(())
}
