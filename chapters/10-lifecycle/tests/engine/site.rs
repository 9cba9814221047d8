//! A place with an engine, whose containers are removed at the end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::{Done, Outcome, Run, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A sandbox and its engine.
pub struct Site {
    pub sandbox: Sandbox,
}

impl Site {
    pub fn new(sandbox: Sandbox) -> Self {
        Self { sandbox }
    }

    /// step10 with these arguments.
    pub fn command(&self, args: &[&str]) -> Run {
        self.sandbox.step(10).args(args).current_dir(self.sandbox.path())
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Outcome<Done> {
        self.command(args).run()
    }

    /// Runs it; it must end well. Its output.
    pub fn ok(&self, args: &[&str]) -> Outcome<String> {
        Ok(self.run(args)?.ok()?.text().to_owned())
    }

    /// A container called `name` that runs `script`, in the background and without a network. Its id.
    pub fn start(&self, name: &str, script: &str) -> Outcome<String> {
        self.start_with(name, &[], script)
    }

    /// The same with options.
    pub fn start_with(&self, name: &str, options: &[&str], script: &str) -> Outcome<String> {
        let first = ["run", "-d", "--network", "none", "--name", name];
        let args: Vec<_> =
            first.into_iter().chain(options.iter().copied()).chain(["host", "sh", "-c", script]).collect();
        let done = self.run(&args)?.ok()?;
        Ok(done.text().to_owned())
    }

    /// A container that is only created.
    pub fn create(&self, name: &str, script: &str) -> Outcome<String> {
        self.ok(&["create", "--network", "none", "--name", name, "host", "sh", "-c", script])
    }

    /// What a template makes of a container.
    pub fn inspect(&self, name: &str, format: &str) -> Outcome<String> {
        self.ok(&["inspect", "--format", format, name])
    }

    /// All that is known of it.
    pub fn json(&self, name: &str) -> Outcome<Value> {
        let text = self.ok(&["inspect", name])?;
        Ok(serde_json::from_str::<Value>(&text)?[0].clone())
    }

    /// Its status.
    pub fn status(&self, name: &str) -> Outcome<String> {
        self.inspect(name, "{{.State.Status}}")
    }

    /// Waits until it has this status.
    pub fn until(&self, name: &str, status: &str) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.status(name)? != status {
            if Instant::now() > deadline {
                Err(format!("{name} is {} and not {status}", self.status(name)?))?;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The container's directory.
    pub fn directory(&self, id: &str) -> PathBuf {
        self.sandbox.data().join("containers").join(id)
    }

    /// The process that looks after it: its first process's parent.
    pub fn supervisor(&self, name: &str) -> Outcome<i32> {
        let pid = self.inspect(name, "{{.State.Pid}}")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        Ok(parent.ok_or("no parent")?.parse()?)
    }

    /// Kills that process, and waits until it is dead.
    pub fn kill_supervisor(&self, name: &str) -> Outcome {
        let pid = self.supervisor(name)?;
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        let alive = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        while alive() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let Ok(list) = self.run(&["ps", "-aq"]) else { return };
        let ids: Vec<_> = list.stdout.split_whitespace().collect();
        if !ids.is_empty() {
            let _ = self.run(&[&["rm", "-f", "-v"], &ids[..]].concat());
        }
    }
}
