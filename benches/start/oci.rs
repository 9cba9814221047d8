//! OCI runtimes as peers: crun and runc, with one bundle.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::Outcome;
use harness::bench::{Spent, spend};

const PATIENCE: Duration = Duration::from_secs(10);

/// A runtime, its state and its bundle.
pub struct Runtime {
    /// Its name.
    pub name: &'static str,
    dir: tempfile::TempDir,
}

impl Runtime {
    /// The runtime of this name, if it is installed, with a bundle whose root is `root`.
    pub fn find(name: &'static str, root: &Path) -> Option<Self> {
        match Self::new(name, root) {
            Ok(runtime) => Some(runtime),
            Err(failed) => {
                println!("{name}: left out: {}", failed.message().unwrap_or("it failed"));
                None
            }
        }
    }

    fn new(name: &'static str, root: &Path) -> Outcome<Self> {
        harness::find_program(name).ok_or("it is not installed")?;
        let dir = tempfile::tempdir()?;
        spend(Command::new(name).arg("spec").current_dir(dir.path()), PATIENCE)?;
        let file = dir.path().join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        config["process"]["terminal"] = false.into();
        config["process"]["args"] = ["true"].as_slice().into();
        config["root"]["path"] = root.to_string_lossy().into();
        // Not every host can set them, and the steps set none.
        config["process"]["rlimits"] = serde_json::json!([]);
        config["linux"]["resources"] = serde_json::json!({});
        std::fs::write(file, config.to_string())?;
        Ok(Self { name, dir })
    }

    /// From nothing to the end of `true`.
    pub fn run(&self) -> Outcome<Spent> {
        let mut command = Command::new(self.name);
        command.arg("--root").arg(self.dir.path().join("state")).args(["run", "--bundle"]).arg(self.dir.path());
        spend(command.arg("start"), PATIENCE)
    }
}
