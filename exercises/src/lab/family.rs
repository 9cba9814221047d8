//! The processes below another, as this machine's /proc shows them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A process, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number on this machine.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its arguments.
    pub argv: Vec<String>,
}

impl Process {
    /// Is it still the same process?
    pub fn is_there(&self) -> bool {
        argv_of(self.pid) == self.argv && !self.argv.is_empty()
    }

    /// `/proc/PID/FILE`, read.
    pub fn read(&self, file: &str) -> Option<String> {
        fs::read(format!("/proc/{}/{file}", self.pid)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What is in a file of the file system that the process sees. Links lead nowhere else, and a pipe is no file.
    pub fn file(&self, path: impl AsRef<Path>) -> Option<String> {
        super::files::read(Path::new(&format!("/proc/{}/root", self.pid)), path.as_ref())
    }

    /// A line of /proc/PID/status by its name: `NSpid`, `CapEff`, `Seccomp`.
    pub fn status(&self, name: &str) -> Option<String> {
        let text = self.read("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }

    /// Which namespace it is in: `/proc/PID/ns/KIND`.
    pub fn namespace(&self, kind: &str) -> Option<String> {
        Some(fs::read_link(format!("/proc/{}/ns/{kind}", self.pid)).ok()?.to_string_lossy().into_owned())
    }
}

/// All processes whose parent, or whose parent's parent and so on, is this one.
pub fn below(pid: i32) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        for &pid in children.get(&parent).into_iter().flatten() {
            found.push(Process { pid, parent, argv: argv_of(pid) });
            next.push(pid);
        }
    }
    found
}

/// Bytes of memory that they hold and share with nobody (proc_pid_statm(5)).
pub fn memory(family: &[Process]) -> u64 {
    let of = |process: &Process| {
        let statm = process.read("statm")?;
        let mut fields = statm.split(' ').skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
        Some(fields.next()?.saturating_sub(fields.next()?))
    };
    family.iter().filter_map(of).sum::<u64>() * 4096
}

fn argv_of(pid: i32) -> Vec<String> {
    let argv = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let argv = argv.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut argv: Vec<_> = argv.collect();
    argv.pop(); // after the last NUL
    argv
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, parentheses too.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
