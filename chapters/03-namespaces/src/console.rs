//! A terminal of the container's own: one end is its standard input and output, we hold the other.

use std::io::{IoSlice, IoSliceMut, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use nix::sys::stat::{Mode, fstat, major, minor};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use process::{Attend, Child, Error, OrCall, Program, Result, Stage, explain};

use crate::relay::Relay;
use crate::sys;

/// What the program's standard input and output are.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Terminal options")]
pub struct TerminalArgs {
    /// Keep standard input open (implied when input and output are a terminal)
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the program a terminal of its own (implied when input and output are a terminal)
    #[arg(short, long)]
    pub tty: bool,
}

/// The stage that arranges standard input, output and error. It comes after the user is assumed, so that
/// the terminal belongs to that user.
pub struct Console {
    tty: bool,
    interactive: bool,
    /// The master travels over this pair, from the child that opened it to the parent that relays.
    pair: Option<(OwnedFd, OwnedFd)>,
    /// The host's /dev/null: what bears that name in the container may be anything, also what never answers.
    null: Option<OwnedFd>,
}

impl TerminalArgs {
    /// The stage. A person at a terminal wants `-it` without asking for it.
    pub fn console(self) -> Console {
        let person = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        Console {
            tty: self.tty || (person && !self.interactive),
            interactive: self.interactive || person,
            pair: None,
            null: None,
        }
    }
}

impl Stage for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    fn prepare(&mut self) -> Result<()> {
        if self.tty {
            let pair = socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC);
            self.pair = Some(pair.or_call("socketpair", "for the terminal")?);
        } else if !self.interactive {
            let null = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
            self.null = Some(null.or_call("open", "/dev/null")?);
        }
        Ok(())
    }

    fn start_container(&mut self, program: &mut Program) -> Result<()> {
        let Some((_, childs)) = &self.pair else {
            // Without `-i` there is no input, so that a loop in a script keeps its own.
            return self.null.as_ref().map_or(Ok(()), |null| dup2_stdin(null).or_call("dup2", "standard input"));
        };
        let (master, terminal) = open_terminal()?;
        if let Ok(size) = process::sys::window_size(std::io::stdin().as_fd()) {
            process::sys::set_window_size(terminal.as_fd(), &size).or_call("ioctl", "TIOCSWINSZ")?;
        }
        setsid().or_call("setsid", "")?;
        process::sys::set_controlling_terminal(terminal.as_fd()).or_call("ioctl", "TIOCSCTTY")?;
        explain!(3, "a session with a terminal of its own", "setsid() and ioctl(TIOCSCTTY)");
        dup2_stdin(&terminal).or_call("dup2", "standard input")?;
        dup2_stdout(&terminal).or_call("dup2", "standard output")?;
        dup2_stderr(&terminal).or_call("dup2", "standard error")?;
        if program.var("TERM").is_none() {
            program.set_var("TERM", "xterm");
        }
        send_fd(childs, &master)
    }

    fn poststart(&mut self, _child: &Child) -> Result<Option<Box<dyn Attend>>> {
        let Some((ours, _)) = self.pair.take() else { return Ok(None) };
        Ok(Some(Box::new(Relay::new(receive_fd(&ours)?, self.interactive)?)))
    }
}

/// Opens a pair of the container's own devpts, and makes sure that it is one: an image or a neighbour may have
/// put something else in its place (CVE-2025-52565).
fn open_terminal() -> Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = open("/dev/ptmx", flags, Mode::empty()).or_call("open", "/dev/ptmx")?;
    let device = fstat(&master).or_call("fstat", "/dev/ptmx")?.st_rdev;
    if (major(device), minor(device)) != (5, 2) {
        return Err(Error::invalid("/dev/ptmx of the container is not the terminal multiplexer (5:2)")
            .help("something is mounted over /dev; run without -t"));
    }
    sys::pty_unlock(master.as_fd()).or_call("ioctl", "TIOCSPTLCK")?;
    let terminal = sys::pty_peer(master.as_fd()).or_call("ioctl", "TIOCGPTPEER")?;
    explain!(3, "a terminal of the container's own", "open(/dev/ptmx) and ioctl(TIOCGPTPEER)");
    Ok((master, terminal))
}

fn send_fd(socket: &OwnedFd, fd: &OwnedFd) -> Result<()> {
    let fds = [fd.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"t")], &message, MsgFlags::empty(), None)
        .or_call("sendmsg", "the terminal")?;
    Ok(())
}

fn receive_fd(socket: &OwnedFd) -> Result<OwnedFd> {
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
