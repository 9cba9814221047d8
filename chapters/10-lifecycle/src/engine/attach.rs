//! The other end of the supervisor's stream: our terminal or pipes, connected to the program's.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use process::{Error, OrCall, Result, explain};

use super::detach::DetachKeys;
use crate::supervisor::attach::HEADER;
use crate::supervisor::control::{Answer, Client, Request};

/// How much is moved at once.
const BLOCK: usize = 32 * 1024;

/// Signals that are passed on to the program.
const PROXIED: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
];

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
    control: Client,
    stream: UnixStream,
    wanted: Wanted,
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
        let at_terminal = tty && self.wanted.stdin && std::io::stdin().is_terminal();
        let _raw = if at_terminal { Some(Raw::enter()?) } else { None };
        let keys = if at_terminal { self.wanted.detach_keys.clone() } else { DetachKeys::default() };
        let mut session = Session {
            signals: Signals::block()?,
            input: self.wanted.stdin,
            output: true,
            typed: Vec::new(),
            unframed: Vec::new(),
            exit: None,
            tty,
            keys,
            link: self,
        };
        session.resize();
        session.run()
    }
}

/// What goes on between our terminal and the stream.
struct Session {
    link: Attachment,
    signals: Signals,
    tty: bool,
    keys: DetachKeys,
    /// Our standard input is open.
    input: bool,
    /// The stream is open.
    output: bool,
    /// Read, but not yet taken by the supervisor.
    typed: Vec<u8>,
    /// Received, but not yet a whole frame.
    unframed: Vec<u8>,
    /// How the program ended.
    exit: Option<i32>,
}

impl Session {
    fn run(&mut self) -> Result<Ended> {
        loop {
            if let Some(code) = self.exit.filter(|_| !self.output) {
                return Ok(Ended::Exit(code));
            }
            let Some(ready) = self.poll()? else { continue };
            if ready == [PollFlags::empty(); 4] && !self.output {
                return Ok(Ended::Disconnected); // the stream has ended, and the program has not
            }
            let steps = [Self::read_signals, Self::read_control, Self::read_input, Self::tend_stream];
            for (step, events) in steps.into_iter().zip(ready).filter(|(_, events)| !events.is_empty()) {
                if let Some(ended) = step(self, events)? {
                    return Ok(ended);
                }
            }
        }
    }

