//! Servers of other people's engines, for as long as a test takes.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{Background, Outcome, Run, Sandbox};

/// How long a server may take until it answers, and a client for one command.
const PATIENCE: Duration = Duration::from_secs(40);

/// A server of the test's own; ended by SIGTERM when it is dropped, with all that it has started.
#[derive(Debug)]
pub struct Server {
    process: Option<Background>,
}

impl Server {
    /// Starts it and waits for its socket.
    ///
    /// # Errors
    /// It could not be started, or does not answer within 40 seconds; with what it had said by then.
    pub fn start(run: Run, socket: &Path) -> Outcome<Self> {
        let server = Self { process: Some(run.spawn()?) };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(socket).is_err() {
            if Instant::now() > deadline {
                let said = server.process.as_ref().map(Background::output);
                return Err(format!("no answer at {}: {said:?}", socket.display()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        let _ = process.signal(Signal::SIGTERM);
        let _ = process.wait();
    }
}

/// A dockerd with a store of its own, in the suite's own network namespace, without networks. Needs `dockerd`,
/// `containerd` and `docker`.
#[derive(Debug)]
pub struct Dockerd {
    server: Option<Server>,
    dir: PathBuf,
}

impl Dockerd {
    /// Starts one in the directory `docker` of the sandbox, with these options besides.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start(sandbox: &Sandbox, options: &[&str]) -> Outcome<Self> {
        let dir = sandbox.dir("docker")?;
        let (socket, host) = (dir.join("sock"), format!("unix://{}", dir.join("sock").display()));
        let run = sandbox.program("dockerd").args(["--host", &host, "--pidfile"]).arg(dir.join("pid"));
        let run = run.arg("--data-root").arg(dir.join("data")).arg("--exec-root").arg(dir.join("exec"));
        let network = ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"];
        let run = run.args(network).args(["--ip-masq=false", "--storage-driver", "vfs"]);
        let run = run.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]).args(options);
        Ok(Self { server: Some(Server::start(run, &socket)?), dir })
    }

    /// The command `docker` with these arguments, as its client.
    pub fn docker(&self, args: &[&str]) -> Run {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_CONFIG", self.dir.join("config"));
        docker.args(["--host", &format!("unix://{}", self.dir.join("sock").display())]).args(args);
        Run::new(docker).timeout(PATIENCE)
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let all = self.docker(&["ps", "--all", "--quiet"]).run().map(|done| done.stdout).unwrap_or_default();
        for id in all.lines() {
            let _ = self.docker(&["rm", "--force", id]).run();
        }
        self.server = None;
        remove_groups(&["docker"]);
    }
}

/// Removes cgroups that an engine has named and leaves for the next time: only empty ones go.
pub fn remove_groups(names: &[&str]) {
    let top = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([top.to_owned()]) {
        names.iter().for_each(|name| remove_group(&hierarchy.join(name)));
    }
}

fn remove_group(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}
