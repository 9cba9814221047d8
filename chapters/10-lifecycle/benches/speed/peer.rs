//! A runtime that is measured.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bundle::Bundle;

/// How long a peer may take to run the bundle once, before it is left out.
const PATIENCE: Duration = Duration::from_secs(10);

/// What commands took.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// On the wall.
    pub time: Duration,
    /// The largest resident set, in KiB.
    pub memory: i64,
}

impl Spent {
    /// One after the other.
    pub fn and(self, next: Self) -> Self {
        Self { time: self.time + next.time, memory: self.memory.max(next.memory) }
    }
}

/// A runtime, and what has to be done to the machine that it works.
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    program: PathBuf,
    root: tempfile::TempDir,
}

impl Peer {
    /// The runtime `program`.
    pub fn new(name: &'static str, program: PathBuf) -> Self {
        Self { name, program, root: tempfile::tempdir().expect("a directory") }
    }

    /// The runtime called `name`, if it is installed and runs the bundle.
    pub fn find(name: &'static str, bundle: &Bundle) -> Option<Self> {
        let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let program = std::env::split_paths(&places).map(|place| place.join(name)).find(|path| path.is_file())?;
        let peer = Self::new(name, program);
        let said = match peer.tries(&["run", "--bundle", &bundle.of("true"), "speed-try"]) {
            Ok(()) => return Some(peer),
            Err(said) => said,
        };
        println!("{name}: {said}");
        peer.remove("speed-try");
        None
    }

    /// Does the command succeed? It is given [`PATIENCE`]; else it is killed.
    fn tries(&self, words: &[&str]) -> Result<(), String> {
        let mut command = self.command(words);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                _ => {
                    let said = child.wait_with_output().map(|output| output.stderr).unwrap_or_default();
                    return Err(String::from_utf8_lossy(&said).lines().next().unwrap_or("it failed").to_owned());
                }
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("{words:?} does not come back"))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.root.path()).args(words);
        command.stdin(Stdio::null());
        command
    }

    /// What the command takes.
    pub fn spend(&self, words: &[&str]) -> Spent {
        self.measure(self.command(words).stdout(Stdio::null()), words)
    }

    /// As [`spend`](Self::spend), of a command that leaves a process behind which would keep a pipe open.
    pub fn spend_apart(&self, words: &[&str]) -> Spent {
        self.measure(self.command(words).stdout(Stdio::null()).stderr(Stdio::null()), words)
    }

    #[expect(clippy::zombie_processes)] // wait4(2) collects it, and tells what it took
    fn measure(&self, command: &mut Command, words: &[&str]) -> Spent {
        let begun = Instant::now();
        let child = command.spawn().expect("the runtime");
        let (ok, memory) = crate::sys::wait(child.id());
        assert!(ok, "{} {words:?} failed", self.name);
        Spent { time: begun.elapsed(), memory }
    }

    /// A container that runs.
    pub fn begin(&self, id: &str, bundle: &str) {
        self.spend_apart(&["create", "--bundle", bundle, id]);
        self.spend(&["start", id]);
    }

    /// Takes it away.
    pub fn remove(&self, id: &str) {
        let _ = self.tries(&["delete", "--force", id]);
    }
}
