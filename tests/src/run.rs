//! Running a program: a time limit, its output in full, and a check that shows both when it fails.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Outcome, Pty, needs};

/// A program to run. Without [`stdin`](Self::stdin) it reads nothing; it is killed after a minute.
#[derive(Debug)]
pub struct Run {
    command: Command,
    /// What could not be prepared: told when it is run, so that building one needs no `?`.
    failed: Option<String>,
    stdin: Vec<u8>,
    timeout: Duration,
}

impl Run {
    /// The program and its environment as `command` has them.
    pub fn new(command: Command) -> Self {
        // Software emulation is about ten times slower.
        let timeout = Duration::from_secs(if needs::inside_vm() { 240 } else { 60 });
        Self { command, failed: None, stdin: Vec::new(), timeout }
    }

    pub(crate) fn failed(reason: String) -> Self {
        Self { failed: Some(reason), ..Self::new(Command::new("false")) }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it in this directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What it reads.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// When it is killed and the test fails.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// It could not be started, or did not end in time; with what it had said by then.
    pub fn run(self) -> Outcome<Done> {
        let timeout = self.timeout;
        self.spawn()?.wait_for(timeout)
    }

    /// Starts it and returns; it is killed when the handle is dropped.
    ///
    /// # Errors
    /// It could not be started.
    pub fn spawn(mut self) -> Outcome<Background> {
        self.check()?;
        // Files, not pipes: a descendant that lives on keeps no reader waiting, and nothing blocks when it is full.
        let (stdout, stderr) = (output_file()?, output_file()?);
        self.command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        if self.stdin.is_empty() {
            self.command.stdin(Stdio::null());
        } else {
            let input = output_file()?;
            input.write_all_at(&self.stdin, 0)?;
            self.command.stdin(input);
        }
        let shown = format!("{:?}", self.command);
        let child = self.command.spawn().map_err(|error| format!("{shown}: {error}"))?;
        Ok(Background { child, shown, stdout, stderr, timeout: self.timeout })
    }

    /// Starts it on a terminal of its own.
    ///
    /// # Errors
    /// It could not be started.
    pub fn pty(self) -> Outcome<Pty> {
        self.check()?;
        Pty::spawn(self.command)
    }

    fn check(&self) -> Outcome {
        self.failed.as_ref().map_or(Ok(()), |reason| Err(reason.into()))
    }
}

fn output_file() -> std::io::Result<File> {
    let file = tempfile::tempfile()?;
    // Whoever writes may open it again by /dev/stdout, as another user.
    file.set_permissions(PermissionsExt::from_mode(0o666))?;
    Ok(file)
}

/// A program that runs.
#[derive(Debug)]
pub struct Background {
    child: Child,
    shown: String,
    stdout: File,
    stderr: File,
    timeout: Duration,
}

impl Background {
    /// Its process id. As an ordinary user: of the process that became it.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// What it has said until now: standard output, standard error.
    pub fn output(&self) -> (String, String) {
        (read(&self.stdout), read(&self.stderr))
    }

    /// Waits until its standard output or standard error contains `text`.
    ///
    /// # Errors
    /// It did not within the time limit, or ended before.
    pub fn says(&mut self, text: &str) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        loop {
            let ended = self.child.try_wait()?;
            let (stdout, stderr) = self.output();
            if stdout.contains(text) || stderr.contains(text) {
                return Ok(());
            }
            if ended.is_some() || Instant::now() > deadline {
                let how = if ended.is_some() { "it ended" } else { "in time" };
                let shown = &self.shown;
                Err(format!("{shown}: no {text:?} before {how}\nstdout: {stdout}\nstderr: {stderr}"))?;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// As kill(2).
    pub fn signal(&self, signal: Signal) -> Outcome {
        Ok(kill(Pid::from_raw(self.pid()), signal)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It did not end within the time limit and was killed.
    pub fn wait(self) -> Outcome<Done> {
        let timeout = self.timeout;
        self.wait_for(timeout)
    }

    fn wait_for(mut self, timeout: Duration) -> Outcome<Done> {
        let deadline = Instant::now() + timeout;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.child.try_wait()? {
                let (stdout, stderr) = self.output();
                return Ok(Done { code: code(status), stdout, stderr, shown: std::mem::take(&mut self.shown) });
            }
            if Instant::now() > deadline {
                let (stdout, stderr) = self.output();
                let shown = &self.shown;
                Err(format!("{shown}: no end in {timeout:?}\nstdout: {stdout}\nstderr: {stderr}"))?;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a file from its start; its offset belongs to the program that writes.
fn read(file: &File) -> String {
    let mut bytes = Vec::new();
    let length = file.metadata().map_or(0, |meta| meta.len());
    bytes.resize(usize::try_from(length).unwrap_or(0), 0);
    let got = file.read_at(&mut bytes, 0).unwrap_or(0);
    bytes.truncate(got);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// As a shell counts: 128 and the signal's number for a signal.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// A program that has ended.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; 128 + n if signal n ended it.
    pub code: i32,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
    shown: String,
}

impl Done {
    /// Checks that it ended well.
    ///
    /// # Errors
    /// The command, its exit code and all that it said.
    pub fn ok(self) -> Outcome<Self> {
        self.code(0)
    }

    /// Checks its exit code.
    ///
    /// # Errors
    /// As [`ok`](Self::ok).
    pub fn code(self, wanted: i32) -> Outcome<Self> {
        let holds = self.code == wanted;
        self.check(holds, &format!("exit code {wanted}"))
    }

    /// Checks that it failed, with any code.
    ///
    /// # Errors
    /// As [`ok`](Self::ok).
    pub fn fails(self) -> Outcome<Self> {
        let holds = self.code != 0;
        self.check(holds, "a failure")
    }

    /// Checks that standard output contains `text`.
    ///
    /// # Errors
    /// As [`ok`](Self::ok).
    pub fn stdout_has(self, text: &str) -> Outcome<Self> {
        let holds = self.stdout.contains(text);
        self.check(holds, &format!("{text:?} in stdout"))
    }

    /// Checks that standard error contains `text`.
    ///
    /// # Errors
    /// As [`ok`](Self::ok).
    pub fn stderr_has(self, text: &str) -> Outcome<Self> {
        let holds = self.stderr.contains(text);
        self.check(holds, &format!("{text:?} in stderr"))
    }

    /// Standard output without the white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    fn check(self, holds: bool, wanted: &str) -> Outcome<Self> {
        if holds {
            return Ok(self);
        }
        let Self { code, stdout, stderr, shown } = self;
        Err(format!("wanted: {wanted}\ncommand: {shown}\nexit code: {code}\nstdout: {stdout}\nstderr: {stderr}").into())
    }
}
