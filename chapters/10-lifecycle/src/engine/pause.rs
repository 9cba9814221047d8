//! `pause` and `unpause`

use std::process::ExitCode;

use clap::Args;
use namespaces::rootless;
use process::Result;

use super::container::Kept;
use super::each::each;
use super::events;
use super::transitions::Action;
use crate::supervisor::control::Request;

/// The arguments of `pause` and `unpause`.
#[derive(Debug, Clone, Args)]
pub struct PauseArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl PauseArgs {
    /// Holds all of their processes still.
    ///
    /// # Errors
    /// As entering the user namespace; the containers' own errors are told as they come.
    pub fn pause(self) -> Result<ExitCode> {
        self.each(Action::Pause, &Request::Pause, "pause")
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub fn unpause(self) -> Result<ExitCode> {
        self.each(Action::Unpause, &Request::Unpause, "unpause")
    }

    fn each(self, action: Action, request: &Request, event: &str) -> Result<ExitCode> {
        rootless::enter()?;
        Ok(each(&self.names, |name| {
            let kept = Kept::find(name)?;
            kept.may(action)?;
            kept.group()?; // says why, where there is none
            kept.supervisor()?.ask(request)?;
            events::of(&kept, event, &[]);
            Ok(())
        }))
    }
}
