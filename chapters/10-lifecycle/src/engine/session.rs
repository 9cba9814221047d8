//! What goes on while we are attached: one loop over our terminal or pipes, the stream, signals and the supervisor.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;

use namespaces::Raw;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use process::{Error, OrCall, Result};

use super::attach::{Attachment, Ended};
use super::detach::DetachKeys;
use super::proxy::Signals;
use crate::supervisor::attach::HEADER;
use crate::supervisor::control::{Answer, Request};
use crate::supervisor::stdin;

/// How much is moved at once.
const BLOCK: usize = 32 * 1024;

/// What goes on between our terminal and the stream.
pub(super) struct Session {
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
    /// On drop our terminal is as before.
    _raw: Option<Raw>,
}

impl Session {
    /// Between our standard streams and `link`'s.
    pub(super) fn new(link: Attachment, tty: bool) -> Result<Self> {
        let at_terminal = tty && link.wanted.stdin && std::io::stdin().is_terminal();
        let keys = if at_terminal { link.wanted.detach_keys.clone() } else { DetachKeys::default() };
        let (input, signals) = (link.wanted.stdin, Signals::block()?);
        let (typed, unframed) = (Vec::new(), Vec::new());
        let _raw = if at_terminal { Some(Raw::enter()?) } else { None };
        Ok(Self { link, signals, tty, keys, input, output: true, typed, unframed, exit: None, _raw })
    }

    pub(super) fn run(mut self) -> Result<Ended> {
        self.resize();
        self.tend()
    }

    fn tend(&mut self) -> Result<Ended> {
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
            (stdin(), if self.input && self.typed.is_empty() { read } else { PollFlags::empty() }),
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
        match nix::unistd::read(stdin(), &mut buffer) {
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
