//! The other end of the supervisor's stream: our terminal or pipes, connected to the program's.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use process::{OrCall, Result, explain};

use super::detach::DetachKeys;
use super::session::Session;
use crate::supervisor::control::{Client, Request};

/// What is to be connected, and how.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Our standard input to the program's.
    pub stdin: bool,
    /// The program's standard output to ours.
    pub stdout: bool,
    /// Its standard error to ours.
    pub stderr: bool,
    /// How long we may hold the program back if nobody reads what we print; none means for ever, as a pipe does: right
    /// for `run`, while `attach` should be patient for some seconds only.
    pub patience: Option<Duration>,
    /// What leaves the container running; only heeded at a terminal.
    pub detach_keys: DetachKeys,
    /// Signals that we get are passed on to the program.
    pub sig_proxy: bool,
}

/// How it came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The program has ended with this code.
    Exit(i32),
    /// The detach keys were typed, or a signal that is not passed on has come; the program goes on.
    Detached,
    /// Nobody reads our standard output any more (`… | head`); the program goes on.
    Unread,
    /// We did not read in time, and the supervisor went on without us; the program goes on.
    Disconnected,
    /// The supervisor is gone: only `state.json` may tell how the program ended.
    Lost,
}

/// A connection to a program that may not even have been started yet.
#[derive(Debug)]
pub struct Attachment {
    pub(super) control: Client,
    pub(super) stream: UnixStream,
    pub(super) wanted: Wanted,
}

impl Attachment {
    /// Calls the supervisor at `socket` and asks to be attached. When this returns, the request is with the supervisor:
    /// what is started then is seen from its first byte.
    ///
    /// # Errors
    /// As connect(2) and sendmsg(2).
    pub fn connect(socket: &Path, wanted: Wanted) -> Result<Self> {
        let control = Client::connect(socket)?;
        let (stream, theirs) = UnixStream::pair().or_call("socketpair", "")?;
        let Wanted { stdin, stdout, stderr, .. } = wanted;
        let patience_ms = wanted.patience.map(|patience| patience.as_millis() as u64);
        control.send(&Request::Attach { stdin, stdout, stderr, patience_ms }, Some(theirs.as_fd()))?;
        control.send(&Request::Wait, None)?;
        explain!(10, "a stream to the program's input and output", "sendmsg({}, SCM_RIGHTS)", socket.display());
        Ok(Self { control, stream, wanted })
    }

    /// Moves the bytes until one side ends it.
    ///
    /// # Errors
    /// The supervisor's refusal; as poll(2), read(2) and tcsetattr(3).
    pub fn run(self) -> Result<Ended> {
        let tty = loop {
            match self.control.receive()? {
                None => return Ok(Ended::Lost),
                Some(answer) if answer.op == "attach" => break answer.checked()?.tty == Some(true),
                Some(_) => {}
            }
        };
        self.stream.set_nonblocking(true).or_call("fcntl", "O_NONBLOCK")?;
        Session::new(self, tty)?.run()
    }
}
