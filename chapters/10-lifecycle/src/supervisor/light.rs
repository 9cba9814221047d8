//! The light phase: one thread, one loop, everything a descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use process::{OrCall, Result};

use super::attach::{Attached, Input as Received};
use super::handover::Handover;
use super::health::Monitor;
use super::input::Input;
use super::log::Log;
use super::output::{CHUNK, Output, Piece};
use super::serve::Peer;
use super::stamp::Stamp;
use super::thrift;
use crate::state::{State, Status};

/// The supervisor while its container lives, and while it waits to start it again.
pub(super) struct Light {
    pub handover: Handover,
    pub state: State,
    pub signals: SignalFd,
    pub control: OwnedFd,
    pub peers: Vec<Peer>,
    pub clients: Vec<Attached>,
    pub outputs: Vec<Output>,
    pub input: Input,
    /// The master of the program's terminal, if it has one.
    pub terminal: Option<OwnedFd>,
    pub log: Option<Log>,
    pub monitor: Option<Monitor>,
    /// What is read goes through here: chunks, packets.
    pub buffer: Vec<u8>,
    pub started: Instant,
    /// When a program that does not heed `stop` is killed.
    pub kill_at: Option<Instant>,
    /// The program has ended, and at this moment it is started again.
    pub restart_at: Option<Instant>,
    /// This process itself is to end: no restart.
    pub is_leaving: bool,
    /// There were no descriptors left for who called. Told once.
    pub is_full: bool,
    /// Nothing has come since memory was given back.
    pub is_rested: bool,
    /// Open as long as the container runs.
    pub keep: Vec<OwnedFd>,
    /// Open also in the heavy phase.
    pub carry: Vec<OwnedFd>,
}

/// What a descriptor is for.
#[derive(Debug, Clone, Copy)]
enum Token {
    Control,
    Peer(usize),
    Client(usize),
    Stdin,
    Check,
    Output(usize),
    Signals,
}

/// The light phase. `file` is the handover's. Never returns; if it fails, the container ends with it.
pub(super) fn enter(file: &Path) -> ! {
    let done = Light::new(file).and_then(|mut light| light.run());
    if let Err(error) = done {
        eprintln!("{} {error}", Stamp::now());
    }
    std::process::exit(process::Exit::ENGINE.into())
}

impl Light {
    fn run(&mut self) -> Result<()> {
        // Who called before the program was started gets its first byte; and it may have ended already.
        self.accept();
        self.reap()?;
        thrift::give_back();
        loop {
            let ready = self.wait()?;
            self.rest(ready.is_empty());
            for (token, events) in ready {
                self.tend(token, events)?;
            }
            self.clients.retain(|client| !client.is_gone());
            self.peers.retain(|peer| !peer.is_gone());
            self.look_at_the_clock(Instant::now())?;
        }
    }

    /// Sleeps until something is to be done. What is ready comes in the order in which it is to be tended: requests
    /// before output, so that who attaches misses nothing, and the program's end last.
    fn wait(&self) -> Result<Vec<(Token, PollFlags)>> {
        let now = Instant::now();
        let (read, write) = (PollFlags::POLLIN, PollFlags::POLLOUT);
        let (mut tokens, mut fds) = (Vec::new(), Vec::new());
        let mut add = |token, fd, flags| {
            tokens.push(token);
            fds.push(PollFd::new(fd, flags));
        };
        add(Token::Control, self.control.as_fd(), read);
        self.peers.iter().enumerate().for_each(|(at, peer)| add(Token::Peer(at), peer.as_fd(), read));
        for (at, client) in self.clients.iter().enumerate() {
            let takes = if client.has_input() && self.input.has_room() { read } else { PollFlags::empty() };
            let flags = takes | if client.is_behind() { write } else { PollFlags::empty() };
            // One that has hung up, but whose input nobody takes yet, would wake us for ever.
            if !flags.is_empty() || !client.has_input() {
                add(Token::Client(at), client.as_fd(), flags);
            }
        }
        self.input.blocked().into_iter().for_each(|fd| add(Token::Stdin, fd, write));
        let check = self.monitor.as_ref().and_then(Monitor::pipe);
        check.into_iter().for_each(|fd| add(Token::Check, fd, read));
        if !self.is_held_back() {
            for (at, output) in self.outputs.iter().enumerate() {
                output.awake(now).into_iter().for_each(|fd| add(Token::Output(at), fd, read));
            }
        }
        add(Token::Signals, self.signals.as_fd(), read);
        match poll(&mut fds, self.timeout(now)) {
            Err(Errno::EINTR) => return Ok(Vec::new()),
            done => done.or_call("poll", "")?,
        };
        let events = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(tokens.into_iter().zip(events).filter(|(_, events)| !events.is_empty()).collect())
    }

    /// After a second in which nothing came: what was needed for the last work is given back.
    fn rest(&mut self, is_idle: bool) {
        if is_idle && !self.is_rested {
            thrift::give_back();
        }
        self.is_rested = is_idle;
    }