    /// Waits for signals, the control socket, our input, the stream. None if it was interrupted.
    fn poll(&self) -> Result<Option<[PollFlags; 4]>> {
        let (read, write) = (PollFlags::POLLIN, PollFlags::POLLOUT);
        let mut stream = if self.output { read } else { PollFlags::empty() };
        stream.set(write, !self.typed.is_empty());
        let wishes = [
            (self.signals.0.as_fd(), read),
            (self.link.control.as_fd(), if self.exit.is_none() { read } else { PollFlags::empty() }),
            (crate::supervisor::stdin(), if self.input && self.typed.is_empty() { read } else { PollFlags::empty() }),
            (self.link.stream.as_fd(), stream),
        ];
        let wanted: Vec<_> = (0..4).filter(|&at| !wishes[at].1.is_empty()).collect();
        let mut fds: Vec<_> = wanted.iter().map(|&at| PollFd::new(wishes[at].0, wishes[at].1)).collect();
        // The end of the stream and the news of the program's end come together.
        let timeout = if self.output { PollTimeout::NONE } else { PollTimeout::from(1000u16) };
        let mut ready = [PollFlags::empty(); 4];
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(None),
            done => done.or_call("poll", "")?,
        };
        wanted.iter().zip(&fds).for_each(|(&at, fd)| ready[at] = fd.revents().unwrap_or(PollFlags::empty()));
        Ok(Some(ready))
    }

    fn read_signals(&mut self, _: PollFlags) -> Result<Option<Ended>> {
        while let Some(info) = self.signals.0.read_signal().or_call("read", "signalfd")? {
            let number = info.ssi_signo as i32;
            if number == Signal::SIGWINCH as i32 {
                self.resize();
            } else if self.link.wanted.sig_proxy {
                // A program that has ended meanwhile is no error: its end is on the way.
                let _ = self.link.control.send(&Request::Signal { signal: number }, None);
            } else {
                return Ok(Some(Ended::Detached));
            }
        }
        Ok(None)
    }

    /// The program's terminal gets the size of ours.
    fn resize(&self) {
        let stdout = std::io::stdout();
        if self.tty
            && let Ok(size) = process::sys::window_size(stdout.as_fd())
        {
            let _ = self.link.control.send(&Request::Resize { rows: size.ws_row, cols: size.ws_col }, None);
        }
    }

    fn read_control(&mut self, _: PollFlags) -> Result<Option<Ended>> {
        match self.link.control.receive()? {
            Some(Answer { op, exit_code: Some(code), .. }) if op == "wait" => self.exit = Some(code),
            Some(_) => {}
            None => return Ok(Some(Ended::Lost)),
        }
        Ok(None)
    }

    fn read_input(&mut self, _: PollFlags) -> Result<Option<Ended>> {
        let mut buffer = [0; 4096];
        match nix::unistd::read(crate::supervisor::stdin(), &mut buffer) {
            Ok(count) if count > 0 => {
                if self.keys.filter(&buffer[..count], &mut self.typed) {
                    return Ok(Some(Ended::Detached));
                }
                return self.write_input();
            }
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(None),
            Ok(_) | Err(Errno::EIO) => {} // the end; our own terminal was closed
            Err(errno) => return Err(Error::call("read", "standard input", errno)),
        }
        self.input = false;
        let _ = self.link.stream.shutdown(Shutdown::Write);
        Ok(None)
    }

    fn write_input(&mut self) -> Result<Option<Ended>> {
        match self.link.stream.write(&self.typed) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => (self.typed, self.input) = (Vec::new(), false), // the program has ended
        }
        Ok(None)
    }

    fn tend_stream(&mut self, events: PollFlags) -> Result<Option<Ended>> {
        if events.contains(PollFlags::POLLOUT) {
            self.write_input()?;
        }
        if !self.output || !events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            return Ok(None);
        }
        let mut buffer = vec![0; BLOCK];
        let printed = match self.link.stream.read(&mut buffer) {
            Ok(0) => {
                (self.output, self.input, self.typed) = (false, false, Vec::new());
                return Ok(None);
            }
            Ok(count) if self.tty => print(1, &buffer[..count]),
            Ok(count) => self.unframe(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(_) => {
                self.output = false;
                Ok(())
            }
        };
        match printed {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Some(Ended::Unread)),
            printed => printed.or_call("write", "standard output").map(|()| None),
        }
    }

    /// Takes the frames apart; of one that is not whole what there is of it is printed at once.
    fn unframe(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.unframed.extend_from_slice(bytes);
        while self.unframed.len() > HEADER {
            let (stream, length) = (self.unframed[0], &self.unframed[4..HEADER]);
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
            let there = length.min(self.unframed.len() - HEADER);
            print(stream, &self.unframed[HEADER..HEADER + there])?;
            if there == length {
                self.unframed.drain(..HEADER + there);
            } else {
                // The rest of the frame is a frame itself.
                let left = u32::try_from(length - there).unwrap_or(u32::MAX).to_be_bytes();
                self.unframed.drain(HEADER..);
                self.unframed[4..HEADER].copy_from_slice(&left);
            }
        }
        Ok(())
    }
}

fn print(stream: u8, bytes: &[u8]) -> std::io::Result<()> {
    if stream == 2 {
        return std::io::stderr().write_all(bytes);
    }
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// The signals that are received as data while we are attached; on drop the mask is as before.
struct Signals(SignalFd, SigSet);

impl Signals {
    fn block() -> Result<Self> {
        let mut mask: SigSet = PROXIED.into_iter().collect();
        mask.add(Signal::SIGWINCH);
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut before)).or_call("sigprocmask", "")?;
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).or_call("signalfd", "")?;
        Ok(Self(fd, before))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.1), None);
    }
}

/// Our terminal in raw mode: every key goes to the container, Ctrl-C too. On drop it is as before.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self> {
        let stdin: BorrowedFd<'_> = crate::supervisor::stdin();
        let before = tcgetattr(stdin).or_call("tcgetattr", "standard input")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin, SetArg::TCSANOW, &raw).or_call("tcsetattr", "standard input")?;
        explain!(10, "each key goes to the container as it is", "tcsetattr(0, raw)");
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(crate::supervisor::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}
