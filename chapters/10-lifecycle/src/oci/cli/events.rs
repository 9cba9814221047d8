//! `events`: statistics at intervals, and each time the kernel kills for want of memory.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cgroups::Group;
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use process::{OrCall, Result, cli};
use serde_json::{Value, json};

use super::{Context, Verb, pause};
use crate::oci::state::{State, Status};
use crate::oci::{errors, stats};

/// Print statistics and out-of-memory events, one JSON object a line
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Print the statistics once and end
    #[arg(long)]
    stats: bool,
    /// How often they are printed
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    interval: Duration,
    /// The container
    id: String,
}

impl Verb for Events {
    fn run(self, context: &Context) -> Result<ExitCode> {
        cli::end_with_reader()?;
        let (state, status) = context.store.find(&self.id)?.look()?;
        if matches!(status, Status::Stopped | Status::Creating) {
            return Err(errors::not_running());
        }
        let group = pause::group(&state)?;
        if self.stats {
            say(&stats::event(&state.id, &group)?)?;
        } else {
            follow(&state, &group, self.interval)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Until the first process ends.
fn follow(state: &State, group: &Group, interval: Duration) -> Result<()> {
    let process = state.process()?;
    let path = group.path().join("memory.events");
    let events = File::open(&path).ok(); // without the memory controller nothing is ever killed by it
    let mut kills = kills_in(group);
    let mut next = Instant::now() + interval;
    loop {
        let mut fds = vec![PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        // A file of a group tells its changes as an exception (cgroup-v2.rst; kernfs reports POLLPRI).
        fds.extend(events.as_ref().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLPRI)));
        let left = next.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => continue,
            done => done.or_call("poll", path.display())?,
        };
        let has_ended = fds[0].any() == Some(true);
        let now = kills_in(group);
        for _ in kills..now {
            say(&json!({ "type": "oom", "id": state.id }))?;
        }
        kills = now;
        if has_ended {
            return Ok(());
        }
        if let Some(mut file) = events.as_ref() {
            // Read, or the next poll would find the same change again.
            let read = std::io::Seek::rewind(&mut file).and_then(|()| std::io::read_to_string(file));
            read.or_call("read", path.display())?;
        }
        if Instant::now() >= next {
            next += interval;
            say(&stats::event(&state.id, group)?)?;
        }
    }
}

fn kills_in(group: &Group) -> u64 {
    group.value("memory.events", "oom_kill").unwrap_or(0)
}

fn say(event: &Value) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{event}").and_then(|()| out.flush()).or_call("write", "standard output")
}

/// `500ms`, `5s`, `1m30s`: as Go writes durations.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration such as 5s or 1m30s");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        total += Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
        rest = tail;
    }
    if total.is_zero() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "5", "s", "5y", "0s", "-1s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
