//! A pair of pseudo terminals (pty(7)) of the container's own, and how one end of it travels to who relays.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::sys::stat::{Mode, fstat, major, minor};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use process::{Error, OrCall, Result, explain};

use crate::sys;

/// Both ends.
#[derive(Debug)]
pub struct Pair {
    /// The end of who relays; it does not block.
    pub master: OwnedFd,
    /// The program's end, a terminal.
    pub terminal: OwnedFd,
}

/// Opens a pair of the container's own devpts, and makes sure that it is one: an image or a neighbour may have
/// put something else in its place (CVE-2025-52565). For a child that is in its root.
///
/// # Errors
/// As open(2) of /dev/ptmx; [`Kind::Invalid`](process::Kind::Invalid) if that is something else.
pub fn open() -> Result<Pair> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = nix::fcntl::open("/dev/ptmx", flags, Mode::empty()).or_call("open", "/dev/ptmx")?;
    let device = fstat(&master).or_call("fstat", "/dev/ptmx")?.st_rdev;
    if (major(device), minor(device)) != (5, 2) {
        return Err(Error::invalid("/dev/ptmx of the container is not the terminal multiplexer (5:2)")
            .help("something is mounted over /dev; run without -t"));
    }
    sys::pty_unlock(master.as_fd()).or_call("ioctl", "TIOCSPTLCK")?;
    let terminal = sys::pty_peer(master.as_fd()).or_call("ioctl", "TIOCGPTPEER")?;
    explain!(3, "a terminal of the container's own", "open(/dev/ptmx) and ioctl(TIOCGPTPEER)");
    Ok(Pair { master, terminal })
}

impl Pair {
    /// Begins a session whose terminal is this one, of `size`, and whose standard input, output and error it is.
    ///
    /// # Errors
    /// As setsid(2), ioctl_tty(2) and dup2(2).
    pub fn take(self, size: Option<libc::winsize>) -> Result<()> {
        let terminal = self.terminal;
        if let Some(size) = size {
            process::sys::set_window_size(terminal.as_fd(), &size).or_call("ioctl", "TIOCSWINSZ")?;
        }
        setsid().or_call("setsid", "")?;
        process::sys::set_controlling_terminal(terminal.as_fd()).or_call("ioctl", "TIOCSCTTY")?;
        explain!(3, "a session with a terminal of its own", "setsid() and ioctl(TIOCSCTTY)");
        dup2_stdin(&terminal).or_call("dup2", "standard input")?;
        dup2_stdout(&terminal).or_call("dup2", "standard output")?;
        dup2_stderr(&terminal).or_call("dup2", "standard error")
    }
}

/// Sends a descriptor over a unix socket (`SCM_RIGHTS`, unix(7)).
///
/// # Errors
/// As sendmsg(2).
pub fn send(socket: BorrowedFd<'_>, fd: &impl AsFd) -> Result<()> {
    let fds = [fd.as_fd().as_raw_fd()];
    let message = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"t")], &message, MsgFlags::empty(), None)
        .or_call("sendmsg", "the terminal")?;
    Ok(())
}

/// Receives what [`send`] sent; does not wait for it.
///
/// # Errors
/// As recvmsg(2).
pub fn receive(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    let (mut byte, mut space) = ([0], nix::cmsg_space!(std::os::fd::RawFd));
    let mut parts = [IoSliceMut::new(&mut byte)];
    // The child has sent it before exec, and exec is why we are here: no need to wait.
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags).or_call("recvmsg", "the terminal")?;
    let received = message.cmsgs().or_call("recvmsg", "the terminal")?.find_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    received.map(sys::received).ok_or_else(|| Error::invalid("the child sent no terminal"))
}
