//! `stop`, `kill`, `restart`: the end, and what may come after it.

use std::process::ExitCode;

use clap::Args;
use namespaces::rootless;
use nix::sys::signal::Signal;
use process::{Result, parse_signal};

use super::container::Kept;
use super::create::stop_signal;
use super::each::each;
use super::events;
use super::start;
use super::transitions::{Action, Next};
use crate::state::Status;
use crate::supervisor::control::Request;

/// The arguments of `stop` and `restart`.
#[derive(Debug, Clone, Args)]
pub struct StopArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Seconds to wait before it is killed; -1 waits for ever [default: the container's own]
    #[arg(short, long, visible_alias = "time", value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// The signal to send first [default: the container's own]
    #[arg(short, long, value_name = "SIGNAL", value_parser = parse_signal)]
    signal: Option<Signal>,
}

/// The arguments of `kill`.
#[derive(Debug, Clone, Args)]
pub struct KillArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = parse_signal)]
    signal: Signal,
}

impl StopArgs {
    /// Ends the containers, each politely first.
    ///
    /// # Errors
    /// As entering the user namespace; the containers' own errors are told as they come.
    pub fn stop(self) -> Result<ExitCode> {
        rootless::enter()?;
        Ok(each(&self.names, |name| {
            let kept = Kept::find(name)?;
            if kept.may(Action::Stop)? == Next::Already {
                return Ok(());
            }
            self.end(&kept)?;
            events::of(&kept, "stop", &[]);
            Ok(())
        }))
    }

    /// Ends those that run, and starts all of them.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn restart(self) -> Result<ExitCode> {
        rootless::enter()?;
        Ok(each(&self.names, |name| {
            let kept = Kept::find(name)?;
            kept.may(Action::Restart)?;
            if Action::Stop.next(kept.state.status) != Next::Already {
                self.end(&kept)?;
                events::of(&kept, "stop", &[]);
            }
            start::start(kept.id())?;
            events::of(&kept, "restart", &[]);
            Ok(())
        }))
    }

    fn end(&self, kept: &Kept) -> Result<()> {
        let own = || kept.options().map_or(Signal::SIGTERM, |options| stop_signal(&options));
        let number = (self.signal.unwrap_or_else(own) as i32).to_string();
        events::of(kept, "kill", &[("signal", &number)]);
        end(kept, self.signal, self.timeout.map(|seconds| seconds.saturating_mul(1000)))
    }
}

impl KillArgs {
    /// Sends the signal.
    ///
    /// # Errors
    /// As entering the user namespace; the containers' own errors are told as they come.
    pub fn run(self) -> Result<ExitCode> {
        rootless::enter()?;
        Ok(each(&self.names, |name| {
            let kept = Kept::find(name)?;
            kept.may(Action::Kill)?;
            let number = (self.signal as i32).to_string();
            if self.signal == Signal::SIGKILL || kept.state.status == Status::Restarting {
                events::of(&kept, "kill", &[("signal", &number)]);
                return end(&kept, Some(Signal::SIGKILL), Some(0));
            }
            kept.supervisor()?.ask(&Request::Signal { signal: self.signal as i32 })?;
            events::of(&kept, "kill", &[("signal", &number)]);
            Ok(())
        }))
    }
}

/// Ends a container that has a supervisor, and waits for that. It is not started again by its policy.
///
/// # Errors
/// As [`Kept::supervisor`].
pub fn end(kept: &Kept, signal: Option<Signal>, timeout_ms: Option<i64>) -> Result<()> {
    let supervisor = kept.supervisor()?;
    if kept.state.status == Status::Paused {
        // A frozen process cannot heed a signal.
        supervisor.ask(&Request::Unpause)?;
    }
    supervisor.ask(&Request::Stop { signal: signal.map(|signal| signal as i32), timeout_ms })?;
    kept.settle();
    Ok(())
}
