//! `pause`: every process is held still.

use std::process::ExitCode;

use cgroups::Group;
use clap::Args;
use process::{Error, Kind, Result};

use super::{Context, Verb};
use crate::oci::errors;
use crate::oci::state::{State, Status};

/// Hold all processes of a container still
#[derive(Debug, Args)]
pub(super) struct Pause {
    /// The container
    id: String,
}

impl Verb for Pause {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let held = context.store.find(&self.id)?.hold()?;
        let (state, status) = held.look()?;
        match status {
            Status::Running | Status::Created => group(&state)?.pause()?,
            Status::Paused => return Err(Error::new(Kind::Conflict, "container already paused")),
            Status::Creating | Status::Stopped => return Err(errors::not_running()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The container's group, which alone can be frozen.
pub(super) fn group(state: &State) -> Result<Group> {
    state.group().ok_or_else(|| {
        let what = format!("container {} has no control group of its own, so it cannot be held still", state.id);
        let reason = cgroups::Place::find().err().and_then(|error| error.way_out().map(str::to_owned));
        Error::unsupported(what).help(reason.unwrap_or_else(|| "create it with a linux.cgroupsPath".to_owned()))
    })
}
