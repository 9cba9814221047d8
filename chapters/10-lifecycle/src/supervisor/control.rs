//! The supervisor's socket: what is asked of it, and what it answers.
//!
//! `SOCK_SEQPACKET` keeps the borders between messages: one JSON object is one packet. Descriptors travel along with
//! it (`SCM_RIGHTS`, unix(7)). Several requests may be under way on one connection; an answer names its `op`.

use std::borrow::Cow;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, bind, connect,
    listen as listen_on, recvmsg, sendmsg, socket,
};
use process::{Error, Kind, OrCall, Result, address};
use serde::{Deserialize, Serialize};

use super::restart::Policy;
use super::sys;
use crate::state::State;

/// The longest message.
pub const LONGEST: usize = 64 * 1024;

/// The socket's name in the container's runtime directory.
pub const SOCKET: &str = "control.sock";

/// What can be asked of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Request {
    /// Connects the stream socket that comes along to the program: see [`attach`](super::attach).
    Attach {
        /// Bytes from the socket go to the program's standard input.
        #[serde(default)]
        stdin: bool,
        /// The program's standard output (or terminal) goes to the socket.
        #[serde(default)]
        stdout: bool,
        /// And its standard error.
        #[serde(default)]
        stderr: bool,
        /// How long the program is held back if nobody reads the socket, before it is closed; none means for ever,
        /// as in a pipe.
        #[serde(default)]
        patience_ms: Option<u64>,
    },
    /// Sets the size of the program's terminal.
    Resize {
        /// Its height, in characters.
        rows: u16,
        /// Its width, in characters.
        cols: u16,
    },
    /// Sends a signal to the program.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Ends the program: with a signal and, if it does not heed that, with SIGKILL. Answered when it has ended.
    Stop {
        /// Another signal than the container's own.
        #[serde(default)]
        signal: Option<i32>,
        /// How long it may take; negative means for ever, none means the container's own.
        #[serde(default)]
        timeout_ms: Option<i64>,
    },
    /// Answered when the program has ended.
    Wait,
    /// What `state.json` says.
    State,
    /// Changes the restart policy.
    Update {
        /// The new one.
        restart: Policy,
    },
    /// Freezes its processes, or takes note that they are frozen.
    Pause,
    /// Thaws them.
    Unpause,
}

impl Request {
    /// Its name, which the answer bears too.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Attach { .. } => "attach",
            Self::Resize { .. } => "resize",
            Self::Signal { .. } => "signal",
            Self::Stop { .. } => "stop",
            Self::Wait => "wait",
            Self::State => "state",
            Self::Update { .. } => "update",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
        }
    }
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// To which request.
    pub op: Cow<'static, str>,
    /// Was it done?
    pub ok: bool,
    /// If not, why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// And what can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// To `attach`: does the program have a terminal? Then the stream has no frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    /// To `wait` and `stop`: how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// To `wait`: it will be started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarting: Option<bool>,
    /// To `state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<State>>,
}

impl Answer {
    /// It was done.
    pub fn ok(op: &'static str) -> Self {
        Self { op: op.into(), ok: true, ..Self::default() }
    }

    /// It was not.
    pub fn refused(op: &'static str, error: &Error) -> Self {
        let (error, help) = (error.what().to_owned(), error.way_out().map(str::to_owned));
        Self { op: op.into(), error: Some(error), help, ..Self::default() }
    }

    /// The answer, or the error that it tells of.
    ///
    /// # Errors
    /// [`Kind::Conflict`] with the supervisor's words.
    pub fn checked(self) -> Result<Self> {
        match (self.error, self.help) {
            (Some(what), Some(help)) => Err(Error::new(Kind::Conflict, what).help(help)),
            (Some(what), None) => Err(Error::new(Kind::Conflict, what)),
            (None, help) => Ok(Self { error: None, help, ..self }),
        }
    }
}

/// A connection to a supervisor.
#[derive(Debug)]
pub struct Client(OwnedFd);

impl Client {
    /// Calls the supervisor whose socket is at `path`.
    ///
    /// # Errors
    /// As connect(2): `ENOENT` or `ECONNREFUSED` if there is none.
    pub fn connect(path: &Path) -> Result<Self> {
        let socket = seqpacket()?;
        address::with(path, |address| connect(socket.as_raw_fd(), address).or_call("connect", path.display()))?;
        Ok(Self(socket))
    }

