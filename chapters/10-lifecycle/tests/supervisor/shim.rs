//! A supervisor under test: a directory, a process, and what can be asked of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Outcome, Run};
use lifecycle::state::{State, Status};
use lifecycle::supervisor::control::{Answer, Client, Request, SOCKET};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tempfile::TempDir;

use crate::stub::{ID, Spec};

/// A supervisor and its container. Both are killed on drop.
pub struct Shim {
    dir: TempDir,
    child: Child,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    pub log: String,
    pub stream: String,
    pub time: String,
}

/// The test program in another role.
pub fn own(words: &[&str]) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words);
    Ok(command)
}

impl Shim {
    /// Makes the place and the socket; the program is not started yet.
    pub fn new(spec: &Spec) -> Outcome<Self> {
        let dir = tempfile::Builder::new().prefix("cooper-shim-").tempdir()?;
        fs::write(dir.path().join("spec.json"), serde_json::to_vec(spec)?)?;
        let mut command = own(&["heavy", "start"])?;
        let mut child = command.arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        assert_eq!(line, "ready\n");
        Ok(Self { dir, child })
    }

    /// As [`new`](Self::new), and starts the program.
    pub fn start(spec: &Spec) -> Outcome<Self> {
        let mut shim = Self::new(spec)?;
        shim.go()?;
        Ok(shim)
    }

    /// Starts the program.
    pub fn go(&mut self) -> Outcome {
        Ok(self.child.stdin.take().ok_or("started already")?.write_all(b"!")?)
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The supervisor's process id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn socket(&self) -> PathBuf {
        self.path().join(SOCKET)
    }

    pub fn client(&self) -> Outcome<Client> {
        Ok(Client::connect(&self.socket())?)
    }

    pub fn ask(&self, request: &Request) -> Outcome<Answer> {
        Ok(self.client()?.ask(request)?)
    }

    /// Asks to be attached to everything; the stream.
    pub fn attach(&self, client: &Client, patience_ms: Option<u64>) -> Outcome<UnixStream> {
        self.attach_to(client, Request::Attach { stdin: true, stdout: true, stderr: true, patience_ms })
    }

    /// Asks to be attached to output only.
    pub fn watch(&self, client: &Client) -> Outcome<UnixStream> {
        self.attach_to(client, Request::Attach { stdin: false, stdout: true, stderr: true, patience_ms: None })
    }

    fn attach_to(&self, client: &Client, request: Request) -> Outcome<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        client.send(&request, Some(theirs.as_fd()))?;
        ours.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(ours)
    }

    /// Waits until the supervisor has ended; the last state.
    pub fn end(&mut self) -> Outcome<State> {
        self.child.stdin.take();
        until("the supervisor's end", || Ok(self.child.try_wait()?.is_some()))?;
        Ok(State::read(self.path())?)
    }

    /// Waits until the state is such.
    pub fn until(&self, status: Status) -> Outcome<State> {
        until(status.name(), || Ok(State::read(self.path()).is_ok_and(|state| state.status == status)))?;
        Ok(State::read(self.path())?)
    }

    /// The lives of it so far, as the heavy phase saw them.
    pub fn life(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.path().join("life"))?.replace('\n', " ").trim().to_owned())
    }

    pub fn events(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.path().join("events.json")).unwrap_or_default())
    }

    pub fn errors(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.path().join("supervisor.log")).unwrap_or_default())
    }

    pub fn log_path(&self) -> PathBuf {
        lifecycle::supervisor::log::path_of(self.path(), ID)
    }

    pub fn log(&self) -> Outcome<Vec<Entry>> {
        let text = fs::read_to_string(self.log_path()).unwrap_or_default();
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    /// `logs` as a command.
    pub fn logs(&self, words: &[&str]) -> Outcome<Run> {
        let mut command = own(&["logs"])?;
        command.arg(self.path()).args(words);
        Ok(Run::new(command))
    }

    /// At rest it has less than 3 MB resident, its file's own pages included. Without optimisation the program is ten
    /// times as large, and how much of it the kernel maps around what is touched is up to its page cache.
    pub fn is_small(&self) -> Outcome {
        let limit = if cfg!(debug_assertions) { 6 } else { 3 };
        until(&format!("a resident size below {limit} MB"), || Ok(self.memory("VmRSS")? < limit * 1024))
    }

    /// A field of `/proc/PID/status` in kB.
    pub fn memory(&self, field: &str) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(line.and_then(|text| text.split_whitespace().next()).ok_or("no such field")?.parse()?)
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let ours = State::read(self.path()).map(|state| state.pid).unwrap_or_default();
        if ours > 0 {
            let _ = kill(Pid::from_raw(ours), Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> Outcome<bool>) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so()? {
        if Instant::now() > deadline {
            return Err(format!("waited 20 s for {what}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
