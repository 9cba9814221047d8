//! The program's standard input: from whoever is attached, to a pipe or a terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::write;

/// The end-of-file character of a terminal, Ctrl-D.
const END: u8 = 4;

/// The way to the program's standard input. At most one piece is on the way; clients are read when it is through.
#[derive(Debug)]
pub struct Input {
    fd: Option<OwnedFd>,
    terminal: bool,
    /// The end of a client's input is the end of the program's.
    once: bool,
    pending: Vec<u8>,
    closing: bool,
}

impl Input {
    /// Input over `fd`, if the program has any.
    pub fn new(fd: Option<OwnedFd>, terminal: bool, once: bool) -> Self {
        Self { fd, terminal, once, pending: Vec::new(), closing: false }
    }

    /// May more be taken from a client?
    pub fn has_room(&self) -> bool {
        self.pending.is_empty() && !self.closing
    }

    /// The descriptor, if something waits for it.
    pub fn blocked(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().filter(|_| !self.pending.is_empty()).map(AsFd::as_fd)
    }

    /// Passes on what a client has sent.
    pub fn pass(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.push();
    }

    /// A client has closed its side; `vanished` if it is gone altogether.
    pub fn end(&mut self, vanished: bool) {
        if !self.once {
            return;
        }
        if !self.terminal {
            self.closing = true;
        } else if !vanished {
            self.pending.push(END);
        }
        self.push();
    }

    /// Writes what can be written without waiting.
    pub fn push(&mut self) {
        let Some(fd) = &self.fd else {
            (self.pending, self.closing) = (Vec::new(), false); // clients may send what they like
            return;
        };
        let mut done = 0;
        while done < self.pending.len() {
            match write(fd, &self.pending[done..]) {
                Ok(count) => done += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                // Nobody reads any more (EPIPE), or nobody has the terminal open (EIO).
                Err(_) => {
                    done = self.pending.len();
                    self.closing |= !self.terminal;
                }
            }
        }
        self.pending.drain(..done);
        if self.closing && self.pending.is_empty() {
            (self.fd, self.closing) = (None, false);
        }
    }
}
