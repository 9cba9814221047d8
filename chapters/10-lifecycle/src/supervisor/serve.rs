//! Who has called, and what is done for them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, SockFlag, accept4};
use nix::unistd::Pid;
use process::{Error, Kind, OrCall, Result};

use super::attach::{Attached, Wish};
use super::control::{Answer, Request, receive, send};
use super::light::Light;
use super::stamp::Stamp;
use super::sys;
use crate::state::Status;

/// How many may be connected at once: a bound of the memory, far above what anybody needs.
const PEERS: usize = 512;

/// A connection to the control socket.
#[derive(Debug)]
pub(super) struct Peer {
    fd: OwnedFd,
    /// Requests that are answered when the program has ended.
    waiting: Vec<&'static str>,
    gone: bool,
}

impl Peer {
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Answers. One that does not read its answers is not waited for.
    fn answer(&mut self, answer: &Answer) {
        let text = serde_json::to_vec(answer).unwrap_or_default();
        self.gone |= send(self.fd.as_fd(), &text, None, MsgFlags::MSG_DONTWAIT).is_err();
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Light {
    /// Lets in who has called, and serves what they have asked for already.
    pub(super) fn accept(&mut self) {
        loop {
            match accept4(self.control.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
                Ok(fd) => {
                    self.peers.push(Peer { fd: sys::own(fd), waiting: Vec::new(), gone: self.peers.len() >= PEERS });
                    self.serve(self.peers.len() - 1);
                }
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(Errno::EAGAIN) => return,
                Err(errno) => {
                    // No descriptors left (EMFILE): the caller stays in the queue, and would wake us at once again.
                    std::thread::sleep(Duration::from_millis(10));
                    if !std::mem::replace(&mut self.is_full, true) {
                        eprintln!("{} accept: {errno}", Stamp::now());
                    }
                    return;
                }
            }
        }
    }

    /// Serves what one of them asks for.
    pub(super) fn serve(&mut self, at: usize) {
        while !self.peers[at].gone {
            let mut buffer = std::mem::take(&mut self.buffer);
            let received = receive(self.peers[at].as_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT);
            let request = received.map(|(length, fds)| (length, serde_json::from_slice(&buffer[..length]), fds));
            self.buffer = buffer;
            match request {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) | Ok((0, ..)) => self.peers[at].gone = true,
                Ok((_, Err(error), _)) => {
                    let error = Error::invalid(format!("the supervisor does not understand the request: {error}"));
                    self.peers[at].answer(&Answer::refused("", &error));
                }
                Ok((_, Ok(request), fds)) => {
                    let op = Request::op(&request);
                    let answer = self.grant(at, request, fds).unwrap_or_else(|error| Some(Answer::refused(op, &error)));
                    answer.iter().for_each(|answer| self.peers[at].answer(answer));
                }
            }
        }
    }

    /// Does what is asked for. No answer means that it comes when the program has ended.
    fn grant(&mut self, at: usize, request: Request, fds: Vec<OwnedFd>) -> Result<Option<Answer>> {
        let op = request.op();
        let mut answer = Answer::ok(op);
        match request {
            Request::State => answer.state = Some(Box::new(self.state.clone())),
            Request::Update { restart } => self.handover.restart = restart,
            Request::Wait => return self.will_tell(at, op),
            Request::Stop { .. } if self.restart_at.is_some() => {
                self.will_tell(at, op)?;
                self.state.manually_stopped = true;
                self.restart_at = Some(Instant::now());
                self.is_leaving = true;
                return Ok(None);
            }
            Request::Stop { signal, timeout_ms } => {
                self.will_tell(at, op)?;
                self.state.manually_stopped = true;
                self.begin_stop(signal, timeout_ms);
                return Ok(None);
            }
            _ if self.restart_at.is_some() => {
                let help = "wait until it runs again, or `stop` it";
                return Err(Error::new(Kind::Conflict, "the container is just being restarted").help(help));
            }
            Request::Attach { stdin, stdout, stderr, patience_ms } => {
                let patience = patience_ms.map(Duration::from_millis);
                let wish = Wish { stdin, stdout, stderr, patience };
                if self.clients.len() >= PEERS {
                    return Err(Error::invalid("too many clients are attached already"));
                }
                let Some(socket) = fds.into_iter().next() else {
                    return Err(Error::invalid("attach needs a stream socket to come along"));
                };
                answer.tty = Some(self.terminal.is_some());
                self.clients.push(Attached::new(socket, wish, self.terminal.is_some()));
            }
            Request::Resize { rows, cols } => self.resize(rows, cols)?,
            Request::Signal { signal } => self.signal(signal)?,
            Request::Pause => self.freeze(true)?,
            Request::Unpause => self.freeze(false)?,
        }
        Ok(Some(answer))
    }

    fn will_tell(&mut self, at: usize, op: &'static str) -> Result<Option<Answer>> {
        if self.peers[at].waiting.len() >= 8 {
            return Err(Error::invalid("too many requests wait on this connection"));
        }
        self.peers[at].waiting.push(op);
        Ok(None)
    }

    /// The program has ended: tells those who wait for that.
    pub(super) fn tell_end(&mut self) {
        let (exit_code, restarting) = (self.state.exit_code, self.state.status == Status::Restarting);
        for peer in &mut self.peers {
            for op in std::mem::take(&mut peer.waiting) {
                let restarting = Some(restarting && op == "wait");
                peer.answer(&Answer { exit_code: Some(exit_code), restarting, ..Answer::ok(op) });
            }
        }
    }

    fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        let Some(master) = &self.terminal else {
            return Err(Error::invalid("the container has no terminal").help("`-t` gives it one"));
        };
        let size = libc::winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        process::sys::set_window_size(master.as_fd(), &size).or_call("ioctl", "TIOCSWINSZ")
    }

