//! Where a check looks at a learner's program: it runs in a room of its own, and is looked at from outside.
//!
//! In the room the program is root, of a user namespace in which it is nobody special outside. It has a network with
//! nothing but a loopback that is down, this machine's programs read-only, a fresh /proc, /sys, /dev and /tmp, and
//! [`WORK`], which the check sees as [`Lab::work`]. It may make namespaces, mounts and links as it likes; where it was
//! given a control group, that is the top of its /sys/fs/cgroup, and its own to divide.

pub mod crowd;
pub mod family;
pub mod files;
mod group;
pub mod room;
mod running;
mod spec;
mod stream;
#[allow(unsafe_code)]
mod sys;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use namespaces::id::random_id;
use tempfile::TempDir;

pub use family::Process;
pub(crate) use running::LastWords;
pub use running::{Output, Running, STOP};
pub use spec::{Limits, PROGRAM, Spec, WORK};
pub(crate) use stream::Stream;
pub use sys::stop_on_signals;

use crate::Failure;

/// What a check is given: the learner's program, and a place to run it in. Every check has its own.
pub struct Lab {
    /// Ours, which makes the rooms.
    tool: PathBuf,
    program: PathBuf,
    dir: PathBuf,
    /// Is the directory ours, to end with this?
    own: bool,
    limits: Limits,
    cgroup: bool,
    runs: Cell<u32>,
    last_words: LastWords,
}

/// The names of our directories: this, our process id, and what makes them unique.
const PREFIX: &str = "cooper-lab-";

/// Removes what a runner left that was killed.
pub fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    group::sweep();
}

impl Lab {
    /// A place to run `program` in; `tool` is the runner itself.
    ///
    /// # Errors
    /// No directory for it.
    pub fn new(tool: &Path, program: &Path) -> Result<Self, Failure> {
        let dir = TempDir::with_prefix(format!("{PREFIX}{}-", std::process::id()))
            .map_err(|error| Failure::Machine(format!("mkdtemp: {error}")))?;
        let mut lab = Self::within(tool, program, &dir.keep());
        lab.own = true;
        fs::create_dir(lab.work()).map_err(|error| Failure::Machine(format!("mkdir: {error}")))?;
        Ok(lab)
    }

    /// The same, in a directory that is there, as is `work` in it, and stays.
    pub fn within(tool: &Path, program: &Path, dir: &Path) -> Self {
        let (tool, program, dir) = (tool.to_owned(), program.to_owned(), dir.to_owned());
        let (limits, last_words) = (Limits::default(), LastWords::default());
        Self { tool, program, dir, own: false, limits, cgroup: false, runs: Cell::new(0), last_words }
    }

    /// The same, where a program has a control group of its own.
    #[must_use]
    pub fn with_cgroup(mut self) -> Self {
        self.cgroup = true;
        self
    }

    /// What the last program that complained wrote to standard error, told in a few lines.
    pub fn last_words(&self) -> Option<String> {
        self.last_words.lock().ok()?.clone()
    }

    /// A word that nobody can know beforehand.
    pub fn nonce(&self) -> String {
        let digits: String = random_id().unwrap_or_default().chars().take(8).collect();
        format!("n{digits}")
    }

    /// A number that nobody can know beforehand.
    pub fn number(&self, from: u32, to: u32) -> u32 {
        let seed = self.nonce().bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(131).wrapping_add(byte.into()));
        from + u32::try_from(seed % u64::from(to - from + 1)).unwrap_or(0)
    }

    /// The directory that is [`WORK`] in the room.
    pub fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// Other limits than the usual ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is in a file of the directory that is [`WORK`] in the room, if it is a file. A program in the room may have
    /// put anything there, also a link or a pipe: this reads nothing else of this machine, and never blocks.
    pub fn read(&self, name: impl AsRef<Path>) -> Option<String> {
        files::read(&self.work(), name.as_ref())
    }

    /// Writes a file into the directory that is [`WORK`] in the room, through no link that leads out of it.
    ///
    /// # Errors
    /// As write(2).
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        let done = files::write(&self.work(), Path::new(name), text.as_ref());
        done.map_err(|error| Failure::Machine(error.to_string()))
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// It had to be ended; there is no room on this machine.
    pub fn run(&self, args: &[&str]) -> Result<Output, Failure> {
        self.start(args)?.finish()?.within_limits()
    }

    /// Starts the program.
    ///
    /// # Errors
    /// There is no room on this machine.
    pub fn start(&self, args: &[&str]) -> Result<Running, Failure> {
        self.start_words([PROGRAM].iter().chain(args).copied())
    }

    /// Runs a shell's script in a room to its end; `$PROGRAM` is the learner's, `$1` and so on are `args`.
    ///
    /// # Errors
    /// It had to be ended; there is no room on this machine.
    pub fn sh(&self, script: &str, args: &[&str]) -> Result<Output, Failure> {
        self.start_sh(script, args)?.finish()?.within_limits()
    }

    /// Starts a shell's script.
    ///
    /// # Errors
    /// There is no room on this machine.
    pub fn start_sh(&self, script: &str, args: &[&str]) -> Result<Running, Failure> {
        self.start_words(["/bin/sh", "-c", script, "sh"].iter().chain(args).copied())
    }

    fn start_words<'a>(&self, words: impl Iterator<Item = &'a str>) -> Result<Running, Failure> {
        self.runs.set(self.runs.get() + 1);
        let env = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("PROGRAM", PROGRAM),
        ];
        let spec = Spec {
            argv: words.map(str::to_owned).collect(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            work: self.work(),
            binds: vec![room::program_bind(&self.program)],
            report: self.dir.join(format!("report-{}-{}", std::process::id(), self.runs.get())),
            cgroup: self.cgroup,
            limits: self.limits,
        };
        Running::start(&self.tool, &spec, self.last_words.clone())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.own {
            files::remove(&self.dir);
        }
    }
}
