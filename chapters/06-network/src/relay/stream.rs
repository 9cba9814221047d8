//! A TCP connection that is relayed: what one side says the other hears, and when one has said all, the other is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::sockopt::{KeepAlive, Linger};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket};

/// How much is on its way in one direction, in bytes: no more is taken before that has been passed on.
const BUFFER: usize = 64 << 10;
/// How often one connection is read before others have their turn.
const TURNS: usize = 16;

/// Both sides of a connection.
pub struct Stream {
    caller: TcpStream,
    inside: TcpStream,
    /// Has the container's side answered?
    connected: bool,
    up: Half,
    down: Half,
}

/// One direction.
struct Half {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Its source has said all.
    ended: bool,
    /// Its sink has been told.
    told: bool,
}

/// A side is broken, and the other is not to take it for an ordinary end.
struct Broken;

impl Stream {
    /// Calls the container at `target` on behalf of `caller`.
    pub fn new(caller: TcpStream, target: SocketAddr) -> Option<Self> {
        let family = if target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(family, SockType::Stream, flags, None).ok()?;
        caller.set_nonblocking(true).ok()?;
        let inside = match connect(fd.as_raw_fd(), &SockaddrStorage::from(target)) {
            Ok(()) | Err(Errno::EINPROGRESS) => TcpStream::from(fd),
            Err(_) => {
                refuse(&caller);
                return None;
            }
        };
        for side in [&caller, &inside] {
            let _ = side.set_nodelay(true); // who wrote it has waited already, if that was to be
            let _ = setsockopt(side, KeepAlive, &true); // somebody may be gone without a word
        }
        Some(Self { caller, inside, connected: false, up: Half::new(), down: Half::new() })
    }

    /// What to wait for, for each side that has something to do.
    pub fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        if !self.connected {
            return vec![(self.inside.as_fd(), PollFlags::POLLOUT)];
        }
        let interest = |source: &Half, sink: &Half| {
            let read = if source.has_room() { PollFlags::POLLIN } else { PollFlags::empty() };
            let write = if sink.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            read | write
        };
        let both = [
            (self.caller.as_fd(), interest(&self.up, &self.down)),
            (self.inside.as_fd(), interest(&self.down, &self.up)),
        ];
        // One that is not waited for must not be asked for, or its hang-up would be told for ever.
        both.into_iter().filter(|(_, flags)| !flags.is_empty()).collect()
    }

    /// Passes on what there is. False: it is over.
    pub fn tend(&mut self) -> bool {
        if !self.connected {
            match self.inside.take_error() {
                Ok(None) => self.connected = true,
                _ => {
                    refuse(&self.caller);
                    return false;
                }
            }
        }
        let passed = self.up.pass(&self.caller, &self.inside).and_then(|()| self.down.pass(&self.inside, &self.caller));
        if passed.is_err() {
            refuse(&self.caller);
            refuse(&self.inside);
            return false;
        }
        !(self.up.told && self.down.told)
    }
}

/// Has the connection end by a reset, as it would if nobody were in between (socket(7), SO_LINGER).
fn refuse(side: &TcpStream) {
    let _ = setsockopt(side, Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}

impl Half {
    fn new() -> Self {
        Self { buffer: vec![0; BUFFER].into(), start: 0, end: 0, ended: false, told: false }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn has_room(&self) -> bool {
        !self.ended && self.end < self.buffer.len()
    }

    fn pass(&mut self, mut source: &TcpStream, mut sink: &TcpStream) -> Result<(), Broken> {
        for _ in 0..TURNS {
            let mut moved = false;
            if self.has_room() {
                match step(source.read(&mut self.buffer[self.end..]))? {
                    Some(0) => self.ended = true,
                    Some(count) => (self.end, moved) = (self.end + count, true),
                    None => {}
                }
            }
            if !self.is_empty()
                && let Some(count) = step(sink.write(&self.buffer[self.start..self.end]))?
            {
                (self.start, moved) = (self.start + count, true);
            }
            if self.is_empty() {
                (self.start, self.end) = (0, 0);
            }
            if !moved {
                break;
            }
        }
        if self.ended && self.is_empty() && !self.told {
            // Only this direction: the other side may have a lot to say yet.
            let _ = sink.shutdown(Shutdown::Write);
            self.told = true;
        }
        Ok(())
    }
}

/// How much was moved; none if that is not possible now.
fn step(done: std::io::Result<usize>) -> Result<Option<usize>, Broken> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(_) => Err(Broken),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use nix::poll::{PollFd, PollTimeout, poll};

    use super::*;

    /// Two ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    fn run(mut stream: Stream) {
        loop {
            let interests = stream.interests();
            let mut fds: Vec<_> = interests.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
            poll(&mut fds, PollTimeout::from(5000_u16)).unwrap();
            if !stream.tend() {
                return;
            }
        }
    }

    #[test]
    fn much_goes_both_ways_and_one_may_end_first() {
        let (mut caller, ours) = pair();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = Stream::new(ours, server.local_addr().unwrap()).unwrap();
        let relay = thread::spawn(|| run(stream));
        let echo = thread::spawn(move || {
            let (mut inside, _) = server.accept().unwrap();
            let mut all = Vec::new();
            inside.read_to_end(&mut all).unwrap(); // the caller has ended, and listens
            inside.write_all(&all).unwrap();
        });
        let said: Vec<u8> = (0..3_000_000_u32).map(|byte| byte as u8).collect();
        caller.write_all(&said).unwrap();
        caller.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).unwrap();
        assert!(heard == said, "{} of {}", heard.len(), said.len());
        echo.join().unwrap();
        relay.join().unwrap();
    }

    #[test]
    fn nobody_there_is_a_reset() {
        let (mut caller, ours) = pair();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        if let Some(stream) = Stream::new(ours, closed) {
            run(stream);
        }
        let error = caller.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
