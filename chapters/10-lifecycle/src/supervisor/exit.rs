//! The end of the program: what is told of it, and to whom.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use process::{Error, OrCall, Result};
use serde::{Deserialize, Serialize};

use super::stamp::Stamp;

/// Something that happened to a container: a line in the engine's file of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Stamp,
    /// What kind of thing it happened to.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in Docker's words: `die`, `oom`, `health_status: healthy`.
    pub action: String,
    /// To which container.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What else is to be said, such as the exit code.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// Something that happened to a container just now.
    pub fn now(action: impl Into<String>, id: &str, name: &str) -> Self {
        let (id, name) = (id.to_owned(), name.to_owned());
        Self {
            time: Stamp::now(),
            kind: "container".into(),
            action: action.into(),
            id,
            name,
            attributes: BTreeMap::new(),
        }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.attributes.insert(name.to_owned(), value.to_string());
        self
    }

    /// Appends it to the file at `path`: one line in one write(2), so that those of several processes do not mix.
    ///
    /// # Errors
    /// As open(2) and write(2).
    pub fn append(&self, path: &Path) -> Result<()> {
        let mut line = serde_json::to_vec(self).map_err(|error| Error::invalid(error.to_string()))?;
        line.push(b'\n');
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(&line)).or_call("write", path.display())
    }
}

/// Has the kernel killed a process of this control group because its memory ran out (`memory.events`, cgroups(7))?
pub fn was_oom_killed(cgroup: &Path) -> bool {
    let events = fs::read_to_string(cgroup.join("memory.events")).unwrap_or_default();
    let count = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse::<u64>().ok());
    count.is_some_and(|count| count > 0)
}

/// Ends the children that served the container, and collects them.
pub fn end_helpers(helpers: &[i32]) {
    for pid in helpers.iter().copied().map(Pid::from_raw) {
        // Only what is still our child: another process may have that number by now.
        if waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_ran_out_is_read_from_the_group() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!was_oom_killed(dir.path()));
        fs::write(dir.path().join("memory.events"), "low 0\noom 1\noom_kill 0\noom_group_kill 0\n").unwrap();
        assert!(!was_oom_killed(dir.path()));
        fs::write(dir.path().join("memory.events"), "oom 1\noom_kill 2\n").unwrap();
        assert!(was_oom_killed(dir.path()));
    }

    #[test]
    fn an_event_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let event = Event::now("die", "ab", "web").with("exitCode", 137);
        event.append(&path).unwrap();
        event.append(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let read: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, [event.clone(), event]);
    }
}
