//! A bundle of busybox, a state directory of its own, and `cooper-runtime` with both.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::{Done, Outcome, Run, Sandbox};
use serde_json::{Value, json};

const APPLETS: &str = "cat dd echo env head id kill ls ps sh sleep stty test true tty wc";

/// What a test runs in. What is left of its containers is deleted with it.
pub struct World {
    pub sandbox: Sandbox,
    /// Changed by the test, written by [`write`](Self::write).
    pub config: Value,
}

impl World {
    pub fn root() -> Outcome<Self> {
        Self::new(Sandbox::new()?, &[])
    }

    pub fn ordinary() -> Outcome<Self> {
        Self::new(Sandbox::ordinary()?, &["--rootless"])
    }

    fn new(sandbox: Sandbox, options: &[&str]) -> Outcome<Self> {
        for dir in [
            "b",
            "b/rootfs",
            "b/rootfs/bin",
            "b/rootfs/etc",
            "b/rootfs/proc",
            "b/rootfs/sys",
            "b/rootfs/dev",
            "b/rootfs/tmp",
        ] {
            sandbox.dir(dir)?;
        }
        let bin = sandbox.path().join("b/rootfs/bin");
        fs::copy(harness::find_program("busybox").ok_or("no busybox")?, bin.join("busybox"))?;
        for applet in APPLETS.split(' ') {
            symlink("busybox", bin.join(applet))?;
        }
        let mut world = Self { sandbox, config: Value::Null };
        let bundle = world.bundle();
        world.runtime(&[&["spec", "--bundle", bundle.to_str().ok_or("path")?], options].concat())?.ok()?;
        world.config = serde_json::from_slice(&fs::read(bundle.join("config.json"))?)?;
        world.config["process"]["terminal"] = json!(false);
        // Some hosts' root may not raise limits.
        world.config["process"]["rlimits"] = json!([]);
        Ok(world)
    }

    pub fn bundle(&self) -> PathBuf {
        self.sandbox.path().join("b")
    }

    /// Where the containers' state lies.
    pub fn state(&self) -> PathBuf {
        self.sandbox.path().join("state")
    }

    /// The program of the container, and the configuration as it stands.
    pub fn write(&self, args: &[&str]) -> Outcome {
        let mut config = self.config.clone();
        config["process"]["args"] = json!(args);
        self.sandbox.file("b/config.json", config.to_string())?;
        Ok(())
    }

    /// `cooper-runtime --root … ARGS`
    pub fn command(&self, args: &[&str]) -> Run {
        let run = self.sandbox.program(env!("CARGO_BIN_EXE_cooper-runtime")).arg("--root").arg(self.state());
        run.args(args).timeout(Duration::from_secs(30))
    }

    pub fn runtime(&self, args: &[&str]) -> Outcome<Done> {
        self.command(args).run()
    }

    /// `create` or `run`, with the bundle.
    pub fn with_bundle(&self, verb: &str, args: &[&str]) -> Outcome<Done> {
        let bundle = self.bundle();
        self.runtime(&[&[verb, "--bundle", bundle.to_str().ok_or("path")?], args].concat())
    }

    pub fn status(&self, id: &str) -> Outcome<String> {
        let state: Value = serde_json::from_str(&self.runtime(&["state", id])?.ok()?.stdout)?;
        Ok(state["status"].as_str().ok_or("no status")?.to_owned())
    }

    pub fn wait_for(&self, id: &str, status: &str) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = self.status(id)?;
            if now == status {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{id} is {now}, not {status}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What is left in the state directory.
    pub fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state()).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for id in self.left() {
            let _ = self.runtime(&["delete", "--force", &id]);
        }
    }
}
