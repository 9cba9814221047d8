//! `events`: statistics at intervals, and each time the kernel kills for want of memory.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cgroups::Group;
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use process::{Error, OrCall, Result, cli};
use serde_json::{Value, json};

use super::{Context, Verb, pause};
use crate::duration;
use crate::oci::state::{State, Status};
use crate::oci::{errors, stats};

/// Print statistics and out-of-memory events, one JSON object a line
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Print the statistics once and end
    #[arg(long)]
    stats: bool,
    /// How often they are printed
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = interval)]
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

/// How long between two reports: some time, or nothing else would be done.
fn interval(text: &str) -> Result<Duration> {
    match duration::parse(text)? {
        Duration::ZERO => Err(Error::invalid("an interval of nothing").help("write 5s, or 500ms")),
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_some_time() {
        assert_eq!(interval("500ms").unwrap(), Duration::from_millis(500));
        assert!(interval("0s").is_err() && interval("5").is_err());
    }
}
