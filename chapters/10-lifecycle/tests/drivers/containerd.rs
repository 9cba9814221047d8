//! containerd and its shim, driven by `ctr`.

use std::time::Duration;

use harness::{Done, Outcome, Server, Suite, remove_groups};

use crate::world::World;

type Test = fn(&Containerd) -> Outcome;

const TESTS: [(&str, Test); 4] = [
    ("run: output and exit code", run),
    ("a task: exec, pause, processes, kill, delete", task),
    ("a program that cannot be run", failures),
    ("a task outlives containerd", restart),
];

pub fn add(mut suite: Suite) -> Suite {
    for (name, test) in TESTS {
        let run = move || test(&Containerd::new(World::root()?)?);
        suite = suite.root(format!("containerd: {name}"), run).needs(PROGRAMS);
    }
    suite.vm("containerd: limits", || limits(&Containerd::new(World::root()?)?)).needs(PROGRAMS)
}

const PROGRAMS: &[&str] = &["containerd", "ctr", "busybox", "skopeo"];

/// A containerd of the test's own, with the image imported.
struct Containerd {
    server: std::cell::RefCell<Option<Server>>,
    world: World,
}

const IMAGE: &str = "docker.io/library/busybox:latest";
/// Its name is in the paths of cgroups.
const NAMESPACE: &str = "cooper-test";

impl Containerd {
    fn new(world: World) -> Outcome<Self> {
        let dir = world.path("containerd");
        let dir = dir.to_str().ok_or("path")?;
        let plugins = [
            "io.containerd.grpc.v1.cri",
            "io.containerd.snapshotter.v1.aufs",
            "io.containerd.snapshotter.v1.btrfs",
            "io.containerd.snapshotter.v1.devmapper",
            "io.containerd.snapshotter.v1.zfs",
            "io.containerd.internal.v1.opt",
        ];
        let configuration = format!(
            "version = 2\nroot = \"{dir}/root\"\nstate = \"{dir}/state\"\ndisabled_plugins = {plugins:?}\n\
             [grpc]\naddress = \"{dir}/sock\"\n[ttrpc]\naddress = \"{dir}/ttrpc\"\n"
        );
        world.sandbox.file("containerd/config.toml", configuration)?;
        let image = world.image("oci-archive")?;
        let containerd = Self { server: None.into(), world };
        containerd.serve()?;
        // Twice as long: it unpacks, too.
        containerd
            .ctr(&["images", "import", "--base-name", "docker.io/library/busybox", image.to_str().ok_or("path")?])?
            .ok()?;
        Ok(containerd)
    }

    fn serve(&self) -> Outcome {
        *self.server.borrow_mut() = None; // the old one ends before the new one begins
        let run = self.world.program("containerd").arg("--config").arg(self.world.path("containerd/config.toml"));
        *self.server.borrow_mut() = Some(Server::start(run, &self.world.path("containerd/sock"))?);
        Ok(())
    }

    fn ctr(&self, args: &[&str]) -> Outcome<Done> {
        let run = self.world.program("ctr").arg("--address").arg(self.world.path("containerd/sock"));
        run.args(["--namespace", NAMESPACE]).args(args).run()
    }

    fn run(&self, options: &[&str], id: &str, command: &[&str]) -> Outcome<Done> {
        let runtime = self.world.runtime();
        let fixed = ["run", "--snapshotter", "native", "--runc-binary", runtime.to_str().ok_or("path")?];
        self.ctr(&[&fixed, options, &[IMAGE, id], command].concat())
    }

