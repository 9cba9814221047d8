//! What every driver needs: the runtime where anybody can execute it, images that are made here, and a server to end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Background, Done, Outcome, Run, Sandbox};
use nix::sys::signal::Signal;

/// How long a driver may take for one command. Podman 4.3 hangs at times when it is attached, with any runtime.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Directories of one driver.
pub struct World {
    pub sandbox: Sandbox,
}

impl World {
    pub fn root() -> Outcome<Self> {
        Self::new(Sandbox::new()?)
    }

    pub fn ordinary() -> Outcome<Self> {
        Self::new(Sandbox::ordinary()?)
    }

    fn new(sandbox: Sandbox) -> Outcome<Self> {
        let bin = sandbox.dir("bin")?;
        let runtime = bin.join("cooper-runtime");
        fs::copy(env!("CARGO_BIN_EXE_cooper-runtime"), &runtime)?;
        fs::set_permissions(&runtime, PermissionsExt::from_mode(0o755))?;
        Ok(Self { sandbox })
    }

    pub fn runtime(&self) -> PathBuf {
        self.path("bin/cooper-runtime")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(name)
    }

    pub fn program(&self, name: &str) -> Run {
        self.sandbox.program(name).timeout(PATIENCE)
    }

    /// Busybox as a tar file that `podman load`, `docker load` or `ctr images import` reads.
    pub fn image(&self, transport: &str) -> Outcome<PathBuf> {
        let tar = self.path("image.tar");
        let layout = harness::busybox_image()?;
        let mut skopeo = std::process::Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet"]).arg(format!("oci:{}:latest", layout.display()));
        skopeo.arg(format!("{transport}:{}:docker.io/library/busybox:latest", tar.display()));
        Run::new(skopeo).run()?.ok()?;
        fs::set_permissions(&tar, PermissionsExt::from_mode(0o644))?;
        Ok(tar)
    }
}

/// A server of the test's own; ended by SIGTERM when it is dropped, with all that it has started.
pub struct Server {
    process: Option<Background>,
}

impl Server {
    /// Starts it and waits for its socket.
    pub fn start(run: Run, socket: &Path) -> Outcome<Self> {
        let server = Self { process: Some(run.spawn()?) };
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
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

/// Removes cgroups that a driver has named and leaves for the next time, as it does with any runtime: only empty ones go.
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

/// The last line of what it said.
pub fn last_line(done: &Done) -> &str {
    done.text().lines().last().unwrap_or_default()
}
