//! `__keeper`: the first process of the sandbox. It starts the shell, hands it commands, passes their output on, and
//! keeps the limits. When it ends, for whatever reason, the kernel ends all others (pid_namespaces(7)).

mod limits;
mod output;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use process::OrCall;

use crate::run::mounts::{self, Account};
use crate::run::{Event, Request};
use crate::run::{cgroup, record};
use crate::{Error, Result};

use output::Output;

/// `__keeper user|root NETWORK REPOSITORY mapped|single GROUP`.
///
/// # Errors
/// Told to the session, too.
pub fn keep(words: &[String]) -> Result<ExitCode> {
    let started = start(words).inspect_err(|error| Event::Refused(error.to_string()).say());
    let why = started?.serve();
    Event::Ended(why).say();
    Ok(ExitCode::SUCCESS)
}

struct Keeper {
    shell: Pid,
    /// To and from the shell's loop.
    wire: UnixStream,
    output: OwnedFd,
    terminal: PtyMaster,
    running: Option<Running>,
    requests: Vec<u8>,
    /// What has come of an exit code.
    code: Vec<u8>,
    said: Output,
}

struct Running {
    deadline: Instant,
    keys: VecDeque<String>,
    /// How long the terminal must be silent before the next line is typed.
    quiet: Duration,
    /// When it last said something, or was last typed on.
    last: Instant,
    /// Has it said anything since?
    answered: bool,
}

