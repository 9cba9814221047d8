//! `SCMP_ACT_NOTIFY`: some calls are put to a program outside the container, which answers or makes them itself.
//!
//! The kernel gives whoever installs the filter a descriptor (seccomp_unotify(2)). OCI wants it sent to the socket
//! `listenerPath`, with the container's state beside it (config-linux.md, "Seccomp").

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use oci_spec::runtime::{ContainerProcessState, SECCOMP_FD_NAME, State};
use process::{Child, Error, OrCall, Result, explain};

use super::sys;

/// Who answers for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The unix stream socket where it waits.
    pub path: PathBuf,
    /// What the profile wants it to know.
    pub metadata: Option<String>,
}

impl Listener {
    /// Fetches the listener's descriptor out of the container's process, which said that it has the number `fd` and
    /// waits. By the parent: the process itself no longer sees the host's sockets, and its calls are filtered already.
    ///
    /// # Errors
    /// As pidfd_getfd(2).
    pub fn fetch(child: &Child, fd: RawFd) -> Result<OwnedFd> {
        let fetched = sys::pidfd_getfd(child.pidfd(), fd).or_call("pidfd_getfd", format!("{fd} of {}", child.pid()))?;
        explain!(9, "the descriptor that notifications come from", "pidfd_getfd({}, {fd})", child.pid());
        Ok(fetched)
    }

    /// Sends the descriptor and the state of its container (`pid` as the runtime sees it).
    ///
    /// # Errors
    /// As connect(2) and sendmsg(2).
    pub fn send(&self, listener: BorrowedFd<'_>, state: State, pid: i32) -> Result<()> {
        let mut about = ContainerProcessState::default();
        about.set_version(state.version().clone()).set_fds(vec![SECCOMP_FD_NAME.to_owned()]).set_pid(pid);
        about.set_metadata(self.metadata.clone()).set_state(state);
        let text = serde_json::to_vec(&about).map_err(|error| Error::invalid(format!("container state: {error}")))?;
        let help = "a seccomp agent must listen at the profile's listenerPath";
        let socket = UnixStream::connect(&self.path).or_call("connect", self.path.display());
        let socket = socket.map_err(|error| error.help(help))?;
        let rights = [ControlMessage::ScmRights(&[listener.as_raw_fd()])];
        let sent = sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&text)], &rights, MsgFlags::MSG_NOSIGNAL, None);
        let sent = sent.or_call("sendmsg", self.path.display())?;
        // The rest, if the socket was full; the descriptor went with the first part.
        std::io::Write::write_all(&mut &socket, &text[sent..]).or_call("write", self.path.display())?;
        explain!(9, "the listener gets its descriptor", "sendmsg({}, SCM_RIGHTS)", self.path.display());
        Ok(())
    }
}
