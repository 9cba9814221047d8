//! `kill`: a signal to the first process, or to all.

use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Args;
use nix::errno::Errno;
use process::{Error, OrCall, Result, explain, parse_signal};

use super::{Context, Verb, sys};
use crate::oci::state::State;
use crate::oci::{errors, members};

/// Send a signal to a container
#[derive(Debug, Args)]
pub(super) struct Kill {
    /// To all of its processes, not only the first
    #[arg(short, long)]
    all: bool,
    /// The container
    id: String,
    /// By name or number
    #[arg(default_value = "TERM")]
    signal: String,
}

impl Verb for Kill {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let signal = parse(&self.signal)?;
        let entry = context.store.find(&self.id)?;
        let state = entry.state()?.ok_or_else(errors::not_running)?;
        if self.all {
            all(&state, signal)?
        } else {
            first(&state, signal)?
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Signals the first process.
fn first(state: &State, signal: i32) -> Result<()> {
    let process = state.process()?;
    sys::pidfd_send_signal(process.as_fd(), signal).or_call("pidfd_send_signal", state.pid)?;
    explain!(10, "the first process gets it", "pidfd_send_signal({}, {signal})", state.pid);
    // Where the others do not end with it, runc ends them too.
    if signal == libc::SIGKILL && !state.home.as_ref().is_some_and(members::Home::ends_with_first) {
        let _ = all(state, signal);
    }
    Ok(())
}

/// Signals every process; that there is none left is no error.
pub(super) fn all(state: &State, signal: i32) -> Result<()> {
    if signal == libc::SIGKILL
        && let Some(group) = state.group()
    {
        return group.kill();
    }
    for (pid, process) in members::handles(state)? {
        match sys::pidfd_send_signal(process.as_fd(), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            refused => refused.or_call("pidfd_send_signal", pid)?,
        }
    }
    Ok(())
}

/// A signal as runc takes it: by number, by name with or without SIG, real-time ones as `RTMIN+3`.
fn parse(text: &str) -> Result<i32> {
    if let Ok(number) = text.parse::<i32>() {
        let valid = (0..=libc::SIGRTMAX()).contains(&number);
        return if valid { Ok(number) } else { Err(Error::invalid(format!("unknown signal {text:?}"))) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, sign: i32, from: i32| {
        let rest = name.strip_prefix(prefix)?;
        let away: i32 = if rest.is_empty() { 0 } else { rest.trim_start_matches(['+', '-']).parse().ok()? };
        let number = from + sign * away;
        (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number).then_some(number)
    };
    match real_time("RTMIN", 1, libc::SIGRTMIN()).or_else(|| real_time("RTMAX", -1, libc::SIGRTMAX())) {
        Some(number) => Ok(number),
        None => parse_signal(text).map(|signal| signal as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in
            [("TERM", 15), ("SIGKILL", 9), ("int", 2), ("37", 37), ("SIGRTMIN+3", 37), ("RTMAX", 64), ("0", 0)]
        {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for bad in ["", "NOPE", "65", "-1", "RTMIN+99", "RTMIN+x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
