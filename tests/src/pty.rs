//! A terminal for a program: what a person at the keyboard would do and see.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

use crate::run::code;
use crate::{Outcome, needs, sys};

/// A program on a terminal of its own, 24 rows of 80 columns. It is killed on drop.
///
/// ```no_run
/// # fn main() -> Result<(), harness::Failed> {
/// # let sandbox = harness::Sandbox::new()?;
/// let mut shell = sandbox.step(1).args(["run", "sh"]).pty()?;
/// shell.send("echo $((6*7))\n")?;
/// shell.expect("42")?;
/// shell.send("\x03exit 3\n")?; // Ctrl-C
/// assert_eq!(shell.wait()?, 3);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Pty {
    child: Child,
    terminal: std::fs::File,
    /// All that was shown.
    shown: Vec<u8>,
    /// How much of it `expect` has passed.
    passed: usize,
    timeout: Duration,
}

impl Pty {
    /// Starts the command on a new terminal.
    ///
    /// # Errors
    /// No terminal, or no such program.
    pub fn spawn(mut command: Command) -> Outcome<Self> {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None)?;
        // Ours must not reach the program: the terminal hangs up when the last of it is closed.
        nix::fcntl::fcntl(&pty.master, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        command.stdin(pty.slave.try_clone()?).stdout(pty.slave.try_clone()?).stderr(pty.slave);
        command.env("TERM", "xterm");
        sys::own_session(&mut command);
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let timeout = Duration::from_secs(if needs::inside_vm() { 120 } else { 20 });
        Ok(Self { child, terminal: pty.master.into(), shown: Vec::new(), passed: 0, timeout })
    }

    /// The process that was started.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Types this. `"\n"` is Enter, `"\x03"` Ctrl-C, `"\x04"` Ctrl-D, `"\x1a"` Ctrl-Z.
    ///
    /// # Errors
    /// The program has closed the terminal.
    pub fn send(&mut self, keys: &str) -> Outcome {
        Ok(self.terminal.write_all(keys.as_bytes())?)
    }

    /// Waits until the terminal shows `text`, after what was expected before; gives what came until its end.
    ///
    /// The terminal echoes what is typed: expect what the program computes, not what it was told.
    ///
    /// # Errors
    /// It does not show it in time; with all that it showed.
    pub fn expect(&mut self, text: &str) -> Outcome<String> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let fresh = String::from_utf8_lossy(&self.shown[self.passed..]).into_owned();
            if let Some(at) = fresh.find(text) {
                let seen = fresh[..at + text.len()].to_owned();
                // Counted in bytes of what was shown: a broken character counts as it came.
                let width = text.len();
                let start = find(&self.shown[self.passed..], text.as_bytes()).unwrap_or(at);
                self.passed += start + width;
                return Ok(seen);
            }
            if !self.read(deadline)? {
                return Err(format!("the terminal did not show {text:?}; it showed:\n{}", self.transcript()).into());
            }
        }
    }

    /// All that it has shown so far.
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Changes its size.
    ///
    /// # Errors
    /// As ioctl(2).
    pub fn resize(&self, rows: u16, columns: u16) -> Outcome {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(sys::resize(self.terminal.as_fd(), &size)?)
    }

    /// Waits for the program's end; gives its exit code, 128 + n for signal n.
    ///
    /// # Errors
    /// It does not end in time; with all that it showed.
    pub fn wait(&mut self) -> Outcome<i32> {
        let deadline = Instant::now() + self.timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                while self.read(Instant::now() + Duration::from_millis(20))? {}
                return Ok(code(status));
            }
            if Instant::now() > deadline {
                return Err(format!("no end in {:?}; the terminal shows:\n{}", self.timeout, self.transcript()).into());
            }
            self.read(Instant::now() + Duration::from_millis(20))?;
        }
    }

    /// Takes in what is shown next; `false` if nothing comes before the deadline, or ever.
    fn read(&mut self, deadline: Instant) -> Outcome<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, timeout)? == 0 {
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        // EIO: nobody has the other side open any more (pty(7)).
        let count = self.terminal.read(&mut buffer).unwrap_or(0);
        self.shown.extend(&buffer[..count]);
        if count == 0 {
            std::thread::sleep(Duration::from_millis(5).min(left));
        }
        Ok(count > 0)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len().max(1)).position(|window| window == wanted)
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
