//! `SCMP_ACT_NOTIFY`: some calls are put to a program outside the container, which answers or makes them itself.
//!
//! The kernel gives whoever installs the filter a descriptor (seccomp_unotify(2)). OCI wants it sent to the socket
//! `listenerPath`, with the container's state beside it (config-linux.md, "Seccomp"). The process in the container has
//! the descriptor and no longer sees the host's sockets; so the parent calls the listener before it makes the process,
//! and the process inherits the connection.

use std::io::{IoSlice, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use oci_spec::runtime::{ContainerProcessState, ContainerState, SECCOMP_FD_NAME, State};
use process::{Child, Error, OrCall, Result, explain};

/// Who answers for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The unix stream socket where it waits.
    pub path: PathBuf,
    /// What the profile wants it to know.
    pub metadata: Option<String>,
}

/// The connection to a listener that waits for its descriptor.
pub struct Call {
    socket: UnixStream,
    about: ContainerProcessState,
    /// By which the process learns its number outside.
    pid: (PipeReader, PipeWriter),
}

impl Listener {
    /// Calls the listener, which will be told `state` too. By the parent, before the process exists.
    ///
    /// # Errors
    /// As connect(2).
    pub fn call(&self, state: State) -> Result<Call> {
        let help = "a seccomp agent must listen at the profile's listenerPath";
        let socket = UnixStream::connect(&self.path).or_call("connect", self.path.display());
        let socket = socket.map_err(|error| error.help(help))?;
        explain!(9, "who answers the calls that the filter puts to somebody", "connect({})", self.path.display());
        let mut about = ContainerProcessState::default();
        about.set_version(state.version().clone()).set_fds(vec![SECCOMP_FD_NAME.to_owned()]);
        about.set_metadata(self.metadata.clone()).set_state(state);
        Ok(Call { socket, about, pid: pipe().or_call("pipe", "")? })
    }
}

impl Call {
    /// Tells the process, which waits, what number it has outside. By the parent.
    ///
    /// # Errors
    /// As write(2).
    pub fn tell_number(&self, child: &Child) -> Result<()> {
        (&self.pid.1).write_all(&child.pid().as_raw().to_ne_bytes()).or_call("write", "the process its number")
    }

    /// What [`send`](Self::send) will say. By the process, before its calls are filtered.
    ///
    /// # Errors
    /// As read(2).
    pub fn message(&mut self) -> Result<Vec<u8>> {
        let mut bytes = [0; 4];
        (&self.pid.0).read_exact(&mut bytes).or_call("read", "our number outside")?;
        let pid = i32::from_ne_bytes(bytes);
        self.about.set_pid(pid);
        if *self.about.state().status() == ContainerState::Creating {
            self.about.state_mut().set_pid(Some(pid));
        }
        serde_json::to_vec(&self.about).map_err(|error| Error::invalid(format!("container state: {error}")))
    }

    /// Sends the descriptor and the message: the one call that the filter must let through.
    ///
    /// # Errors
    /// As sendmsg(2); what the filter makes of it.
    pub fn send(&self, message: &[u8], listener: &OwnedFd) -> Result<()> {
        let rights = [ControlMessage::ScmRights(&[listener.as_raw_fd()])];
        let sent =
            sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(message)], &rights, MsgFlags::MSG_NOSIGNAL, None);
        match sent.or_call("sendmsg", "the listener's descriptor")? {
            sent if sent == message.len() => Ok(()),
            sent => Err(Error::invalid(format!("the seccomp agent took {sent} of {} bytes", message.len()))
                .help("it must read what it is sent at once")),
        }
    }
}
