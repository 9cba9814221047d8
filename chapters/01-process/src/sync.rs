//! The socket between the child and who commands it: the only way in which the two talk.
//!
//! It is close-on-exec, so the parent learns that the program has started from the end of file,
//! and until then every failure reaches it as a message with its stage and errno.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, accept4, bind, connect, listen, recv, send, socket,
    socketpair,
};

use crate::{Error, Kind, OrCall, Result, address};

/// One end of the socket.
pub struct Sync(OwnedFd);

/// What goes over it. SOCK_SEQPACKET keeps the borders between messages.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Parent to child: go on to the next part of the checklist.
    Go,
    /// Child to parent: every stage has furnished the child's place.
    Furnished,
    /// Child to parent: the container is created, nothing but `start` is left.
    Created,
    /// Child to parent: something failed; the child exits.
    Failed(Failure),
    /// The other end is closed: the child has executed the program, or the parent is dead.
    Closed,
}

/// A failure in the child, as bytes can carry it.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of the call that failed; 0 if none did.
    errno: i32,
    /// Was it `execve(2)` itself?
    exec: bool,
    what: String,
    help: String,
}

impl Sync {
    /// The two ends.
    pub fn pair() -> Result<(Self, Self)> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, childs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).or_call("socketpair", "")?;
        Ok((Self(ours), Self(childs)))
    }

    /// Calls the child that waits at `path` for its start.
    ///
    /// # Errors
    /// As connect(2): `ENOENT` or `ECONNREFUSED` if nobody waits there.
    pub fn connect(path: &Path) -> Result<Self> {
        let socket = seqpacket()?;
        address::with(path, |address| connect(socket.as_raw_fd(), address).or_call("connect", path.display()))?;
        Ok(Self(socket))
    }

    /// Sends one message. That nobody listens any more is the listener's affair.
    pub fn send(&self, message: &Message) -> Result<()> {
        let bytes = match message {
            Message::Go => b"go".to_vec(),
            Message::Furnished => b"furnished".to_vec(),
            Message::Created => b"created".to_vec(),
            Message::Failed(failure) => failure.encode(),
            Message::Closed => return Ok(()),
        };
        let flags = MsgFlags::MSG_NOSIGNAL;
        match send(self.0.as_raw_fd(), &bytes, flags) {
            Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(Error::call("send", "to the other end", errno)),
        }
    }

    /// Is the other end closed? After `start` nothing is received any more, so what can be read is its end.
    pub fn is_alone(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let found = poll(&mut fds, PollTimeout::ZERO);
        found.is_ok() && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }

    /// Waits for the next message.
    pub fn receive(&self) -> Result<Message> {
        let mut buffer = [0; 4096];
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => break 0,
                received => break received.or_call("recv", "from the other end")?,
            }
        };
        Ok(match &buffer[..length] {
            b"" => Message::Closed,
            b"go" => Message::Go,
            b"furnished" => Message::Furnished,
            b"created" => Message::Created,
            failure => Message::Failed(Failure::decode(failure)),
        })
    }
}

/// Where a child waits that was created apart from its start.
pub struct Listener(OwnedFd);

impl Listener {
    /// Begins to listen at `path`.
    ///
    /// # Errors
    /// As bind(2): `EADDRINUSE` if there is something of that name.
    pub fn bind(path: &Path) -> Result<Self> {
        let socket = seqpacket()?;
        address::with(path, |address| bind(socket.as_raw_fd(), address).or_call("bind", path.display()))?;
        listen(&socket, Backlog::new(1).or_call("listen", "1")?).or_call("listen", path.display())?;
        Ok(Self(socket))
    }

    /// Waits for the next caller.
    pub fn accept(&self) -> Result<Sync> {
        loop {
            match accept4(self.0.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                accepted => return Ok(Sync(crate::sys::own(accepted.or_call("accept", "the start socket")?))),
            }
        }
    }
}

fn seqpacket() -> Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).or_call("socket", "AF_UNIX")
}

impl Failure {
    /// A failure as the child met it.
    pub fn new(error: &Error) -> Self {
        Self {
            errno: error.errno().map_or(0, |errno| errno as i32),
            exec: matches!(error.kind(), Kind::Exec(_)),
            what: shorten(error.what()),
            help: error.way_out().unwrap_or_default().to_owned(),
        }
    }

    /// Fits into one message, see [`shorten`].
    fn encode(&self) -> Vec<u8> {
        let mut text = format!("{}\0{}\0{}\0{}", self.errno, u8::from(self.exec), self.what, self.help).into_bytes();
        text.truncate(4096);
        text
    }

    fn decode(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut fields = text.split('\0');
        let mut next = || fields.next().unwrap_or_default().to_owned();
        Self { errno: next().parse().unwrap_or(0), exec: next() == "1", what: next(), help: next() }
    }
}

/// A name may be longer than a message. What stands behind it says why, so the middle goes.
fn shorten(text: &str) -> String {
    const PART: usize = 400; // characters, of up to four bytes
    let count = text.chars().count();
    if count <= 2 * PART {
        return text.to_owned();
    }
    text.chars().take(PART).chain(['…']).chain(text.chars().skip(count - PART)).collect()
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let errno = Errno::from_raw(failure.errno);
        let kind = match (failure.exec, failure.errno) {
            (true, _) => Kind::Exec(errno),
            (false, 0) => Kind::Unsupported,
            (false, _) => Kind::Call(errno),
        };
        let error = Error::new(kind, failure.what);
        if failure.help.is_empty() { error } else { error.help(failure.help) }
    }
}
