//! What all benchmarks share: several do the same in turn, and what is told is the ratio of their medians.
//!
//! Whatever else the machine does hits all of them alike, so a ratio from one run can be compared between machines and
//! days; an absolute time cannot, and none is printed.
//! ```no_run
//! use harness::bench::{Peer, race, spend};
//! use std::{process::Command, time::Duration};
//!
//! let patience = Duration::from_secs(10);
//! let peers = vec![
//!     Peer::new("ours", move || spend(&mut Command::new("cooper"), patience)),
//!     Peer::new("podman", move || spend(Command::new("podman").arg("info"), patience)), // left out if it fails or hangs
//! ];
//! let medians = race(peers, 20);
//! medians.print("info", "ours"); // info           ours to podman   time 0.20  memory 0.11
//! ```

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{Outcome, sys};

/// What something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// On the wall.
    pub time: Duration,
    /// The largest resident set among the processes, in KiB: getrusage(2). It is never less than the benchmark's own,
    /// whose memory a new process has until it executes its program.
    pub memory: i64,
}

impl Spent {
    /// Nothing yet.
    pub const NONE: Self = Self { time: Duration::ZERO, memory: 0 };

    /// One after the other.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        Self { time: self.time + next.time, memory: self.memory.max(next.memory) }
    }

    /// The same, for each of several things done in this time.
    #[must_use]
    pub fn each(self, count: u32) -> Self {
        Self { time: self.time / count, ..self }
    }
}

/// Runs the command to its end and tells what it took. Standard input and output are `/dev/null` unless
/// the command is made otherwise by [`spend_as_it_is`].
///
/// # Errors
/// It cannot be started, it fails (with the last line of what it said), or it does not end within `patience`: then it
/// and its process group are killed.
pub fn spend(command: &mut Command, patience: Duration) -> Outcome<Spent> {
    spend_as_it_is(command.stdin(Stdio::null()).stdout(Stdio::null()), patience)
}

/// As [`spend`], with the standard input and output that the command was given.
///
/// # Errors
/// As [`spend`].
pub fn spend_as_it_is(command: &mut Command, patience: Duration) -> Outcome<Spent> {
    Started::new(command)?.finish(Instant::now() + patience)
}

/// Starts all commands and then waits for all: the time is that from the first start to the last end.
///
/// # Errors
/// As [`spend`], the first that there is; all are waited for nevertheless.
pub fn spend_together(commands: impl IntoIterator<Item = Command>, patience: Duration) -> Outcome<Spent> {
    let begun = Instant::now();
    let started: Vec<_> = commands
        .into_iter()
        .map(|mut command| Started::new(command.stdin(Stdio::null()).stdout(Stdio::null())))
        .collect();
    let spent: Vec<_> = started.into_iter().map(|started| started?.finish(begun + patience)).collect();
    let time = begun.elapsed();
    let all = spent.into_iter().collect::<Outcome<Vec<_>>>()?.into_iter().fold(Spent::NONE, Spent::and);
    Ok(Spent { time, ..all })
}

/// A process that is measured.
struct Started {
    pid: Pid,
    ended: OwnedFd,
    /// A file, not a pipe: a process that is left behind may keep it open.
    complaints: File,
    begun: Instant,
}

impl Started {
    fn new(command: &mut Command) -> Outcome<Self> {
        let complaints = tempfile::tempfile()?;
        command.stderr(complaints.try_clone()?).process_group(0);
        let begun = Instant::now();
        // wait4(2) collects it, and tells what it took.
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        Ok(Self { pid, ended: sys::pidfd_open(pid)?, complaints, begun })
    }

    fn finish(mut self, deadline: Instant) -> Outcome<Spent> {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let hangs = poll(&mut [PollFd::new(self.ended.as_fd(), PollFlags::POLLIN)], limit)? == 0;
        if hangs {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        let (status, memory) = sys::wait_with_usage(self.pid)?;
        let time = self.begun.elapsed();
        if hangs {
            return Err(format!("it does not come back within {:?}", deadline.duration_since(self.begun)).into());
        }
        well(ExitStatus::from_raw(status), &mut self.complaints)?;
        Ok(Spent { time, memory })
    }
}

fn well(status: ExitStatus, complaints: &mut File) -> Outcome {
    if status.success() {
        return Ok(());
    }
    let mut text = Vec::new();
    complaints.rewind()?;
    complaints.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    Err(text.lines().rfind(|line| !line.trim().is_empty()).map_or_else(|| status.to_string(), str::to_owned).into())
}

/// One of those that are compared.
pub struct Peer<'a> {
    name: String,
    act: Box<dyn FnMut() -> Outcome<Spent> + 'a>,
}

impl<'a> Peer<'a> {
    /// What is called `name` in the table, and how it does the work once. Each call leaves the machine as the next one
    /// wants it; what that costs is not counted if `act` does not.
    pub fn new(name: impl Into<String>, act: impl FnMut() -> Outcome<Spent> + 'a) -> Self {
        Self { name: name.into(), act: Box::new(act) }
    }
}

