//! Debian's dockerd, with our runtime beside its own.

use std::time::{Duration, Instant};

use harness::{Dockerd, Done, Outcome, Suite};

use crate::world::{World, last_line};

type Test = fn(&Docker) -> Outcome;

const TESTS: [(&str, Test); 5] = [
    ("run: output, exit code, options", run),
    ("exec, logs, top, inspect, stop, start, kill, rm", life),
    ("exit codes and messages of a program that cannot be run", failures),
    ("pause and unpause", pause),
    ("a terminal", terminal),
];

pub fn add(mut suite: Suite) -> Suite {
    for (name, test) in TESTS {
        let run = move || test(&Docker::new(World::root()?)?);
        suite = suite.root(format!("docker: {name}"), run).needs(PROGRAMS);
    }
    suite.vm("docker: limits, update and stats", || limits(&Docker::new(World::root()?)?)).needs(PROGRAMS)
}

const PROGRAMS: &[&str] = &["dockerd", "docker", "containerd", "busybox", "skopeo"];

/// A dockerd of the test's own, with the image loaded.
struct Docker {
    daemon: Dockerd,
    /// Dropped after the daemon.
    _world: World,
}

impl Docker {
    fn new(world: World) -> Outcome<Self> {
        let runtime = format!("cooper={}", world.runtime().display());
        let image = world.image("docker-archive")?;
        let daemon = Dockerd::start(&world.sandbox, &["--add-runtime", &runtime])?;
        let docker = Self { daemon, _world: world };
        docker.docker(&["load", "--input", image.to_str().ok_or("path")?])?.ok()?;
        Ok(docker)
    }

    fn docker(&self, args: &[&str]) -> Outcome<Done> {
        self.daemon.docker(args).run()
    }

    fn run(&self, options: &[&str], command: &[&str]) -> Outcome<Done> {
        let fixed = ["run", "--runtime", "cooper", "--network", "none"];
        self.docker(&[&fixed, options, &["busybox"], command].concat())
    }

    fn start(&self) -> Outcome {
        let script = "echo out; echo err >&2; trap 'exit 3' TERM; while :; do sleep 0.1; done";
        self.run(&["--detach", "--name", "one"], &["sh", "-c", script])?.ok()?;
        Ok(())
    }

    fn inspect(&self, format: &str) -> Outcome<String> {
        Ok(self.docker(&["inspect", "--format", format, "one"])?.ok()?.text().to_owned())
    }
}

fn run(docker: &Docker) -> Outcome {
    let done = docker.run(&["--rm"], &["sh", "-c", "echo out; echo err >&2; exit 6"])?.code(6)?;
    assert_eq!((done.text(), done.stderr.trim()), ("out", "err"));
    let options =
        ["--rm", "--hostname", "box", "--user", "65534:65534", "--workdir", "/tmp", "--read-only", "--cap-drop", "ALL"];
    let done = docker.run(
        &options,
        &["sh", "-c", "hostname; id -u; pwd; grep CapEff /proc/self/status; ls /proc/self/fd | wc -l"],
    )?;
    let said = done.ok()?.stdout;
    let lines: Vec<_> = said.split_whitespace().collect();
    assert_eq!(lines, ["box", "65534", "/tmp", "CapEff:", "0000000000000000", "4"]);
    docker
        .run(
            &["--rm", "--tmpfs", "/scratch:size=1m", "--sysctl", "kernel.shm_rmid_forced=1"],
            &["sh", "-c", "cat /proc/sys/kernel/shm_rmid_forced; df /scratch | tail -1"],
        )?
        .ok()?
        .stdout_has("1024")?;
    Ok(())
}

fn life(docker: &Docker) -> Outcome {
    docker.start()?;
    assert_eq!(docker.inspect("{{.State.Status}} {{.HostConfig.Runtime}}")?, "running cooper");
    docker.docker(&["exec", "one", "echo", "inside"])?.ok()?.stdout_has("inside")?;
    docker
        .docker(&[
            "exec",
            "--user",
            "65534",
            "--workdir",
            "/tmp",
            "--env",
            "A=b",
            "one",
            "sh",
            "-c",
            "id -u; pwd; echo $A; exit 9",
        ])?
        .code(9)?
        .stdout_has("65534\n/tmp\nb")?;
    docker.docker(&["exec", "--detach", "one", "sleep", "1000"])?.ok()?;
    docker.docker(&["top", "one"])?.ok()?.stdout_has("sleep 1000")?;
    let logs = docker.docker(&["logs", "one"])?.ok()?;
    assert_eq!((logs.text(), logs.stderr.trim()), ("out", "err"));
    docker.docker(&["stop", "--time", "10", "one"])?.ok()?;
    assert_eq!(docker.inspect("{{.State.Status}} {{.State.ExitCode}}")?, "exited 3");
    docker.docker(&["start", "one"])?.ok()?;
    docker.docker(&["kill", "one"])?.ok()?;
    assert_eq!(last_line(&docker.docker(&["wait", "one"])?.ok()?), "137");
    docker.docker(&["rm", "one"])?.ok()?;
    docker.start()?;
    docker.docker(&["rm", "--force", "one"])?.ok()?;
    Ok(())
}

fn failures(docker: &Docker) -> Outcome {
    docker.run(&["--rm"], &["nope"])?.code(127)?.stderr_has("executable file not found in $PATH")?;
    docker.run(&["--rm"], &["/nope"])?.code(127)?.stderr_has("no such file or directory")?;
    docker.run(&["--rm"], &["/etc/passwd"])?.code(126)?.stderr_has("permission denied")?;
    docker.start()?;
    docker.docker(&["exec", "one", "nope"])?.fails()?;
    Ok(())
}

fn pause(docker: &Docker) -> Outcome {
    docker.start()?;
    docker.docker(&["pause", "one"])?.ok()?;
    assert_eq!(docker.inspect("{{.State.Status}}")?, "paused");
    docker.docker(&["unpause", "one"])?.ok()?;
    docker.docker(&["exec", "one", "true"])?.ok()?;
    Ok(())
}

fn terminal(docker: &Docker) -> Outcome {
    docker.run(&["--detach", "--tty", "--name", "one"], &["sh", "-c", "test -t 0 && test -t 1 && tty"])?.ok()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !docker.docker(&["logs", "one"])?.ok()?.stdout.contains("/dev/pts/0") {
        assert!(Instant::now() < deadline, "{}", docker.docker(&["logs", "one"])?.stdout);
    }
    Ok(())
}

fn limits(docker: &Docker) -> Outcome {
    let options = ["--detach", "--name", "one", "--memory", "64m", "--pids-limit", "40", "--cpus", "0.5"];
    docker.run(&options, &["sleep", "1000"])?.ok()?;
    let read = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max";
    let done = docker.docker(&["exec", "one", "sh", "-c", read])?.ok()?;
    assert_eq!(done.stdout, "67108864\n40\n50000 100000\n");
    docker.docker(&["update", "--memory", "32m", "--memory-swap", "64m", "--pids-limit", "20", "one"])?.ok()?;
    let done = docker.docker(&["exec", "one", "sh", "-c", read])?.ok()?;
    assert_eq!(done.stdout, "33554432\n20\n50000 100000\n");
    docker.docker(&["stats", "--no-stream", "one"])?.ok()?.stdout_has("32MiB")?;
    Ok(())
}
