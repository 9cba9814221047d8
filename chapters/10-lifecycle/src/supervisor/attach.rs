//! Who is attached: a stream socket each, to which the program's output goes and from which its input comes.
//!
//! Docker gives each client a megabyte of memory; when that is full the container stands still until the client reads
//! (moby issue 22502). Here a client has the socket's own buffer, which is the kernel's, and at most one chunk that did
//! not fit; while there is such a chunk the program is held back, as by a pipe. A client says how long it may do that:
//! its *patience*. If by then it has not taken all that was there, it is disconnected, and the program goes on. What it
//! missed is in the log, which loses nothing and waits for nobody.

use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, sendmsg};
use nix::unistd::ForkResult;

use super::json::Stream;

/// The bytes before each piece of output if there is no terminal: `[stream, 0, 0, 0, length in 4 bytes, big-endian]`.
pub const HEADER: usize = 8;

/// What was asked for when a client attached.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Its bytes are the program's input.
    pub stdin: bool,
    /// It wants standard output.
    pub stdout: bool,
    /// And standard error.
    pub stderr: bool,
    /// How long it may hold the program back; none means for ever.
    pub patience: Option<Duration>,
}

/// What came from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// So many bytes.
    Bytes(usize),
    /// Nothing, for now.
    Nothing,
    /// It has closed its side.
    End,
}

/// An attached client.
#[derive(Debug)]
pub struct Attached {
    socket: OwnedFd,
    wish: Wish,
    /// The output has no frames: it is a terminal's.
    raw: bool,
    /// What the socket did not take, and since when there is something of that kind.
    behind: Vec<u8>,
    since: Option<Instant>,
    gone: bool,
}

impl Attached {
    /// A client on the other end of `socket`.
    pub fn new(socket: OwnedFd, wish: Wish, raw: bool) -> Self {
        Self { socket, wish, raw, behind: Vec::new(), since: None, gone: false }
    }

    /// Does it still send input?
    pub fn has_input(&self) -> bool {
        self.wish.stdin
    }

    /// Is something on the way to it?
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Is the connection at its end?
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// It has closed the connection, or is no longer wanted.
    pub fn leave(&mut self) {
        self.gone = true;
    }

    /// When its patience ends, if it is behind.
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.since? + self.wish.patience?)
    }

    /// Sends a piece of output, if it wants that.
    pub fn output(&mut self, stream: Stream, bytes: &[u8], now: Instant) {
        let wanted = match stream {
            Stream::Stdout => self.wish.stdout,
            Stream::Stderr => self.wish.stderr,
        };
        if !wanted || self.gone || bytes.is_empty() {
            return;
        }
        let mut header = [stream as u8, 0, 0, 0, 0, 0, 0, 0];
        header[4..].copy_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        let header = if self.raw { &[][..] } else { &header[..] };
        let taken = if self.is_behind() { 0 } else { self.write(&[IoSlice::new(header), IoSlice::new(bytes)]) };
        if taken < header.len() + bytes.len() {
            self.since.get_or_insert(now);
            self.behind.extend(header.iter().chain(bytes).skip(taken));
        }
    }

    /// The socket has room again.
    pub fn catch_up(&mut self) {
        let behind = std::mem::take(&mut self.behind);
        let taken = self.write(&[IoSlice::new(&behind)]);
        if taken < behind.len() {
            self.behind = behind;
            self.behind.drain(..taken);
        } else {
            self.since = None;
        }
    }

    /// How many of these bytes the socket took.
    fn write(&mut self, parts: &[IoSlice<'_>]) -> usize {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<()>(self.socket.as_raw_fd(), parts, &[], flags, None) {
            Ok(taken) => taken,
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            Err(_) => {
                // EPIPE, ECONNRESET: nobody reads any more. What it has sent before is still to be taken.
                (self.wish.stdout, self.wish.stderr, self.gone) = (false, false, !self.wish.stdin);
                parts.iter().map(|part| part.len()).sum()
            }
        }
    }

    /// Takes input from it, if there is any.
    pub fn input(&mut self, buffer: &mut [u8]) -> Input {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(count) if count > 0 => return Input::Bytes(count),
            Err(Errno::EAGAIN | Errno::EINTR) => return Input::Nothing,
            Ok(_) | Err(_) => {}
        }
        self.wish.stdin = false;
        Input::End
    }

    /// The program has ended. Who is behind gets the rest from a small process of its own, so that nobody has to wait
    /// for a reader: `run … | less` may take its time.
    pub fn finish(self) {
        if !self.is_behind() || self.gone {
            return;
        }
        // One thread: fork(2) is safe, and the child has all that it needs in its copy of the memory.
        if let Ok(ForkResult::Child) = process::sys::fork() {
            let _ = nix::sys::prctl::set_name(c"cooper-rest");
            let mut stream = std::os::unix::net::UnixStream::from(self.socket);
            let _ = stream.set_nonblocking(false);
            // Nothing else of the supervisor may live on in this process: locks, sockets and pipes are the others' affair.
            super::sys::close_all_but(stream.as_fd());
            let _ = stream.set_write_timeout(self.wish.patience.filter(|patience| !patience.is_zero()));
            let _ = stream.write_all(&self.behind);
            process::sys::exit_now(0);
        }
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