    /// A signal that is meant to end the program ends the container for good, as `docker kill` does.
    fn signal(&mut self, number: i32) -> Result<()> {
        sys::kill(Pid::from_raw(self.handover.pid), number).or_call("kill", number)?;
        if number == Signal::SIGKILL as i32 || number == self.handover.stop_signal {
            self.state.manually_stopped = true;
        }
        Ok(())
    }

    /// Sends a signal, whatever becomes of it.
    pub(super) fn kill(&self, signal: i32) {
        let _ = sys::kill(Pid::from_raw(self.handover.pid), signal);
    }

    /// Asks the program to end; later it is not asked any more.
    pub(super) fn begin_stop(&mut self, signal: Option<i32>, timeout_ms: Option<i64>) {
        self.kill(signal.unwrap_or(self.handover.stop_signal));
        let timeout = u64::try_from(timeout_ms.unwrap_or(self.handover.stop_timeout_ms)).ok();
        let at = timeout.and_then(|millis| Instant::now().checked_add(Duration::from_millis(millis)));
        // Of two who ask, the less patient one counts.
        self.kill_at = self.kill_at.into_iter().chain(at).min();
        if self.state.status == Status::Paused {
            let _ = self.freeze(false); // what is frozen heeds no signal but SIGKILL
        }
    }

    /// Freezes or thaws the container's processes (cgroups(7), `cgroup.freeze`). Whether they all stand still already,
    /// `cgroup.events` tells.
    fn freeze(&mut self, freeze: bool) -> Result<()> {
        let status = if freeze { Status::Paused } else { Status::Running };
        if self.state.status == status {
            let what = if freeze { "the container is paused already" } else { "the container is not paused" };
            return Err(Error::new(Kind::Conflict, what));
        }
        let Some(cgroup) = &self.handover.cgroup else {
            return Err(Error::unsupported("the container has no control group").help("pausing needs cgroup v2"));
        };
        let path = cgroup.join("cgroup.freeze");
        std::fs::write(&path, if freeze { "1" } else { "0" }).or_call("write", path.display())?;
        self.state.status = status;
        self.note();
        Ok(())
    }
}
