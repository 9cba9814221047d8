//! What is remembered of a container's life: `state.json` in its directory, which a reader can `cat`.
//!
//! One process writes it: the supervisor while it lives, else a command that holds the lock of the container's
//! directory. It is written to another name, synced and renamed, so that nobody ever reads half of it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use process::{Error, Exit, Kind, OrCall, Result};
use serde::{Deserialize, Serialize};

use crate::supervisor::stamp::Stamp;

/// The file's name.
const NAME: &str = "state.json";

/// Where in its life a container is. The names are Docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was never started.
    #[default]
    Created,
    /// Its program runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its program has ended; the supervisor starts it again in a moment.
    Restarting,
    /// It is just being removed.
    Removing,
    /// Its program has ended.
    Exited,
    /// It could not be removed whole; nothing but `rm` is left to do.
    Dead,
}

impl Status {
    /// The name, as it stands in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

/// The state of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Where in its life it is.
    pub status: Status,
    /// Its first process, as the host sees it; 0 if none runs.
    pub pid: i32,
    /// When that process started, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
    /// When its program was last executed.
    pub started_at: Option<Stamp>,
    /// When that ended.
    pub finished_at: Option<Stamp>,
    /// How it ended, as a shell tells it: the program's own code, or 128 + the signal.
    pub exit_code: i32,
    /// Did the kernel kill a process of it because of its memory limit?
    pub oom_killed: bool,
    /// Why it could not be started, if that is so.
    pub error: String,
    /// How many times the supervisor has started it again.
    pub restart_count: u32,
    /// How long the supervisor waited before it did so last, in milliseconds; the next time it is twice that.
    #[serde(skip_serializing_if = "is_zero")]
    pub back_off_ms: u64,
    /// Was it a person's wish that it ended? Then it is not started again.
    pub manually_stopped: bool,
    /// What the health check says, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// What the health check says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// How many checks have failed since the last one that did not.
    pub failing_streak: u32,
    /// The last five checks, the newest last.
    pub log: Vec<Probe>,
}

/// The verdict of the health checks so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No check has succeeded yet, nor have too many failed.
    #[default]
    Starting,
    /// The last checks succeeded, or not too many failed.
    Healthy,
    /// Too many failed, one after the other.
    Unhealthy,
}

impl HealthStatus {
    /// The name, as it stands in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One run of the health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it began.
    pub start: Stamp,
    /// When it ended.
    pub end: Stamp,
    /// How it ended; -1 if it took too long or could not be run.
    pub exit_code: i32,
    /// What it said, at most 4096 bytes of it.
    pub output: String,
}

impl State {
    /// A program was executed: everything of an earlier life is forgotten but the count of restarts.
    pub fn begin(&mut self, pid: i32, start_time: u64) {
        *self = Self {
            status: Status::Running,
            pid,
            start_time,
            started_at: Some(Stamp::now()),
            restart_count: self.restart_count,
            back_off_ms: self.back_off_ms,
            ..Self::default()
        };
    }

    /// It is made, and nothing else.
    pub fn created() -> Self {
        Self::default()
    }

    /// Its program was not executed. Who has run before has ended now; a new one stays created.
    pub fn could_not_start(&mut self, error: &Error) {
        self.status = if self.started_at.is_some() { Status::Exited } else { Status::Created };
        self.exit_code = match error.kind() {
            Kind::Exec(nix::errno::Errno::ENOENT) => Exit::NOT_FOUND.into(),
            Kind::Exec(_) => Exit::NOT_EXECUTABLE.into(),
            _ => Exit::ENGINE.into(),
        };
        error.what().clone_into(&mut self.error);
        (self.pid, self.start_time) = (0, 0);
        self.finished_at = self.started_at.is_some().then(Stamp::now);
    }

    /// Reads the state of the container whose directory is `dir`.
    ///
    /// # Errors
    /// `ENOENT` if there is none; [`Kind::Corrupt`] if it is not what it should be.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(NAME);
        let text = fs::read(&path).or_call("read", path.display())?;
        serde_json::from_slice(&text).map_err(|error| {
            Error::new(Kind::Corrupt, format!("{}: {error}", path.display())).help("only `rm` can mend that")
        })
    }

    /// Writes it, so that it is there also after the machine loses power.
    ///
    /// # Errors
    /// As open(2), write(2), fsync(2) and rename(2).
    pub fn write(&self, dir: &Path) -> Result<()> {
        self.replace(dir, File::sync_all)
    }

    /// Writes it without waiting for the disk: for what changes often and is worth little after the machine has died.
    ///
    /// # Errors
    /// As open(2), write(2) and rename(2).
    pub fn note(&self, dir: &Path) -> Result<()> {
        self.replace(dir, |_| Ok(()))
    }

    fn replace(&self, dir: &Path, sync: impl FnOnce(&File) -> std::io::Result<()>) -> Result<()> {
        let (path, temporary) = (dir.join(NAME), dir.join("state.json.new"));
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| Error::invalid(error.to_string()))?;
        text.push(b'\n');
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary);
        let written = file.and_then(|mut file| file.write_all(&text).and_then(|()| sync(&file)));
        written.or_call("write", temporary.display())?;
        fs::rename(&temporary, &path).or_call("rename", path.display())
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(State::read(dir.path()).unwrap_err().errno(), Some(nix::errno::Errno::ENOENT));
        let mut state = State { restart_count: 3, exit_code: 7, manually_stopped: true, ..State::default() };
        state.begin(42, 99);
        let probe = Probe { start: Stamp::new(1, 0), end: Stamp::new(2, 5), exit_code: -1, output: "no\n".to_owned() };
        state.health = Some(Health { log: vec![probe], ..Health::default() });
        state.write(dir.path()).unwrap();
        assert_eq!(State::read(dir.path()).unwrap(), state);
        assert_eq!((state.exit_code, state.manually_stopped, state.restart_count), (0, false, 3));
        state.note(dir.path()).unwrap();
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["state.json"]);
    }

    #[test]
    fn half_a_file_is_corrupt_and_unknown_fields_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), "{\"status\":\"running\",\"new\":[1]}").unwrap();
        assert_eq!(State::read(dir.path()).unwrap().status, Status::Running);
        fs::write(dir.path().join(NAME), "{\"status\":").unwrap();
        assert_eq!(State::read(dir.path()).unwrap_err().kind(), Kind::Corrupt);
    }
}
