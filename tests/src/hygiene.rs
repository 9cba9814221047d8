//! What a test must leave as it was: mounts, links, addresses, rules, cgroups, processes, the engine's directories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, geteuid};

use crate::isolate::MACHINES;

/// What may take a moment: a namespace dies after its last process, a link after its namespace.
const PATIENCE: Duration = Duration::from_secs(2);

/// Processes that serve more than one test, each with a directory of its own.
static KEPT: Mutex<Vec<(i32, PathBuf)>> = Mutex::new(Vec::new());

/// Has this process serve more than one test; when the suite has ended it is killed and its directory removed.
pub(crate) fn keep(pid: u32, dir: &Path) {
    KEPT.lock().expect("nobody panics with it").push((pid.cast_signed(), dir.to_owned()));
}

/// Ends what was kept.
pub(crate) fn end_kept() {
    for (pid, dir) in KEPT.lock().expect("nobody panics with it").drain(..) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        let _ = waitpid(Pid::from_raw(pid), None);
        let _ = fs::remove_dir_all(dir);
    }
}

/// The machine at one moment: one line for each thing.
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks.
    pub fn take() -> Self {
        let mut lines = BTreeSet::new();
        lines.extend(processes());
        lines.extend(cgroups(Path::new("/sys/fs/cgroup"), 6));
        for dir in MACHINES {
            lines.extend(entries(dir));
        }
        // What an ordinary user cannot change, others may while the test runs.
        if geteuid().is_root() {
            lines.extend(mounts());
            for (what, words) in [
                ("link", "ip -o link"),
                ("address", "ip -o addr"),
                ("route", "ip route show table all"),
                ("rule", "ip rule"),
                ("nft", "nft --stateless list ruleset"),
            ] {
                // Routers answer to anycast addresses: those come when the engine makes this host one, which it stays.
                lines.extend(said(what, words).into_iter().filter(|line| !line.contains("route anycast ")));
            }
            lines.extend(entries("/run/netns"));
        }
        Self(lines)
    }

    /// What is there now and was not, and the other way round; `None` if nothing, at the latest after two seconds.
    pub fn differences(&self) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::take();
            let more = now.0.difference(&self.0).map(|line| format!("  + {line}"));
            // A container that was there before, and is none of ours, may end meanwhile.
            let less = self.0.difference(&now.0).filter(|line| !line.starts_with("cgroup "));
            let all: Vec<_> = more.chain(less.map(|line| format!("  - {line}"))).collect();
            if all.is_empty() {
                return None;
            }
            if Instant::now() > deadline {
                self.end_strays();
                return Some(all.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the processes that came after this snapshot, so that the next test does not suffer for it.
    fn end_strays(&self) {
        for line in Self::take().0.difference(&self.0) {
            let pid = line.strip_prefix("process ").and_then(|rest| rest.split(' ').next()?.parse().ok());
            if let Some(pid) = pid {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                let _ = waitpid(Pid::from_raw(pid), None);
            }
        }
    }
}

/// Our descendants: orphans too, since the suite is a subreaper (`PR_SET_CHILD_SUBREAPER(2const)`).
fn processes() -> Vec<String> {
    let kept: Vec<i32> = KEPT.lock().expect("nobody panics with it").iter().map(|(pid, _)| *pid).collect();
    let all: Vec<Stat> =
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|dir| stat(&dir.path())).collect();
    let mut ours = vec![std::process::id().cast_signed()];
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(&parent) = ours.get(at) {
        at += 1;
        for child in all.iter().filter(|stat| stat.parent == parent && !kept.contains(&stat.pid)) {
            let adopted = parent == ours[0];
            if child.state == 'Z' && adopted && waitpid(Pid::from_raw(child.pid), Some(WaitPidFlag::WNOHANG)).is_ok() {
                continue;
            }
            ours.push(child.pid);
            let command = fs::read(format!("/proc/{}/cmdline", child.pid)).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            lines.push(format!("process {} ({}, {}) {}", child.pid, child.name, child.state, command.trim()));
        }
    }
    lines
}

struct Stat {
    pid: i32,
    name: String,
    state: char,
    parent: i32,
}

/// The first fields of /proc/PID/stat (proc_pid_stat(5)); the name may contain anything, also parentheses.
fn stat(dir: &Path) -> Option<Stat> {
    let pid = dir.file_name()?.to_str()?.parse().ok()?;
    let text = fs::read_to_string(dir.join("stat")).ok()?;
    let (head, tail) = text.rsplit_once(')')?;
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Stat { pid, name: head.split_once('(')?.1.to_owned(), state, parent })
}

/// The mount table without the numbers that change with every mount.
fn mounts() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().map(|line| format!("mount {}", line.splitn(4, ' ').nth(3).unwrap_or(line))).collect()
}

/// The cgroups with our name in theirs, and all below those, as far as no process is in them: a process of ours is
/// listed itself, and others belong to an engine that runs here besides the tests.
fn cgroups(dir: &Path, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let events = fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
        if path.to_string_lossy().contains("cooper") && !events.contains("populated 1") {
            found.push(format!("cgroup {}", path.display()));
        }
        if depth > 0 {
            found.extend(cgroups(&path, depth - 1));
        }
    }
    found
}

fn entries(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| format!("file {}", entry.path().display())).collect()
}

/// What a program says, each line with a word of what it is about; nothing if there is no such program.
fn said(what: &str, words: &str) -> Vec<String> {
    let mut words = words.split(' ');
    let Some(program) = words.next().and_then(crate::find_program) else {
        return Vec::new();
    };
    let output = Command::new(program).args(words).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().map(|line| format!("{what} {}", line.trim_end())).collect()
}
