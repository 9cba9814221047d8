//! Podman, as a peer: with directories of its own, so that the machine's are neither used nor changed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::Outcome;
use harness::bench::spend;

/// How long one command of it may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The name of the only image.
const IMAGE: &str = "bench";

/// A podman that works on this machine, with one image.
pub struct Podman {
    dir: tempfile::TempDir,
    /// What it needs here to run anything at all.
    concessions: &'static [&'static str],
}

/// Where rlimits cannot be raised it must be told lower ones; without the controllers of cgroup v2, to use none.
const CONCESSIONS: [&[&str]; 3] = [
    &[],
    &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"],
    &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--cgroups=disabled"],
];

impl Podman {
    /// Podman with an image that is made of the directory `root`, if it is installed and can run it here; says why not.
    pub fn find(root: &Path) -> Option<Self> {
        match Self::new(root) {
            Ok(podman) => {
                if !podman.concessions.is_empty() {
                    println!("podman: with {} on this machine", podman.concessions.join(" "));
                }
                Some(podman)
            }
            Err(failed) => {
                println!("podman: left out: {}", failed.message().unwrap_or("it failed"));
                None
            }
        }
    }

    fn new(root: &Path) -> Outcome<Self> {
        harness::find_program("podman").ok_or("it is not installed")?;
        let mut podman = Self { dir: tempfile::tempdir()?, concessions: &[] };
        let tar = podman.dir.path().join("image.tar");
        spend(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(root).arg("."), PATIENCE)?;
        spend(podman.command("import").arg(&tar).arg(IMAGE), PATIENCE)?;
        let mut why = None;
        for concessions in CONCESSIONS {
            podman.concessions = concessions;
            match spend(&mut podman.run(&["--network=none"], &["true"]), PATIENCE) {
                Ok(_) => return Ok(podman),
                Err(failed) => why = Some(failed),
            }
        }
        Err(why.unwrap_or_else(|| "it runs nothing".into()))
    }

    /// `podman WORD`.
    pub fn command(&self, word: &str) -> Command {
        let mut command = Command::new("podman");
        for (option, place) in
            [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp"), ("--network-config-dir", "networks")]
        {
            command.arg(option).arg(self.dir.path().join(place));
        }
        command.args(["--cgroup-manager=cgroupfs", "--events-backend=none", word]);
        command
    }

    /// `podman run --rm OPTIONS IMAGE WORDS`.
    pub fn run(&self, options: &[&str], words: &[&str]) -> Command {
        let mut command = self.command("run");
        command.args(["--rm", "--pull=never"]).args(self.concessions).args(options).arg(IMAGE).args(words);
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = spend(self.command("rm").args(["--all", "--force", "--time=0"]), PATIENCE);
        let _ = spend(self.command("rmi").args(["--all", "--force"]), PATIENCE);
    }
}
