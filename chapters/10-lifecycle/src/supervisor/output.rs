//! What the program says: read from its pipes or its terminal in chunks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::read;

use super::json::Stream;
use super::lines::Lines;
use super::sys;

/// The most that is read at once: what a pipe holds (pipe(7), "Pipe capacity").
pub const CHUNK: usize = 64 * 1024;

/// How long a terminal that nobody has open is left alone; a process may open it again at any time.
const NAP: Duration = Duration::from_millis(500);

/// One of the program's outputs.
#[derive(Debug)]
pub struct Output {
    fd: Option<OwnedFd>,
    /// Which one.
    pub stream: Stream,
    /// Its unfinished line.
    pub lines: Lines,
    terminal: bool,
    asleep: Option<Instant>,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes.
    Bytes(usize),
    /// Nothing, for now.
    Nothing,
    /// Nothing, and there will be no more.
    End,
}

impl Output {
    /// The output that is read from `fd`.
    pub fn new(fd: OwnedFd, stream: Stream, terminal: bool) -> Self {
        Self { fd: Some(fd), stream, lines: Lines::default(), terminal, asleep: None }
    }

    /// The descriptor to poll, if there is something to wait for.
    pub fn awake(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().filter(|_| self.asleep.is_none_or(|until| until <= now)).map(AsFd::as_fd)
    }

    /// When it is to be looked at again, if it is left alone.
    pub fn asleep(&self) -> Option<Instant> {
        self.asleep.filter(|_| self.fd.is_some())
    }

    /// How many bytes wait to be read.
    pub fn waiting(&self) -> usize {
        self.fd.as_ref().map_or(0, |fd| sys::readable(fd.as_fd()))
    }

    /// Reads what there is, without waiting.
    pub fn read(&mut self, buffer: &mut [u8], now: Instant) -> Piece {
        let Some(fd) = &self.fd else { return Piece::End };
        self.asleep = None;
        match read(fd, buffer) {
            Ok(count) if count > 0 => return Piece::Bytes(count),
            Err(Errno::EAGAIN | Errno::EINTR) => return Piece::Nothing,
            // EIO is how a master says that nobody has the other end open (pty(7)).
            Err(Errno::EIO) if self.terminal => self.asleep = Some(now + NAP),
            Ok(_) => self.fd = None,
            Err(errno) => {
                eprintln!("{} read {}: {errno}", super::stamp::Stamp::now(), self.stream.name());
                self.fd = None;
            }
        }
        Piece::End
    }
}
