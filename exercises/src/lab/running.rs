//! A program in its room, watched from outside.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::crowd;
use super::family::{self, Process};
use super::spec::{Limits, News, PROGRAM, Spec};
use super::stream::Stream;
use super::{files, group};
use crate::Failure;

/// How often the watcher looks.
pub(super) const GLANCE: Duration = Duration::from_millis(10);

/// How often it measures what was written.
const MEASURE: Duration = Duration::from_millis(200);

/// Set when all rooms shall end, whatever is in them: nothing more is worth waiting for.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// What a program said and how it ended.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// What it said.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// The limit that it met, if it had to be ended.
    pub ended: Option<String>,
}

impl Output {
    /// This, of a program that came to its end by itself: what is left of another one tells nothing.
    ///
    /// # Errors
    /// It had to be ended.
    pub fn within_limits(self) -> Result<Self, Failure> {
        match &self.ended {
            None => Ok(self),
            Some(why) => Err(Failure::wrong("the program", "it ends by itself", format!("it had to be ended: {why}"))),
        }
    }
}

/// A program that runs, or has run; its end is the end of this.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    report: PathBuf,
    work: PathBuf,
    cgroup: bool,
    limits: Limits,
    start: Instant,
    measured: Instant,
    first: Option<i32>,
    ended: Option<String>,
    streams: [Stream; 2],
    last_words: LastWords,
}

/// Where is kept what the last program that complained said to standard error.
pub(crate) type LastWords = Arc<Mutex<Option<String>>>;

