//! `process.terminal`: a terminal of the container's own, whose other end goes to who creates it.

use std::os::fd::{AsFd, OwnedFd};

use ::namespaces::mount::Mount;
use ::namespaces::pty;
use nix::errno::Errno;
use nix::fcntl::{F_GETFL, F_SETFL, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Gid, Uid, fchown};
use oci_spec::runtime::Process;
use process::{Error, OrCall, Program, Result, Stage, explain};

/// The stage that opens the terminal in the root and sends its master away.
pub struct Terminal {
    /// Connected to who waits for the master.
    socket: OwnedFd,
    size: Option<libc::winsize>,
    uid: Uid,
    /// The container has a /dev of its own, in which /dev/console is to be the terminal.
    console: bool,
}

impl Terminal {
    /// A terminal for `process`, whose master goes over `socket`.
    pub fn new(process: &Process, socket: OwnedFd, console: bool) -> Self {
        let cells = |cells: u64| u16::try_from(cells).unwrap_or(u16::MAX);
        let size = process.console_size().map(|size| libc::winsize {
            ws_row: cells(size.height()),
            ws_col: cells(size.width()),
            ws_xpixel: 0,
            ws_ypixel: 0,
        });
        Self { socket, size, uid: Uid::from_raw(process.user().uid()), console }
    }

    fn open(&mut self) -> Result<()> {
        let pair = pty::open()?;
        match fchown(&pair.terminal, Some(self.uid), None::<Gid>) {
            Err(Errno::EINVAL | Errno::EPERM) => {} // an owner that this user namespace does not know
            done => done.or_call("fchown", "the terminal")?,
        }
        if self.console {
            mount_console(&pair.terminal)?;
        }
        // Who gets it expects a descriptor that waits, as runc's does.
        let flags = fcntl(&pair.master, F_GETFL).or_call("fcntl", "F_GETFL")?;
        let waits = OFlag::from_bits_retain(flags) - OFlag::O_NONBLOCK;
        fcntl(&pair.master, F_SETFL(waits)).or_call("fcntl", "F_SETFL")?;
        pty::send(self.socket.as_fd(), &pair.master)?;
        explain!(10, "the other end goes to who created the container", "sendmsg(console socket, SCM_RIGHTS)");
        pair.take(self.size)
    }
}

impl Stage for Terminal {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn enter_root(&mut self) -> Result<()> {
        self.open()
    }

    fn start_container(&mut self, program: &mut Program) -> Result<()> {
        if program.var("TERM").is_none() {
            program.set_var("TERM", "xterm");
        }
        Ok(())
    }
}

/// Mounts the terminal on /dev/console, by handles of both (CVE-2025-52565): not on what a link there leads to.
fn mount_console(terminal: &OwnedFd) -> Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let place = open("/dev/console", flags, Mode::empty()).or_call("open", "/dev/console")?;
    let kind = SFlag::from_bits_truncate(fstat(&place).or_call("fstat", "/dev/console")?.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFLNK {
        return Err(
            Error::invalid("/dev/console in the root is a link").help("mount a tmpfs on /dev, or remove the link")
        );
    }
    Mount::tree(terminal, "the terminal", false)?.attach(&place, "/dev/console")
}
