//! What is kept of a container from one command to the next: `ROOT/ID/state.json`, which a reader can `cat`.
//!
//! It is written once, when the process is there. What changes afterwards is not written but looked at: whether
//! the process lives (pid and start time), whether it still waits for its start, whether its group is frozen. So
//! nothing can be out of date, whoever is killed at whatever moment.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use cgroups::Group;
use namespaces::running::start_time;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::Pid;
use oci_spec::runtime::Hook;
use process::{Result, sys};
use serde::{Deserialize, Serialize};

use super::errors;
use super::hooks::Told;
use super::members::Home;

/// The version of the runtime specification that this is.
pub const OCI_VERSION: &str = "1.2.0";

/// Where in its life a container is (runtime.md, "State"); `paused` is runc's addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` has not ended.
    Creating,
    /// The process waits for `start`.
    Created,
    /// The program runs.
    Running,
    /// All of its processes are held still.
    Paused,
    /// The process has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// A container as `state.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The specification's version that config.json names.
    pub oci_version: String,
    /// Its name.
    pub id: String,
    /// Its first process, as the caller of `create` sees it; 0 if there never was one.
    pub pid: i32,
    /// When that process started, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// The root's directory.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339.
    pub created: String,
    /// As config.json has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The directory of its control group, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// How its other processes are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// The hooks of config.json that later commands run.
    #[serde(default, skip_serializing_if = "LaterHooks::is_empty")]
    pub hooks: LaterHooks,
}

/// The hooks that `start` and `delete` run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaterHooks {
    /// After the program was started.
    pub poststart: Vec<Hook>,
    /// After the container was deleted.
    pub poststop: Vec<Hook>,
}

impl LaterHooks {
    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.poststart.is_empty() && self.poststop.is_empty()
    }
}

impl State {
    /// Of a container of which only the id is known: its creator has not come to write down more.
    pub fn unknown(id: String) -> Self {
        Self {
            oci_version: OCI_VERSION.to_owned(),
            id,
            pid: 0,
            start_time: 0,
            bundle: PathBuf::new(),
            rootfs: PathBuf::new(),
            created: String::new(),
            annotations: BTreeMap::new(),
            cgroup: None,
            home: None,
            hooks: LaterHooks::default(),
        }
    }

    /// Does its first process live?
    pub fn is_alive(&self) -> bool {
        self.pid > 0 && start_time(self.pid) == Some(self.start_time)
    }

    /// A handle of its first process, which means that one and no later one of the same number.
    ///
    /// # Errors
    /// "container not running" if it has ended.
    pub fn process(&self) -> Result<OwnedFd> {
        if self.pid <= 0 {
            return Err(errors::not_running());
        }
        let pidfd = sys::pidfd_open(Pid::from_raw(self.pid)).map_err(|_| errors::not_running())?;
        // In this order: the number may have been given away before the handle was opened, not after.
        if self.is_alive() { Ok(pidfd) } else { Err(errors::not_running()) }
    }

    /// What its hooks are told.
    pub fn told(&self, status: Status) -> Told {
        Told {
            oci_version: self.oci_version.clone(),
            id: self.id.clone(),
            status,
            pid: (status != Status::Stopped).then_some(self.pid),
            bundle: self.bundle.clone(),
            annotations: self.annotations.clone().into_iter().collect(),
        }
    }

    /// Its control group.
    pub fn group(&self) -> Option<Group> {
        Group::open(self.cgroup.as_ref()?).ok()
    }

    /// Where it is in its life; `directory` is where its files lie.
    pub fn status(&self, directory: &Path) -> Status {
        if !self.is_alive() {
            Status::Stopped
        } else if self.group().is_some_and(|group| group.is_frozen()) {
            Status::Paused
        } else if waits(&start_socket(directory)) {
            Status::Created
        } else {
            Status::Running
        }
    }
}

/// Where a created container waits for its start.
pub fn start_socket(directory: &Path) -> PathBuf {
    directory.join("start.sock")
}

/// Does anybody listen there? Who `start`s and is killed before it has removed the name leaves one without.
fn waits(path: &Path) -> bool {
    if !path.exists() {
        return false;
    }
    let probe = || {
        // A child that is busy with its hooks takes no call yet, and has room for two: a third must not wait.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &UnixAddr::new(path)?)
    };
    // A name too long for a socket's address cannot be asked; then the file has to do.
    !matches!(probe(), Err(nix::errno::Errno::ECONNREFUSED | nix::errno::Errno::ENOENT))
}

/// What `state` and `list` print: the specification's properties, then those that runc adds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    oci_version: &'a str,
    id: &'a str,
    /// 0 once it has ended, as runc prints it.
    pub pid: i32,
    /// Where it is in its life.
    pub status: Status,
    /// The bundle's directory.
    pub bundle: &'a Path,
    rootfs: &'a Path,
    /// When it was created.
    pub created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    /// The user who created it.
    pub owner: String,
}

impl<'a> Report<'a> {
    /// Of `state`, which is in `status`.
    pub fn new(state: &'a State, status: Status, owner: String) -> Self {
        let State { oci_version, id, bundle, rootfs, created, annotations, .. } = state;
        let pid = if status == Status::Stopped { 0 } else { state.pid };
        Self { oci_version, id, pid, status, bundle, rootfs, created, annotations, owner }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(pid: i32, start_time: u64) -> State {
        let created = "2026-01-02T03:04:05Z".to_owned();
        State { pid, start_time, bundle: "/b".into(), created, ..State::unknown("web".into()) }
    }

    #[test]
    fn it_reads_as_it_was_written() {
        let mut one = state(7, 8);
        assert_eq!(serde_json::from_slice::<State>(&serde_json::to_vec(&one).unwrap()).unwrap(), one);
        one.annotations.insert("a".into(), "b".into());
        one.hooks.poststop = vec![serde_json::from_str(r#"{"path":"/bin/true"}"#).unwrap()];
        assert_eq!(serde_json::from_slice::<State>(&serde_json::to_vec(&one).unwrap()).unwrap(), one);
    }

    #[test]
    fn a_pid_alone_is_not_enough() {
        let pid = std::process::id() as i32;
        let started = start_time(pid).unwrap();
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(state(pid, started).status(dir.path()), Status::Running);
        assert_eq!(state(pid, started + 1).status(dir.path()), Status::Stopped);
        assert_eq!(state(0, 0).status(dir.path()), Status::Stopped);
        assert!(state(pid, started + 1).process().is_err());
    }

    #[test]
    fn a_socket_without_a_listener_is_no_sign_of_waiting() {
        use nix::sys::socket::{Backlog, bind, listen};
        use std::os::fd::AsRawFd;
        let pid = std::process::id() as i32;
        let one = state(pid, start_time(pid).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(fd.as_raw_fd(), &UnixAddr::new(&start_socket(dir.path())).unwrap()).unwrap();
        listen(&fd, Backlog::new(1).unwrap()).unwrap();
        assert_eq!(one.status(dir.path()), Status::Created);
        drop(fd);
        assert_eq!(one.status(dir.path()), Status::Running);
    }

    #[test]
    fn the_report_has_the_specifications_properties_first() {
        let text = serde_json::to_string(&Report::new(&state(7, 8), Status::Stopped, "root".into())).unwrap();
        assert!(
            text.starts_with(r#"{"ociVersion":"1.2.0","id":"web","pid":0,"status":"stopped","bundle":"/b""#),
            "{text}"
        );
    }
}