    /// Is a client so far behind that the program has to wait for it?
    fn is_held_back(&self) -> bool {
        self.clients.iter().any(|client| client.is_behind() && !client.is_gone())
    }

    fn tend(&mut self, token: Token, events: PollFlags) -> Result<()> {
        match token {
            Token::Control => self.accept(),
            Token::Peer(at) => self.serve(at),
            Token::Client(at) => self.tend_client(at, events),
            Token::Stdin => self.input.push(),
            Token::Check => self.monitor.iter_mut().for_each(Monitor::read),
            Token::Output(at) if !self.is_held_back() => drop(self.copy(at)),
            Token::Output(_) => {}
            Token::Signals => self.receive_signals()?,
        }
        Ok(())
    }

    fn tend_client(&mut self, at: usize, events: PollFlags) {
        let Some(client) = self.clients.get_mut(at) else { return };
        let has_hung_up = events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
        if client.is_behind() {
            client.catch_up();
        }
        if !client.has_input() {
            if has_hung_up {
                client.leave();
            }
        } else if self.input.has_room() {
            match client.input(&mut self.buffer[..CHUNK / 4]) {
                Received::Bytes(count) => self.input.pass(&self.buffer[..count]),
                Received::Nothing => {}
                Received::End => {
                    self.input.end(has_hung_up);
                    if has_hung_up {
                        client.leave();
                    }
                }
            }
        }
    }

    /// Copies one chunk of an output to the log and to who is attached.
    pub(super) fn copy(&mut self, at: usize) -> Piece {
        let now = Instant::now();
        let Self { buffer, log, clients, .. } = self;
        let output = &mut self.outputs[at];
        let piece = output.read(buffer, now);
        let (stream, stamp) = (output.stream, Stamp::now());
        let mut take = |part: &[u8], stamp| log.iter_mut().for_each(|log| log.add(part, stream, stamp));
        match piece {
            Piece::Bytes(count) => {
                output.lines.feed(&buffer[..count], stamp, &mut take);
                clients.iter_mut().for_each(|client| client.output(stream, &buffer[..count], now));
            }
            Piece::Nothing => {}
            Piece::End => output.lines.finish(stamp, &mut take),
        }
        log.iter_mut().for_each(Log::flush);
        piece
    }

    /// How long nothing is to be done.
    fn timeout(&self, now: Instant) -> PollTimeout {
        let clients = self.clients.iter().filter_map(Attached::deadline);
        let outputs = self.outputs.iter().filter_map(Output::asleep);
        let check = self.monitor.as_ref().and_then(Monitor::deadline);
        let rest = if self.is_rested { None } else { now.checked_add(REST) };
        let own = [self.kill_at, self.restart_at, check, rest];
        let Some(next) = clients.chain(outputs).chain(own.into_iter().flatten()).min() else {
            return PollTimeout::NONE;
        };
        // Rounded up: to wake too early is to wake twice.
        let millis = next.saturating_duration_since(now).as_micros().div_ceil(1000);
        PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    }

    fn look_at_the_clock(&mut self, now: Instant) -> Result<()> {
        if self.kill_at.take_if(|at| *at <= now).is_some() {
            self.kill(Signal::SIGKILL as i32);
        }
        for client in &mut self.clients {
            if client.deadline().is_some_and(|deadline| deadline <= now) {
                eprintln!("{} a client that did not read was disconnected", Stamp::now());
                if client.has_input() {
                    self.input.end(true);
                }
                client.leave();
            }
        }
        self.clients.retain(|client| !client.is_gone());
        if self.restart_at.is_some_and(|at| at <= now) {
            return Err(self.become_heavy(true));
        }
        self.check_health(now);
        Ok(())
    }

    fn receive_signals(&mut self) -> Result<()> {
        let mut children = false;
        while let Some(info) = self.signals.read_signal().or_call("read", "signalfd")? {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGCHLD) => children = true,
                // Whoever ends us means the container; without us it would be killed at once.
                Ok(Signal::SIGTERM | Signal::SIGINT) => {
                    self.is_leaving = true;
                    if self.restart_at.is_some() {
                        return Err(self.give_up());
                    }
                    self.begin_stop(None, None);
                }
                _ => {}
            }
        }
        if children { self.reap() } else { Ok(()) }
    }

    /// Writes the state, where it is not worth to wait for the disk.
    pub(super) fn note(&self) {
        if let Err(error) = self.state.note(&self.handover.directory) {
            eprintln!("{} {}", Stamp::now(), error.what());
        }
    }

    fn check_health(&mut self, now: Instant) {
        let Some(monitor) = &mut self.monitor else { return };
        if self.state.status != Status::Running {
            monitor.pause(now);
        } else if let Some(probe) = monitor.tick(now) {
            self.judge(probe);
        }
    }
}

/// After this long without work the supervisor makes itself small.
const REST: Duration = Duration::from_secs(1);

/// How long the end of a terminal's output is waited for, if somebody else has it open still.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);
