//! Starting a supervisor: this program again, under another name, in a session of its own.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use layers::ContainerDir;
use namespaces::rootless;
use namespaces::running::make_private;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use process::{Error, OrCall, Result, explain};

use super::handover::{NAME, inherit, keep_back};
use super::report::Report;
use super::{control, directory, socket};

/// This very program, whatever became of its file meanwhile.
pub const PROGRAM: &str = "/proc/self/exe";

/// A container that is about to be started. It is locked, and its supervisor's socket is there already: who calls now
/// is answered as soon as the program runs, and misses nothing that it says.
#[derive(Debug)]
pub struct Starting {
    id: String,
    lock: OwnedFd,
    control: OwnedFd,
}

impl Starting {
    /// Locks the container and listens for its supervisor.
    ///
    /// # Errors
    /// [`Kind::Conflict`](process::Kind::Conflict) if another process uses the container; as bind(2).
    pub fn new(mut container: ContainerDir) -> Result<Self> {
        container.lock()?;
        let id = container.config().id.clone();
        make_private(&directory(&id))?;
        let _ = fs::remove_file(socket(&id)); // of a supervisor that was killed
        let control = control::listen(&socket(&id))?;
        let lock = container.into_lock().ok_or_else(|| Error::invalid("the container is not locked"))?;
        Ok(Self { id, lock, control })
    }

    /// Starts it. Returns the container's process, once its program runs.
    ///
    /// # Errors
    /// Whatever kept it from running: the supervisor's error, as it was.
    pub fn start(self) -> Result<i32> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "for the report")?;
        let mut command = Command::new(PROGRAM);
        let (lock, control) = (self.lock.as_raw_fd().to_string(), self.control.as_raw_fd().to_string());
        command.arg0(NAME).args(["start", &self.id, &lock, &control]);
        if explain::on() {
            command.arg("--explain");
        }
        command.envs(rootless::for_heirs()).stdin(Stdio::null()).stdout(Stdio::from(write));
        for fd in [&self.lock, &self.control] {
            inherit(fd)?;
        }
        let child = command.spawn().or_call("exec", NAME);
        for fd in [&self.lock, &self.control] {
            keep_back(fd)?;
        }
        let pid = child.inspect_err(|_| drop(fs::remove_dir_all(directory(&self.id))))?.id();
        explain!(10, "a process that stays with the container", "execve(\"{NAME}\", start …) = {pid}");
        drop((command, self)); // our copies: the pipe ends with the supervisor, the lock with the container
        Report::receive(read)
    }
}
