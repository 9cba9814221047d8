//! `resume`: what was held still goes on.

use std::process::ExitCode;

use clap::Args;
use process::Result;

use super::{Context, Verb, pause};
use crate::oci::errors;
use crate::oci::state::Status;

/// Let a paused container go on
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The container
    id: String,
}

impl Verb for Resume {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let held = context.store.find(&self.id)?.hold()?;
        let (state, status) = held.look()?;
        if status != Status::Paused {
            return Err(errors::not_paused());
        }
        pause::group(&state)?.unpause()?;
        Ok(ExitCode::SUCCESS)
    }
}