/// Lets each do its work `rounds` times, in turn, each round begun by another one.
///
/// Every one does it once before, unmeasured. Who fails or hangs then is left out, with a word why; who fails later is
/// left out too, with all that it had done.
pub fn race(peers: Vec<Peer<'_>>, rounds: usize) -> Medians {
    let mut runners: Vec<(Peer<'_>, Vec<Spent>)> = peers.into_iter().map(|peer| (peer, Vec::new())).collect();
    runners.retain_mut(|(peer, _)| tried(peer).is_some());
    for round in 0..rounds {
        for turn in 0..runners.len() {
            let who = (round + turn) % runners.len();
            let (peer, spent) = &mut runners[who];
            spent.extend(tried(peer));
        }
        runners.retain(|(_, spent)| spent.len() == round + 1);
    }
    Medians(runners.into_iter().map(|(peer, mut spent)| (peer.name, median(&mut spent))).collect())
}

fn tried(peer: &mut Peer<'_>) -> Option<Spent> {
    match (peer.act)() {
        Ok(spent) => Some(spent),
        Err(failed) => {
            println!("{}: left out: {}", peer.name, failed.message().unwrap_or("it failed"));
            None
        }
    }
}

/// The median time and, apart from it, the median memory. Nothing for nothing.
pub fn median(all: &mut [Spent]) -> Spent {
    if all.is_empty() {
        return Spent::NONE;
    }
    let middle = all.len() / 2;
    let time = all.select_nth_unstable_by_key(middle, |spent| spent.time).1.time;
    let memory = all.select_nth_unstable_by_key(middle, |spent| spent.memory).1.memory;
    Spent { time, memory }
}

/// What a [`race`] gave.
#[derive(Debug)]
pub struct Medians(Vec<(String, Spent)>);

impl Medians {
    /// The median of the one of this name, if it was not left out.
    pub fn of(&self, name: &str) -> Option<Spent> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, spent)| *spent)
    }

    /// The time of one as a part of another's: below 1 is faster.
    pub fn time(&self, name: &str, to: &str) -> Option<f64> {
        Some(self.of(name)?.time.as_secs_f64() / self.of(to)?.time.as_secs_f64())
    }

    /// The memory of one as a part of another's.
    pub fn memory(&self, name: &str, to: &str) -> Option<f64> {
        Some(self.of(name)?.memory as f64 / self.of(to)?.memory as f64)
    }

    /// A line for every other one: the time and the memory of `name` as a part of its.
    pub fn print(&self, what: &str, name: &str) {
        for (peer, _) in self.0.iter().filter(|(peer, _)| peer != name) {
            if let (Some(time), Some(memory)) = (self.time(name, peer), self.memory(name, peer)) {
                println!("{what:<14} {name} to {peer:<8} time {time:.2}  memory {memory:.2}");
            }
        }
    }
}

/// A host of the benchmark's own, as a [`Suite`](crate::Suite) has: what is done to mounts, links and rules is done to
/// this one, and cgroup v2 is all that it has of cgroups, since crun and runc take a mixture in different ways.
///
/// Called once, by root, before there is a second thread.
///
/// # Errors
/// No root; as unshare(2) and mount(2).
pub fn own_host() -> Outcome {
    if !nix::unistd::geteuid().is_root() {
        return Err("this is compared as root".into());
    }
    crate::isolate::enter()?;
    let place = "/sys/fs/cgroup";
    if !Path::new(place).join("cgroup.controllers").exists() {
        let _ = Command::new("umount").args(["--recursive", place]).stderr(Stdio::null()).status();
        mount(Some("none"), place, Some("cgroup2"), MsFlags::empty(), None::<&str>)?;
    }
    Ok(())
}

/// The first number among the words of the command line, for how many rounds. Cargo adds `--bench`.
pub fn rounds(otherwise: usize) -> usize {
    std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(millis: u64, memory: i64) -> Spent {
        Spent { time: Duration::from_millis(millis), memory }
    }

    #[test]
    fn a_median_of_each() {
        assert_eq!(median(&mut [took(9, 1), took(1, 9), took(5, 5)]), took(5, 5));
        assert_eq!(median(&mut []), Spent::NONE);
    }

    #[test]
    fn who_fails_is_left_out() {
        let mut left = 2;
        let tires = move || {
            left -= 1;
            if left < 0 { Err("tired".into()) } else { Ok(took(1, 1)) }
        };
        let peers = vec![Peer::new("a", || Ok(took(4, 8))), Peer::new("b", || Ok(took(8, 8))), Peer::new("c", tires)];
        let medians = race(peers, 3);
        assert_eq!(medians.time("a", "b"), Some(0.5));
        assert_eq!(medians.of("c"), None);
    }

    #[test]
    fn a_command_that_hangs_or_fails() {
        let hangs = spend(Command::new("sleep").arg("60"), Duration::from_millis(50)).expect_err("it hangs");
        assert!(hangs.message().is_some_and(|text| text.contains("does not come back")), "{hangs:?}");
        let fails = spend(Command::new("sh").args(["-c", "echo why >&2; exit 3"]), Duration::from_secs(9));
        assert_eq!(fails.expect_err("it fails").message(), Some("why"));
        assert!(spend(&mut Command::new("true"), Duration::from_secs(9)).is_ok());
        let sleep = || {
            let mut command = Command::new("sleep");
            command.arg("0.2");
            command
        };
        let together = spend_together([sleep(), sleep(), sleep()], Duration::from_secs(9)).expect("they end");
        assert!(together.time < Duration::from_millis(500), "{together:?}");
    }
}
