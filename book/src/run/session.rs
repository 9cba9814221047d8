//! A session: the shell of one page in one lane, seen from outside.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use process::{Kind, OrCall};

use crate::cell::{self, Cell};
use crate::run::{Event, Lane, Place, Request, guest, target_dir};
use crate::{Book, Error, Result};

/// Software emulation is about ten times slower.
const SLOWER: u32 = 10;

/// A shell in a sandbox; all of it ends with this.
pub struct Session {
    child: Child,
    /// Open as long as the session lives: its end is how the other side notices.
    stdin: Option<ChildStdin>,
    /// In the virtual machine, requests are written here.
    spool: Option<(File, PathBuf)>,
    events: Receiver<Event>,
    place: Place,
    /// Kernel and control groups of the shell's machine.
    pub machine: (String, String),
}

/// What one command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// All that it said, as it came.
    pub output: String,
    /// Its exit code; or why it, and the shell, were ended.
    pub code: std::result::Result<i32, String>,
}

impl Session {
    /// A new sandbox for cells of this lane, here or in the virtual machine (which is booted).
    ///
    /// # Errors
    /// `Unsupported`, with the reason, if this machine cannot have one; others if it should have started.
    pub fn open(root: &Path, lane: Lane, place: Place, network: bool) -> Result<Self> {
        let words = words(root, lane, network);
        let mut session = match place {
            Place::Here => Self::start(here(&words), place, None)?,
            Place::Machine => Self::boot()?,
        };
        if place == Place::Machine {
            session.send(&Request::Open { words })?;
        }
        session.ready()?;
        Ok(session)
    }

    /// Another sandbox in the same virtual machine, the old one gone; here, a new session.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reopen(mut self, root: &Path, lane: Lane, network: bool) -> Result<Self> {
        if self.place == Place::Here {
            drop(self);
            return Self::open(root, lane, Place::Here, network);
        }
        while self.events.try_recv().is_ok() {}
        self.send(&Request::Open { words: words(root, lane, network) })?;
        self.ready()?;
        Ok(self)
    }

    fn start(mut command: Command, place: Place, spool: Option<(File, PathBuf)>) -> Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().or_call("execve", "the sandbox")?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, events) = channel();
        std::thread::spawn(move || {
            let lines = stdout.map(|stdout| BufReader::new(stdout).split(b'\n')).into_iter().flatten();
            for line in lines.map_while(std::result::Result::ok) {
                let event = serde_json::from_slice(&line);
                if event.is_ok_and(|event| sender.send(event).is_err()) {
                    break;
                }
            }
        });
        Ok(Self { child, stdin, spool, events, place, machine: Default::default() })
    }

    /// Boots the virtual machine; the directory that it shares is known by a mark in the environment passed on.
    fn boot() -> Result<Self> {
        let root = Book::here().root;
        let mark =
            format!("book-{}-{:?}", std::process::id(), Instant::now()).replace(|c: char| !c.is_alphanumeric(), "");
        let exe = std::env::current_exe().or_call("readlink", "/proc/self/exe")?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("__warden").arg(root.join("tests/vm/run")).arg("--").arg(exe).arg("__guest");
        command.env("COOPER_BOOK_MARK", &mark).current_dir(&root);
        if let Some(target) = target_dir().parent() {
            command.env("CARGO_TARGET_DIR", target);
        }
        let mut session = Self::start(command, Place::Machine, None)?;
        let cache = std::env::var_os("COOPER_VM_CACHE").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| target_dir().parent().unwrap_or(Path::new("target")).join("vm"));
        let deadline = Instant::now() + Duration::from_secs(300); // the first boot fetches a kernel
        while Instant::now() < deadline && session.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if let Some(dir) = shared_dir(&cache, &mark) {
                let spool = dir.join("requests");
                let file = File::create(&spool).or_call("open", spool.display())?;
                session.spool = Some((file, dir));
                return Ok(session);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let why = Error::new(Kind::Unavailable, "the virtual machine does not start");
        Err(why.help("try it alone: tests/vm/run -- true"))
    }

    fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(if self.place == Place::Here { 30 } else { 180 });
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Some(Event::Ready { kernel, cgroup }) => {
                    self.machine = (kernel, cgroup);
                    return Ok(());
                }
                Some(Event::Refused(why)) => return Err(Error::unsupported(format!("no sandbox: {why}"))),
                Some(_) => {}
                None => return Err(Error::new(Kind::Unavailable, "no sandbox: it did not start in time")),
            }
        }
    }

    /// Asks for something.
    ///
    /// # Errors
    /// The sandbox is gone.
    pub fn send(&mut self, request: &Request) -> Result<()> {
        let line = serde_json::to_string(request).unwrap_or_default() + "\n";
        match (&mut self.spool, &mut self.stdin) {
            (Some((file, _)), _) => file.write_all(line.as_bytes()).or_call("write", guest::SPOOL),
            (None, Some(stdin)) => {
                stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).or_call("write", "the sandbox")
            }
            (None, None) => Err(Error::unsupported("the sandbox is gone")),
        }
    }

    /// The next thing that is told; none if nothing is for so long.
    pub fn next(&self, timeout: Duration) -> Option<Event> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Ended("the sandbox is gone".into())),
        }
    }

    /// What to send for a command of a cell.
    pub fn request(&self, cell: &Cell, command: &cell::Command) -> Request {
        let slower = if self.place == Place::Machine { SLOWER } else { 1 };
        let millis = u64::try_from((cell.timeout * slower).as_millis()).unwrap_or(u64::MAX);
        let quiet = 300 * u64::from(slower);
        Request::Run { command: command.text.clone(), tty: cell.tty, keys: command.keys.clone(), quiet, millis }
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// The sandbox is gone before the command has begun.
    pub fn run(&mut self, cell: &Cell, command: &cell::Command) -> Result<Ran> {
        self.send(&self.request(cell, command))?;
        let mut output = String::new();
        loop {
            // The keeper keeps the time; this is for a keeper that does not answer.
            match self.next(cell.timeout * SLOWER + Duration::from_secs(60)) {
                Some(Event::Output(text)) => output += &text,
                Some(Event::Done(code)) => return Ok(Ran { output, code: Ok(code) }),
                Some(Event::Ended(why) | Event::Refused(why)) => return Ok(Ran { output, code: Err(why) }),
                Some(Event::Ready { .. }) => {}
                None => return Ok(Ran { output, code: Err("no answer from the sandbox".into()) }),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.send(&Request::End);
        let patience = if self.place == Place::Machine { Duration::from_secs(15) } else { Duration::from_secs(10) };
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some((_, dir)) = self.spool.take() {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

fn words(root: &Path, lane: Lane, network: bool) -> Vec<String> {
    let who = if lane == Lane::User { "user" } else { "root" };
    let network = if network { "host-network" } else { "own-network" };
    vec![who.into(), network.into(), root.display().to_string()]
}

fn here(words: &[String]) -> Command {
    super::myself("__sandbox", &words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn shared_dir(cache: &Path, mark: &str) -> Option<PathBuf> {
    let dirs = fs::read_dir(cache).ok()?.flatten().map(|entry| entry.path());
    let is_ours = |dir: &PathBuf| {
        // The last file that is written before the machine starts.
        dir.join("share").exists() && fs::read_to_string(dir.join("env")).is_ok_and(|env| env.contains(mark))
    };
    dirs.into_iter().find(is_ours)
}
