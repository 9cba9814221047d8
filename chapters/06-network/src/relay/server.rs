//! The process: one thread, one poll(2) loop, until the container ends.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use process::{OrCall, Result};

use super::datagram::{Caller, Datagrams};
use super::stream::Stream;
use super::target;
use crate::{Port, Protocol};

/// How many connections there are at once; others wait until one has ended.
const MOST_STREAMS: usize = 1024;
/// Descriptors for all that is no connection.
const OTHERS: u64 = 512;
/// How many are accepted before others have their turn.
const BATCH: usize = 16;

struct Server<'a> {
    id: &'a str,
    /// Readable when the container's first process has ended.
    container: OwnedFd,
    listeners: Vec<(Port, TcpListener)>,
    datagrams: Vec<(Port, Datagrams)>,
    streams: BTreeMap<u64, Stream>,
    next: u64,
    most: usize,
}

/// What a descriptor of the loop is.
#[derive(Clone, Copy)]
enum Source {
    Container,
    Listener(usize),
    Datagrams(usize),
    Caller(usize, Caller),
    Stream(u64),
}

/// Relays until the container ends.
///
/// # Errors
/// As setsockopt(2).
pub fn serve(id: &str, container: OwnedFd, ports: Vec<(Port, OwnedFd)>) -> Result<()> {
    let (mut listeners, mut datagrams) = (Vec::new(), Vec::new());
    for (port, socket) in ports {
        match port.protocol {
            Protocol::Tcp => {
                let listener = TcpListener::from(socket);
                listener.set_nonblocking(true).or_call("ioctl", "FIONBIO")?;
                listeners.push((port, listener));
            }
            Protocol::Udp => {
                let ipv6 = port.host_ip.is_ipv6();
                datagrams.push((port, Datagrams::new(socket, ipv6)?));
            }
        }
    }
    let (streams, most) = (BTreeMap::new(), most_streams());
    let mut server = Server { id, container, listeners, datagrams, streams, next: 0, most };
    while server.turn() {}
    Ok(())
}

/// As many as this process may have open, two descriptors each.
fn most_streams() -> usize {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return MOST_STREAMS / 8 };
    let wanted = (2 * MOST_STREAMS as u64 + OTHERS).min(hard);
    let allowed = if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { 1024 };
    (allowed.saturating_sub(OTHERS) / 2).clamp(16, MOST_STREAMS as u64) as usize
}

impl Server<'_> {
    /// Waits, and does what there is to do. False: the container has ended.
    fn turn(&mut self) -> bool {
        let deadline = self.datagrams.iter_mut().filter_map(|(_, datagrams)| datagrams.expire()).min();
        for source in self.wait(deadline) {
            match source {
                Source::Container => {
                    // Its last words are on their way, and nobody will come after them.
                    self.streams.retain(|_, stream| stream.tend());
                    return false;
                }
                Source::Listener(at) => self.accept(at),
                Source::Datagrams(at) => {
                    let (port, datagrams) = &mut self.datagrams[at];
                    datagrams.receive(|| target(self.id, port));
                }
                Source::Caller(at, caller) => self.datagrams[at].1.answer(caller),
                Source::Stream(number) => {
                    // It may stand here twice, for both of its sides.
                    if self.streams.get_mut(&number).is_some_and(|stream| !stream.tend()) {
                        self.streams.remove(&number);
                    }
                }
            }
        }
        true
    }

    /// Those that are ready.
    fn wait(&self, deadline: Option<Instant>) -> Vec<Source> {
        let sources = self.sources();
        let mut fds: Vec<_> = sources.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            PollTimeout::try_from(deadline.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::MAX)
        });
        if poll(&mut fds, timeout).is_err() {
            return Vec::new(); // EINTR
        }
        let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        sources.iter().zip(&fds).filter(|(_, fd)| ready(fd)).map(|((source, ..), _)| *source).collect()
    }

    fn sources(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let read = PollFlags::POLLIN;
        let mut all = vec![(Source::Container, self.container.as_fd(), read)];
        if self.streams.len() < self.most {
            let listeners = self.listeners.iter().enumerate();
            all.extend(listeners.map(|(at, (_, listener))| (Source::Listener(at), listener.as_fd(), read)));
        }
        for (at, (_, datagrams)) in self.datagrams.iter().enumerate() {
            all.push((Source::Datagrams(at), datagrams.socket().as_fd(), read));
            let callers = datagrams.callers();
            all.extend(callers.map(|(caller, socket)| (Source::Caller(at, caller), socket.as_fd(), read)));
        }
        for (number, stream) in &self.streams {
            let interests = stream.interests().into_iter();
            all.extend(interests.map(|(fd, flags)| (Source::Stream(*number), fd, flags)));
        }
        all
    }

    fn accept(&mut self, at: usize) {
        let (port, listener) = &self.listeners[at];
        for _ in 0..BATCH {
            if self.streams.len() >= self.most {
                return;
            }
            let Ok((caller, _)) = listener.accept() else { return };
            // Without a target it is hung up.
            if let Some(stream) = target(self.id, port).and_then(|target| Stream::new(caller, target)) {
                self.next += 1;
                self.streams.insert(self.next, stream);
            }
        }
    }
}