    fn status(&self, id: &str) -> Outcome<String> {
        let list = self.ctr(&["tasks", "list"])?.ok()?.stdout;
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(id)).unwrap_or_default();
        Ok(line.split_whitespace().last().unwrap_or_default().to_owned())
    }

    fn wait_for(&self, id: &str, status: &str) -> Outcome {
        for _ in 0..100 {
            if self.status(id)? == status {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{id} is {}, not {status}", self.status(id)?).into())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        for id in self.ctr(&["containers", "list", "--quiet"]).map(|done| done.stdout).unwrap_or_default().lines() {
            let _ = self.ctr(&["tasks", "kill", "--signal", "KILL", id]);
            let _ = self.wait_for(id, "STOPPED");
            let _ = self.ctr(&["tasks", "delete", "--force", id]);
            let _ = self.ctr(&["containers", "delete", id]);
        }
        *self.server.borrow_mut() = None;
        remove_groups(&[NAMESPACE]);
    }
}

fn run(containerd: &Containerd) -> Outcome {
    let done =
        containerd.run(&["--rm", "--env", "A=b"], "one", &["sh", "-c", "echo $A; echo err >&2; exit 3"])?.code(3)?;
    assert_eq!(done.text(), "b");
    assert!(done.stderr.contains("err"), "{}", done.stderr);
    let done = containerd.run(&["--rm", "--read-only", "--cwd", "/tmp"], "two", &["sh", "-c", "pwd; > /x"])?.fails()?;
    assert_eq!(done.text(), "/tmp");
    Ok(())
}

fn task(containerd: &Containerd) -> Outcome {
    containerd.run(&["--detach"], "one", &["sleep", "1000"])?.ok()?;
    assert_eq!(containerd.status("one")?, "RUNNING");
    let done = containerd.ctr(&["tasks", "exec", "--exec-id", "e1", "one", "echo", "inside"])?.ok()?;
    assert_eq!(done.text(), "inside");
    containerd.ctr(&["tasks", "exec", "--exec-id", "e2", "one", "sh", "-c", "exit 5"])?.code(5)?;
    containerd
        .ctr(&["tasks", "exec", "--exec-id", "e3", "one", "nope"])?
        .fails()?
        .stderr_has("executable file not found")?;
    containerd.ctr(&["tasks", "pause", "one"])?.ok()?;
    assert_eq!(containerd.status("one")?, "PAUSED");
    containerd.ctr(&["tasks", "resume", "one"])?.ok()?;
    assert_eq!(containerd.status("one")?, "RUNNING");
    let pids = containerd.ctr(&["tasks", "ps", "one"])?.ok()?.stdout;
    assert_eq!(pids.lines().count(), 2, "{pids}");
    containerd.ctr(&["tasks", "kill", "--signal", "KILL", "one"])?.ok()?;
    containerd.wait_for("one", "STOPPED")?;
    containerd.ctr(&["tasks", "delete", "one"])?.ok()?.stderr_has("exit code 137")?;
    containerd.ctr(&["containers", "delete", "one"])?.ok()?;
    Ok(())
}

fn failures(containerd: &Containerd) -> Outcome {
    let done = containerd.run(&["--rm"], "one", &["nope"])?.fails()?;
    done.stderr_has("OCI runtime create failed: exec: \"nope\": executable file not found in $PATH")?;
    Ok(())
}

fn restart(containerd: &Containerd) -> Outcome {
    containerd.run(&["--detach"], "one", &["sleep", "1000"])?.ok()?;
    containerd.serve()?;
    assert_eq!(containerd.status("one")?, "RUNNING");
    containerd.ctr(&["tasks", "exec", "--exec-id", "e1", "one", "true"])?.ok()?;
    Ok(())
}

fn limits(containerd: &Containerd) -> Outcome {
    containerd.run(&["--detach", "--memory-limit", "67108864", "--cpus", "0.5"], "one", &["sleep", "1000"])?.ok()?;
    for (file, value) in [("memory.max", "67108864"), ("cpu.max", "50000 100000")] {
        let file = format!("/sys/fs/cgroup/{NAMESPACE}/one/{file}");
        assert_eq!(std::fs::read_to_string(&file)?.trim(), value, "{file}");
    }
    containerd.ctr(&["tasks", "metrics", "one"])?.ok()?.stdout_has("67108864")?;
    Ok(())
}
