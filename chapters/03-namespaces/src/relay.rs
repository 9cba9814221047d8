//! The bytes between our terminal and the container's, both ways, and its size.

use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;
use nix::unistd::{read, write};
use process::{Attend, Error, OrCall, Result};

use crate::raw::Raw;
use crate::sys::stdin;

/// The end-of-file character of a terminal, Ctrl-D.
const END: u8 = 4;

/// A relay between standard input and output and a pty master.
pub struct Relay {
    master: OwnedFd,
    /// Typed, but not yet taken by the container's terminal.
    pending: Vec<u8>,
    input: bool,
    output: bool,
    _raw: Option<Raw>,
}

impl Relay {
    /// Relays `master`; standard input too if `interactive`.
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub fn new(master: OwnedFd, interactive: bool) -> Result<Self> {
        let raw = if interactive && std::io::stdin().is_terminal() { Some(Raw::enter()?) } else { None };
        Ok(Self { master, pending: Vec::new(), input: interactive, output: true, _raw: raw })
    }

    fn read_input(&mut self) -> Result<()> {
        let mut buffer = [0; 4096];
        match read(std::io::stdin().as_fd(), &mut buffer) {
            Ok(0) => {
                self.pending.push(END);
                self.input = false;
            }
            Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::EIO) => self.input = false, // our own terminal was closed
            Err(errno) => return Err(Error::call("read", "standard input", errno)),
        }
        Ok(())
    }

    fn write_input(&mut self) -> Result<()> {
        match write(&self.master, &self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::EIO) => self.pending.clear(), // nobody holds the other end any more
            Err(errno) => return Err(Error::call("write", "the container's terminal", errno)),
        }
        Ok(())
    }

    /// Copies what there is; false when there is no more, for now or for ever.
    fn copy_output(&mut self) -> Result<bool> {
        let mut buffer = [0; 16384];
        match read(&self.master, &mut buffer) {
            Ok(count) if count > 0 => {
                let mut out = std::io::stdout().lock();
                match out.write_all(&buffer[..count]).and_then(|()| out.flush()) {
                    // Nobody reads any more (`… | head`): the program goes on, and what it says is dropped.
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                    written => written.or_call("write", "standard output")?,
                }
                Ok(true)
            }
            // EIO is how a master says that the other end is closed (pty(7)); an exec may open it again.
            Ok(_) | Err(Errno::EIO) => {
                self.output = false;
                Ok(false)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            Err(errno) => Err(Error::call("read", "the container's terminal", errno)),
        }
    }
}

impl Attend for Relay {
    fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let input = if self.input && self.pending.len() < 65536 { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut master = PollFlags::POLLIN;
        if !self.pending.is_empty() {
            master |= PollFlags::POLLOUT;
        }
        let mut interests = Vec::new();
        if self.output {
            interests.push((self.master.as_fd(), master));
        }
        if !input.is_empty() {
            interests.push((stdin(), input));
        }
        interests
    }

    fn tend(&mut self, ready: &[PollFlags]) -> Result<()> {
        let mut ready = ready.iter().copied();
        if self.output {
            let master = ready.next().unwrap_or(PollFlags::empty());
            if master.contains(PollFlags::POLLOUT) {
                self.write_input()?;
            }
            if master.intersects(PollFlags::POLLIN | PollFlags::POLLHUP) {
                self.copy_output()?;
            }
        }
        if ready.next().is_some_and(|stdin| stdin.intersects(PollFlags::POLLIN | PollFlags::POLLHUP)) {
            self.read_input()?;
        }
        Ok(())
    }

    fn signal(&mut self, signal: Signal) -> bool {
        if signal == Signal::SIGWINCH
            && let Ok(size) = process::sys::window_size(stdin())
        {
            let _ = process::sys::set_window_size(self.master.as_fd(), &size);
        }
        signal == Signal::SIGWINCH
    }

    fn finish(&mut self) -> Result<()> {
        while self.copy_output()? {}
        Ok(())
    }
}
