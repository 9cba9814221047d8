//! `start`: the created container's program is executed.

use std::process::ExitCode;

use clap::Args;
use nix::errno::Errno;
use process::{Error, Result};

use super::{Context, Verb, delete};
use crate::oci::entry::Held;
use crate::oci::state::{State, Status, start_socket};
use crate::oci::{errors, hooks};

/// Execute the program of a created container
#[derive(Debug, Args)]
pub(super) struct Start {
    /// The container
    id: String,
}

impl Verb for Start {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let held = context.store.find(&self.id)?.hold()?;
        start(&held)?;
        if let Some(state) = held.entry.state()? {
            poststart(&state)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Starts what waits.
///
/// # Errors
/// Its own, if the program cannot be executed; runc's words if nothing waits.
pub(super) fn start(held: &Held) -> Result<()> {
    let socket = start_socket(held.entry.path());
    match process::start(&socket) {
        Ok(()) => {}
        Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::ECONNREFUSED)) && !is_exec(&error) => {
            return Err(why_not(held)?);
        }
        Err(error) => return Err(error),
    }
    // Should we be killed before this, nobody listens there any more, and that is how it is known.
    let _ = std::fs::remove_file(&socket);
    Ok(())
}

/// Runs the `poststart` hooks; where one fails, the container ends (runtime.md, "Lifecycle").
///
/// # Errors
/// The hook's.
pub(super) fn poststart(state: &State) -> Result<()> {
    if state.hooks.poststart.is_empty() {
        return Ok(());
    }
    match hooks::run_all("poststart", &state.hooks.poststart, &state.told(Status::Running)).pop() {
        None => Ok(()),
        Some(error) => {
            delete::end(state)?;
            Err(error)
        }
    }
}

fn is_exec(error: &Error) -> bool {
    matches!(error.kind(), process::Kind::Exec(_))
}

fn why_not(held: &Held) -> Result<Error> {
    Ok(match held.look()?.1 {
        Status::Running | Status::Paused => errors::start_running(),
        Status::Stopped => errors::start_stopped(),
        status => Error::new(process::Kind::Conflict, format!("cannot start a container in the {status} state")),
    })
}