fn start(words: &[String]) -> Result<Keeper> {
    let words = super::told(words);
    let [who, _, repository, ids, group] = &words[..] else { return Err(Error::invalid("__keeper: five words")) };
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).or_call("prctl", "PR_SET_PDEATHSIG")?;
    let account = Account::of(who);
    let (kernel, cgroup) = record::machine();
    if group != "-" {
        cgroup::enter(Path::new(group))?;
    }
    unshare(CloneFlags::CLONE_NEWNS).or_call("unshare", "NEWNS")?;
    mounts::lay(account, Path::new(repository), ids == "mapped")?;
    let terminal = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).or_call("open", "/dev/ptmx")?;
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).or_call("ioctl", "TIOCSPTLCK")?;
    let name = ptsname_r(&terminal).or_call("ioctl", "TIOCGPTN")?;
    process::sys::set_window_size(terminal.as_fd(), &size(24, 80)).or_call("ioctl", "TIOCSWINSZ")?;
    let (output, theirs) = pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "")?;
    let (wire, their_wire) = UnixStream::pair().or_call("socketpair", "")?;
    let mut reader = super::myself("__reader", &[who, &name, ids]);
    reader.stdin(Stdio::null()).stdout(Stdio::from(theirs)).stderr(Stdio::from(OwnedFd::from(their_wire)));
    let shell = reader.spawn().or_call("execve", "__reader")?;
    for fd in [wire.as_fd(), output.as_fd(), terminal.as_fd()] {
        fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).or_call("fcntl", "O_NONBLOCK")?;
    }
    Event::Ready { kernel, cgroup }.say();
    let shell = Pid::from_raw(shell.id().cast_signed());
    let (requests, code) = (Vec::new(), Vec::new());
    Ok(Keeper { shell, wire, output, terminal, running: None, requests, code, said: Output::default() })
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Keeper {
    /// Until the session hangs up, the shell ends or a limit is met; gives the reason.
    fn serve(mut self) -> String {
        loop {
            match self.turn() {
                Ok(None) => {}
                Ok(Some(why)) => return why,
                Err(error) => return error.to_string(),
            }
        }
    }

    fn turn(&mut self) -> Result<Option<String>> {
        let (requests, wire, output, terminal) = self.wait()?;
        if (output || terminal) && self.pass_on() {
            return Ok(Some("it said more than a page can hold".into()));
        }
        if requests && !self.take_requests()? {
            return Ok(Some("ended".into()));
        }
        if wire {
            self.take_code();
        }
        if let Some(code) = self.reap() {
            self.drain();
            return Ok(Some(format!("the shell ended with exit code {code}")));
        }
        self.type_keys();
        let late = self.running.as_ref().is_some_and(|running| Instant::now() > running.deadline);
        if late {
            self.drain();
            return Ok(Some("it took longer than its time limit".into()));
        }
        Ok(limits::exceeded())
    }

    /// Waits a moment for anything to come; says what did.
    fn wait(&self) -> Result<(bool, bool, bool, bool)> {
        let stdin = std::io::stdin();
        let fds = [stdin.as_fd(), self.wire.as_fd(), self.output.as_fd(), self.terminal.as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, PollTimeout::from(100u8)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("poll", "the sandbox", errno)),
        }
        let came = |index: usize| fds[index].revents().is_some_and(|events| !events.is_empty());
        // A terminal that nobody has open hangs up all the time (pty(7)): it is asked when it has something.
        let hung = fds[3].revents().is_some_and(|events| !events.contains(PollFlags::POLLIN));
        Ok((came(0), came(1), came(2), came(3) && !hung))
    }

    /// Passes on what was said; `true` if it was too much.
    fn pass_on(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        for fd in [self.output.as_fd(), self.terminal.as_fd()] {
            if let Ok(count @ 1..) = nix::unistd::read(fd, &mut buffer) {
                self.said.add(&buffer[..count]);
                if let Some(running) = &mut self.running {
                    (running.last, running.answered) = (Instant::now(), true);
                }
            }
        }
        self.said.too_much()
    }

    /// All that is there now, after the command has ended.
    fn drain(&mut self) {
        let quiet = |fd: BorrowedFd<'_>| {
            let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
            !matches!(poll(&mut fds, PollTimeout::from(10u8)), Ok(1..))
                || !fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN))
        };
        for _ in 0..64 {
            if quiet(self.output.as_fd()) && quiet(self.terminal.as_fd()) {
                break;
            }
            self.pass_on();
        }
        self.said.end();
    }

    fn take_requests(&mut self) -> Result<bool> {
        let mut buffer = [0; 8192];
        let count = std::io::stdin().read(&mut buffer).or_call("read", "requests")?;
        self.requests.extend(&buffer[..count]);
        while let Some(end) = self.requests.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.requests.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Request::Run { command, tty, keys, quiet, millis }) => {
                    let (now, quiet) = (Instant::now(), Duration::from_millis(quiet));
                    let deadline = now + Duration::from_millis(millis);
                    let running = Running { deadline, keys: keys.into(), quiet, last: now, answered: false };
                    self.run(&command, tty, running)?;
                }
                Ok(Request::Type(keys)) => self.type_line(&keys),
                Ok(Request::Size(rows, columns)) => {
                    let _ = process::sys::set_window_size(self.terminal.as_fd(), &size(rows, columns));
                }
                Ok(Request::End) => return Ok(false),
                Ok(Request::Open { .. }) | Err(_) => {}
            }
        }
        Ok(count > 0)
    }

    fn run(&mut self, command: &str, tty: bool, running: Running) -> Result<()> {
        if self.running.is_some() {
            return Ok(()); // the session asks one by one
        }
        self.said.begin();
        self.running = Some(running);
        let how = if tty { "tty" } else { "plain" };
        let order = format!("{how}\0{}\0", command.replace('\0', ""));
        fcntl(&self.wire, FcntlArg::F_SETFL(OFlag::empty())).or_call("fcntl", "the shell's wire")?;
        let sent = self.wire.write_all(order.as_bytes());
        fcntl(&self.wire, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).or_call("fcntl", "the shell's wire")?;
        sent.or_call("write", "the shell's wire")
    }

    /// Types the next line of the cell's once the program waits for it.
    fn type_keys(&mut self) {
        let Some(running) = &mut self.running else { return };
        // A program that has not yet said a word may still be starting; some never do.
        let patience = if running.answered { running.quiet } else { running.quiet * 5 };
        if running.last.elapsed() < patience {
            return;
        }
        if let Some(keys) = running.keys.pop_front() {
            (running.last, running.answered) = (Instant::now(), false);
            self.type_line(&format!("{keys}\n"));
        }
    }

    fn type_line(&self, keys: &str) {
        let _ = nix::unistd::write(&self.terminal, keys.as_bytes());
    }

    fn take_code(&mut self) {
        let mut buffer = [0; 64];
        let Ok(count) = self.wire.read(&mut buffer) else { return };
        self.code.extend(&buffer[..count]);
        let Some(end) = self.code.iter().position(|&byte| byte == 0) else { return };
        let code = String::from_utf8_lossy(&self.code[..end]).parse().unwrap_or(1);
        self.code.drain(..=end);
        self.drain();
        self.running = None;
        Event::Done(code).say();
    }

    /// Collects the children that have ended, and those that lost their parents; gives the shell's exit code.
    fn reap(&self) -> Option<i32> {
        loop {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.shell => return Some(code),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.shell => return Some(128 + signal as i32),
                Ok(WaitStatus::StillAlive) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}
