//! `state`: where a container is in its life, as the specification's JSON.

use std::process::ExitCode;

use clap::Args;
use process::{Error, Result};

use super::{Context, Verb};
use crate::oci::state::Report;

/// Print the state of a container
#[derive(Debug, Args)]
pub(super) struct State {
    /// The container
    id: String,
}

impl Verb for State {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let entry = context.store.find(&self.id)?;
        let (state, status) = entry.look()?;
        println!("{}", json(&Report::new(&state, status, entry.owner()))?);
        Ok(ExitCode::SUCCESS)
    }
}

/// JSON as a person reads it.
pub(super) fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| Error::invalid(format!("JSON: {error}")))
}