impl Running {
    /// Makes the room and starts the program.
    pub(crate) fn start(tool: &std::path::Path, spec: &Spec, last_words: LastWords) -> Result<Self, Failure> {
        let machine = |what: &str, error: std::io::Error| Failure::Machine(format!("{what}: {error}"));
        fs::write(&spec.report, "").map_err(|error| machine("the report", error))?;
        let mut command = Command::new(tool);
        command.arg("__room").arg(serde_json::to_string(spec).unwrap_or_default());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| machine("the room", error))?;
        let stdin = child.stdin.take();
        let most = spec.limits.output;
        let streams = [Stream::of(child.stdout.take(), most), Stream::of(child.stderr.take(), most)];
        let (report, limits) = (spec.report.clone(), spec.limits);
        let (work, cgroup, start) = (spec.work.clone(), spec.cgroup, Instant::now());
        let (first, ended, measured) = (None, None, start);
        Ok(Self { child, stdin, report, work, cgroup, limits, start, measured, first, ended, streams, last_words })
    }

    /// Types something on its standard input.
    pub fn say(&mut self, text: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush());
        }
    }

    /// What it has complained of so far.
    pub fn stderr(&self) -> String {
        self.streams[1].so_far()
    }

    /// Closes its standard input.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// What it has said so far.
    pub fn stdout(&self) -> String {
        self.streams[0].so_far()
    }

    /// All processes in the room, as this machine numbers them. The first is the room's init, the learner's program
    /// the second.
    pub fn processes(&self) -> Vec<Process> {
        let Ok(room) = i32::try_from(self.child.id()) else { return Vec::new() };
        family::below(room)
    }

    /// Waits until a process of the room has this word among its arguments, and gives it.
    ///
    /// # Errors
    /// It does not come, or all has ended.
    pub fn process_with(&mut self, word: &str) -> Result<Process, Failure> {
        let what = format!("a process with {word:?} among its arguments");
        self.wait_for(&what, |running| {
            // Neither the room itself nor the learner's program, which have the word because they were given it.
            let is_ours = |argv: &[String]| argv[0] == PROGRAM || argv.get(1).is_some_and(|word| word == "__room");
            let has_it = |argv: &[String]| argv.iter().any(|arg| arg == word) && !is_ours(argv);
            running.processes().into_iter().find(|process| has_it(&process.argv))
        })
    }

    /// Waits until `find` finds something.
    ///
    /// # Errors
    /// It does not within the time, or the program has ended.
    pub fn wait_for<T>(&mut self, what: &str, mut find: impl FnMut(&mut Self) -> Option<T>) -> Result<T, Failure> {
        loop {
            if let Some(found) = find(self) {
                return Ok(found);
            }
            if self.is_over()? {
                let (code, said) = (self.code(), self.streams.each_ref().map(Stream::so_far).concat());
                let why = self.ended.clone().unwrap_or_else(|| format!("the program ended with exit code {code}"));
                return Err(Failure::wrong(
                    "while the program runs",
                    what,
                    format!("{why}, it had said: {}", said.trim()),
                ));
            }
            thread::sleep(GLANCE);
        }
    }

    /// Sends a signal to the learner's program.
    pub fn signal(&mut self, signal: Signal) {
        let Some(init) = self.first_process() else { return };
        let program = family::below(init).into_iter().find(|process| process.parent == init);
        if let Some(program) = program {
            let _ = kill(Pid::from_raw(program.pid), signal);
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// There is no room on this machine.
    pub fn finish(mut self) -> Result<Output, Failure> {
        self.hang_up();
        while !self.is_over()? {
            thread::sleep(GLANCE);
        }
        let code = self.code();
        let [stdout, stderr] = [0, 1].map(|index| self.streams[index].all());
        Ok(Output { code, stdout, stderr, ended: self.ended.clone() })
    }

    /// Ends it now.
    pub fn end(&mut self) {
        if let Some(first) = self.first_process() {
            let _ = kill(Pid::from_raw(first), Signal::SIGKILL); // and with it, all that is in the room
        }
        // Time enough to sweep up behind it, as for a group; who takes longer is ended too.
        let deadline = Instant::now() + Duration::from_secs(self.limits.seconds.div_ceil(2));
        while Instant::now() < deadline && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            thread::sleep(GLANCE);
        }
        let in_time = self.child.try_wait().is_ok_and(|ended| ended.is_some());
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.cgroup && !in_time {
            group::sweep();
        }
    }

    /// Has it ended? Ends it if it takes more than it may.
    ///
    /// # Errors
    /// There is no room on this machine, or all rooms shall end.
    pub(crate) fn is_over(&mut self) -> Result<bool, Failure> {
        if STOP.load(Ordering::Relaxed) {
            self.end();
            return Err(Failure::Machine("it was interrupted".into()));
        }
        if self.child.try_wait().map_err(|error| Failure::Machine(error.to_string()))?.is_some() {
            return match self
                .news()
                .into_iter()
                .find_map(|news| if let News::NoRoom(why) = news { Some(why) } else { None })
            {
                Some(why) => Err(Failure::Machine(why)),
                None => Ok(true),
            };
        }
        let Some(why) = self.too_much() else { return Ok(false) };
        self.ended = Some(why);
        self.end();
        Ok(true)
    }

    /// The limit that it has met.
    fn too_much(&mut self) -> Option<String> {
        let limits = self.limits;
        let family = self.processes();
        let measure = self.measured.elapsed() > MEASURE;
        if measure {
            self.measured = Instant::now();
            crowd::note(&family);
        }
        Some(if self.start.elapsed() > Duration::from_secs(limits.seconds) {
            format!("it took longer than {} s", limits.seconds)
        } else if self.streams.iter().any(|stream| stream.length() > limits.output) {
            format!("it said more than {} KiB", limits.output >> 10)
        } else if family::memory(&family) > limits.memory {
            format!("it took more than {} MiB of memory", limits.memory >> 20)
        } else if measure && files::more_than(&self.work, limits.disk) {
            format!("it wrote more than {} MiB, or too many files, or too deep", limits.disk >> 20)
        } else {
            return None;
        })
    }

    fn code(&mut self) -> i32 {
        let told =
            self.news().into_iter().find_map(|news| if let News::Ended(code) = news { Some(code) } else { None });
        told.map_or(137, i32::from)
    }

    fn first_process(&mut self) -> Option<i32> {
        if self.first.is_none() {
            self.first =
                self.news().into_iter().find_map(|news| if let News::Runs(pid) = news { Some(pid) } else { None });
        }
        self.first
    }

    fn news(&self) -> Vec<News> {
        let text = fs::read_to_string(&self.report).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end();
        }
        if let (Some(words), Ok(mut last_words)) = (complaint(&self.streams[1].so_far()), self.last_words.lock()) {
            *last_words = Some(words);
        }
    }
}

/// How many lines of standard error are told.
const LINES: usize = 5;

/// A panic's message, else the last lines.
fn complaint(stderr: &str) -> Option<String> {
    if let Some(words) = stderr.split("panicked at ").nth(1).and_then(|panic| panic.lines().nth(1)) {
        return Some(format!("the program panicked: {words}"));
    }
    let lines: Vec<_> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let short = |line: &&str| line.chars().take(160).collect::<String>();
    (!last.is_empty())
        .then(|| format!("on standard error: {}", last.iter().map(short).collect::<Vec<_>>().join("\n  ")))
}
