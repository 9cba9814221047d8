//! Podman and conmon, rootful and rootless.

use harness::{Done, Outcome, Run, Suite, remove_groups};

use crate::world::{World, last_line};

type Make = fn() -> Outcome<World>;
type Test = fn(&Podman) -> Outcome;

const TESTS: [(&str, Test); 6] = [
    ("run, exec, logs, inspect, stop, start, kill, rm", life),
    ("exit codes and messages of a program that cannot be run", failures),
    ("a terminal", terminal),
    ("pause and unpause", pause),
    ("without cgroups", no_cgroups),
    ("a limit comes true or is refused with the reason", limit),
];

pub fn add(mut suite: Suite) -> Suite {
    for (who, make) in [("rootful", World::root as Make), ("rootless", World::ordinary as Make)] {
        for (name, test) in TESTS {
            let (name, test) = (format!("podman {who}: {name}"), move || test(&Podman::new(make()?)?));
            suite = suite.root(name, test).needs(PROGRAMS).needs(if who == "rootful" { &[] } else { ROOTLESS });
        }
        let test = move || limits(&Podman::new(make()?)?);
        suite = suite.vm(format!("podman {who}: limits, update and stats"), test).needs(PROGRAMS);
        suite = suite.needs(if who == "rootful" { &[] } else { ROOTLESS });
    }
    suite
}

const PROGRAMS: &[&str] = &["podman", "conmon", "busybox", "skopeo"];
const ROOTLESS: &[&str] = &["newuidmap", "subuid", "userns"];

/// A Podman of the test's own, with the image loaded.
struct Podman {
    world: World,
}

