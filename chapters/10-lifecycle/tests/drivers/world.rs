//! What every driver needs: the runtime where anybody can execute it, and images that are made here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use harness::{Done, Outcome, Run, Sandbox};

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

/// The last line of what it said.
pub fn last_line(done: &Done) -> &str {
    done.text().lines().last().unwrap_or_default()
}
