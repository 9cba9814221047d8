//! The harness itself: if this fails, the other tests say little.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::{Outcome, Registry, Sandbox, Suite, User};

fn main() {
    Suite::new()
        .user("a program's output and exit code come through", output)
        .user("a program that does not end is killed", time_limit)
        .user("a terminal is one", terminal)
        .user("an ordinary user is one, with subordinate ids", ordinary)
        .needs(&["newuidmap", "subuid", "userns"])
        .root("root has a host of its own", own_host)
        .needs(&["ip"])
        .root("there is a world outside", outside)
        .needs(&["busybox", "ip"])
        .root("an image goes into a registry and comes out", registry)
        .needs(&["busybox", "docker-registry", "skopeo"])
        .vm("all controllers are there", controllers)
        .vm("an ordinary user manages its cgroups", delegation)
        .needs(&["newuidmap"])
        .run();
}

fn output() -> Outcome {
    let sandbox = Sandbox::new()?;
    let done = sandbox.program("sh").args(["-c", "cat; echo oops >&2; exit 3"]).stdin("hello").run()?;
    assert_eq!(done.code(3)?.stderr_has("oops")?.text(), "hello");
    Ok(())
}

fn time_limit() -> Outcome {
    let sandbox = Sandbox::new()?;
    let sleep = sandbox.program("sleep").arg("1000").timeout(Duration::from_millis(50));
    assert!(sleep.run().unwrap_err().message().is_some_and(|message| message.contains("no end in 50ms")));
    Ok(())
}

fn terminal() -> Outcome {
    let sandbox = Sandbox::new()?;
    let mut shell = sandbox.program("sh").pty()?;
    shell.send("tty; stty size; sh -c 'echo $((6*7)); exec sleep 100'\n")?;
    shell.expect("/dev/pts/")?;
    shell.expect("24 80")?;
    shell.expect("42")?; // from now on Ctrl-C meets the inner shell, not the outer, which ignores it
    shell.send("\x03")?;
    shell.send("exit $((2+1))\n")?;
    assert_eq!(shell.wait()?, 3);
    Ok(())
}

fn ordinary() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let id = sandbox.program("id").arg("-u").run()?.ok()?;
    assert_ne!(id.text(), "0");
    let home = sandbox.program("sh").args(["-c", "touch ~/a \"$XDG_RUNTIME_DIR/b\" && ls -A ~"]).run()?.ok()?;
    assert!(home.text().contains('a'));
    let map = "unshare --user --map-auto --map-root-user sh -c 'touch file; chown 1000:1000 file; stat -c %u file'";
    let mapped = sandbox.program("sh").args(["-c", map]).run()?.ok()?;
    assert_eq!(mapped.text(), "1000");
    Ok(())
}

fn own_host() -> Outcome {
    let mut links: Vec<_> = std::fs::read_dir("/sys/class/net")?.flatten().map(|entry| entry.file_name()).collect();
    links.sort();
    assert_eq!(links, ["lo", "uplink"]);
    std::net::TcpListener::bind("127.0.0.1:80")?;
    Ok(())
}

fn outside() -> Outcome {
    let mut server = harness::outside_command("busybox");
    server.args(["nc", "-l", "-p", "80", "-e", "echo", "hello"]);
    let _server = harness::Run::new(server).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut stream = loop {
        match TcpStream::connect((harness::OUTSIDE_ADDRESS, 80)) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            connected => break connected?,
        }
    };
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    assert_eq!(text, "hello\n");
    Ok(())
}

fn registry() -> Outcome {
    let registry = Registry::shared()?;
    let name = registry.push(harness::busybox_image()?, "busybox:1")?;
    let sandbox = Sandbox::new()?;
    let inspect = sandbox.program("skopeo").args(["inspect", "--tls-verify=false", &format!("docker://{name}")]);
    inspect.run()?.ok()?.stdout_has("\"Os\": \"linux\"")?;
    Ok(())
}

fn controllers() -> Outcome {
    let list = std::fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control")?;
    for name in ["cpu", "cpuset", "io", "memory", "pids"] {
        assert!(list.split_whitespace().any(|controller| controller == name), "no {name} in {list}");
    }
    Ok(())
}

fn delegation() -> Outcome {
    let user = User::new()?;
    let group = user.delegated().ok_or("no cgroup was delegated")?.join("mine");
    let script = format!(
        "set -e; mkdir {0}; echo 33554432 > {0}/memory.max; sleep 0 & echo $! > {0}/cgroup.procs || :; wait
         cat {0}/memory.max; grep -q cooper-test /proc/self/cgroup; rmdir {0}; unshare -Ur id -u",
        group.display()
    );
    let mut command = user.command("sh")?;
    command.args(["-c", &script]);
    let done = harness::Run::new(command).run()?.ok()?;
    assert_eq!(done.text(), "33554432\n0");
    Ok(())
}