    /// Asks, with a descriptor if one goes along.
    ///
    /// # Errors
    /// As sendmsg(2): `EPIPE` if the supervisor is gone.
    pub fn send(&self, request: &Request, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        let text = serde_json::to_vec(request).map_err(|error| Error::invalid(error.to_string()))?;
        send(self.as_fd(), &text, fd, MsgFlags::empty()).or_call("sendmsg", "the supervisor")
    }

    /// Waits for the next answer; none if the supervisor has closed the connection: the container has ended, or is
    /// being started again.
    ///
    /// # Errors
    /// As recvmsg(2); [`Kind::Corrupt`] if it is no answer.
    pub fn receive(&self) -> Result<Option<Answer>> {
        let mut buffer = vec![0; LONGEST];
        let length = loop {
            match receive(self.as_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(None),
                received => break received.or_call("recvmsg", "the supervisor")?.0,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let answer = serde_json::from_slice(&buffer[..length]);
        answer.map(Some).map_err(|error| Error::new(Kind::Corrupt, format!("the supervisor's answer: {error}")))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`receive`](Self::receive); the supervisor's own; [`Kind::Conflict`] if the
    /// container ended meanwhile.
    pub fn ask(&self, request: &Request) -> Result<Answer> {
        self.send(request, None)?;
        while let Some(answer) = self.receive()? {
            if answer.op == request.op() {
                return answer.checked();
            }
        }
        Err(Error::new(Kind::Conflict, "the container ended before its supervisor could answer"))
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Begins to listen at `path`, in the place of a supervisor that is no more.
///
/// # Errors
/// As bind(2) and listen(2).
pub fn listen(path: &Path) -> Result<OwnedFd> {
    let _ = std::fs::remove_file(path);
    let socket = seqpacket()?;
    address::with(path, |address| bind(socket.as_raw_fd(), address).or_call("bind", path.display()))?;
    listen_on(&socket, Backlog::MAXCONN).or_call("listen", path.display())?;
    Ok(socket)
}

fn seqpacket() -> Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).or_call("socket", "AF_UNIX")
}

/// Sends one packet.
pub fn send(to: BorrowedFd<'_>, text: &[u8], fd: Option<BorrowedFd<'_>>, flags: MsgFlags) -> Result<(), Errno> {
    let fds: Vec<RawFd> = fd.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(text)], rights, flags | MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Receives one packet: its length, 0 at the end, and the descriptors that came along.
pub fn receive(from: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = nix::cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(from.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            fds.extend(numbers.into_iter().map(sys::own));
        }
    }
    Ok((message.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_the_book_shows_them() {
        let read = |text: &str| serde_json::from_str::<Request>(text).unwrap();
        assert_eq!(read(r#"{"op":"resize","rows":24,"cols":80}"#), Request::Resize { rows: 24, cols: 80 });
        assert_eq!(read(r#"{"op":"stop"}"#), Request::Stop { signal: None, timeout_ms: None });
        assert_eq!(read(r#"{"op":"update","restart":"on-failure:3"}"#).op(), "update");
        assert!(serde_json::from_str::<Request>(r#"{"op":"dance"}"#).is_err());
        let answer = Answer { exit_code: Some(3), ..Answer::ok("wait") };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"op":"wait","ok":true,"exit_code":3}"#);
        let refused = Answer::refused("resize", &Error::invalid("no").help("do"));
        assert_eq!(refused.checked().unwrap_err().to_string(), "no\n  help: do");
    }

    #[test]
    fn a_descriptor_travels_and_a_long_path_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let listener = listen(&deep.join(SOCKET)).unwrap();
        let client = Client::connect(&deep.join(SOCKET)).unwrap();
        client.send(&Request::Wait, Some(listener.as_fd())).unwrap();
        let server = sys::own(nix::sys::socket::accept(listener.as_raw_fd()).unwrap());
        let mut buffer = [0; 100];
        let (length, fds) = receive(server.as_fd(), &mut buffer, MsgFlags::empty()).unwrap();
        assert_eq!((&buffer[..length], fds.len()), (&br#"{"op":"wait"}"#[..], 1));
        drop(server);
        assert_eq!(client.receive().unwrap(), None);
    }
}