/// Limits are off where they could not be set; ulimits are what any host allows.
const CONFIGURATION: &str = r#"
[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "cooper-runtime"
runtime_supports_json = ["cooper-runtime"]
runtime_supports_nocgroup = ["cooper-runtime"]
[engine.runtimes]
cooper-runtime = ["RUNTIME"]
"#;

impl Podman {
    fn new(world: World) -> Outcome<Self> {
        let runtime = world.runtime();
        world.sandbox.file("containers.conf", CONFIGURATION.replace("RUNTIME", runtime.to_str().ok_or("path")?))?;
        world.sandbox.file("policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
        world.sandbox.dir("podman")?;
        let image = world.image("docker-archive")?;
        let podman = Self { world };
        podman
            .podman(&[
                "load",
                "--signature-policy",
                podman.world.path("policy.json").to_str().ok_or("path")?,
                "--input",
                image.to_str().ok_or("path")?,
            ])?
            .ok()?;
        Ok(podman)
    }

    fn command(&self, args: &[&str]) -> Run {
        let run = self.world.program("podman").env("CONTAINERS_CONF", self.world.path("containers.conf"));
        let run =
            run.arg("--root").arg(self.world.path("podman/root")).arg("--runroot").arg(self.world.path("podman/run"));
        run.arg("--tmpdir").arg(self.world.path("podman/tmp")).args(["--storage-driver", "vfs"]).args(args)
    }

    fn podman(&self, args: &[&str]) -> Outcome<Done> {
        self.command(args).run()
    }

    /// `run -d`, with a name and without a network: what this Podman does reliably.
    fn start(&self, options: &[&str], command: &[&str]) -> Outcome<Done> {
        self.podman(
            &[&["run", "--detach", "--name", "one", "--network", "none"], options, &["busybox"], command].concat(),
        )
    }

    /// What a program says that ends by itself, and its exit code: detached, then by wait and logs.
    fn run(&self, options: &[&str], command: &[&str]) -> Outcome<(i32, String)> {
        self.start(options, command)?.ok()?;
        let code = last_line(&self.podman(&["wait", "one"])?.ok()?).parse()?;
        let said = self.podman(&["logs", "one"])?.ok()?.stdout;
        self.podman(&["rm", "--force", "one"])?.ok()?;
        Ok((code, said))
    }

    fn inspect(&self, format: &str) -> Outcome<String> {
        Ok(self.podman(&["inspect", "--format", format, "one"])?.ok()?.text().to_owned())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.podman(&["rm", "--all", "--force", "--time", "0"]);
        // Ends the process by which it keeps its user namespace.
        let _ = self.podman(&["system", "migrate"]);
        remove_groups(&["libpod_parent", "conmon"]);
    }
}

fn life(podman: &Podman) -> Outcome {
    podman
        .start(
            &["--env", "A=b", "--hostname", "box"],
            &["sh", "-c", "echo out; echo err >&2; trap 'exit 3' TERM; while :; do sleep 0.1; done"],
        )?
        .ok()?;
    assert_eq!(podman.inspect("{{.State.Status}} {{.OCIRuntime}}")?, "running cooper-runtime");
    let done = podman.podman(&["exec", "one", "sh", "-c", "hostname; echo $A; id -u"])?.ok()?;
    assert_eq!(done.stdout, "box\nb\n0\n");
    podman.podman(&["exec", "--user", "65534", "one", "id", "-u"])?.ok()?.stdout_has("65534")?;
    podman.podman(&["exec", "one", "sh", "-c", "exit 7"])?.code(7)?;
    let logs = podman.podman(&["logs", "one"])?.ok()?;
    assert_eq!((logs.stdout.trim(), logs.stderr.trim()), ("out", "err"));
    podman.podman(&["top", "one"])?.ok()?.stdout_has("sleep")?;
    podman.podman(&["stop", "--time", "10", "one"])?.ok()?;
    assert_eq!(podman.inspect("{{.State.Status}} {{.State.ExitCode}}")?, "exited 3");
    podman.podman(&["start", "one"])?.ok()?;
    podman.podman(&["kill", "--signal", "KILL", "one"])?.ok()?;
    assert_eq!(last_line(&podman.podman(&["wait", "one"])?.ok()?), "137");
    podman.podman(&["rm", "one"])?.ok()?;
    podman.podman(&["inspect", "one"])?.fails()?;
    // One that runs is removed by force.
    podman.start(&[], &["sleep", "1000"])?.ok()?;
    podman.podman(&["rm", "--force", "--time", "0", "one"])?.ok()?;
    Ok(())
}

fn failures(podman: &Podman) -> Outcome {
    for (program, code, told) in [
        ("nope", 127, "executable file not found in $PATH"),
        ("/nope", 127, "no such file or directory"),
        ("/etc/passwd", 126, "permission denied"),
    ] {
        let done = podman.start(&[], &[program])?.code(code)?;
        assert!(done.stderr.contains(told), "{}", done.stderr);
        podman.podman(&["rm", "--force", "one"])?.ok()?;
    }
    podman.start(&[], &["sleep", "1000"])?.ok()?;
    podman.podman(&["exec", "one", "nope"])?.code(127)?.stderr_has("executable file not found")?;
    podman.start(&["--workdir", "/etc/passwd"], &["true"])?.fails()?;
    Ok(())
}

fn terminal(podman: &Podman) -> Outcome {
    let (code, said) = podman.run(&["--tty"], &["sh", "-c", "test -t 0 && test -t 1 && echo on $(tty)"])?;
    assert_eq!((code, said.trim()), (0, "on /dev/pts/0"));
    Ok(())
}

fn pause(podman: &Podman) -> Outcome {
    podman.start(&[], &["sleep", "1000"])?.ok()?;
    let done = podman.podman(&["pause", "one"])?;
    if done.code != 0 {
        // An ordinary user without a delegated group has none to freeze; Podman itself says so on cgroup v1.
        assert!(podman.world.sandbox.user().is_some(), "{}", done.stderr);
        return Ok(());
    }
    assert_eq!(podman.inspect("{{.State.Status}}")?, "paused");
    podman.podman(&["exec", "one", "true"])?.fails()?;
    podman.podman(&["unpause", "one"])?.ok()?;
    assert_eq!(podman.inspect("{{.State.Status}}")?, "running");
    Ok(())
}

fn no_cgroups(podman: &Podman) -> Outcome {
    let (code, said) = podman.run(&["--cgroups", "disabled"], &["echo", "free"])?;
    assert_eq!((code, said.trim()), (0, "free"));
    Ok(())
}

fn limit(podman: &Podman) -> Outcome {
    let done = podman.start(&["--pids-limit", "40"], &["sleep", "1000"])?;
    if done.code != 0 {
        // Rootless on cgroup v1, Podman refuses by itself or leaves the limit out.
        assert!(done.stderr.contains("cgroup"), "{}", done.stderr);
    }
    Ok(())
}

fn limits(podman: &Podman) -> Outcome {
    let options = ["--memory", "64m", "--pids-limit", "40", "--cpus", "0.5"];
    podman.start(&options, &["sleep", "1000"])?.ok()?;
    let read = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max";
    let done = podman.podman(&["exec", "one", "sh", "-c", read])?.ok()?;
    assert_eq!(done.stdout, "67108864\n40\n50000 100000\n");
    podman.podman(&["update", "--memory", "32m", "one"])?.ok()?;
    podman.podman(&["exec", "one", "cat", "/sys/fs/cgroup/memory.max"])?.ok()?.stdout_has("33554432")?;
    podman.podman(&["stats", "--no-stream", "one"])?.ok()?.stdout_has("one")?;
    podman.podman(&["pause", "one"])?.ok()?;
    assert_eq!(podman.inspect("{{.State.Status}}")?, "paused");
    podman.podman(&["unpause", "one"])?.ok()?;
    Ok(())
}
