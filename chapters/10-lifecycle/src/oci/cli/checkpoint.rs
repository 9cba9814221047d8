//! `checkpoint` and `restore`: refused.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use process::{Error, Result};

use super::{Context, Verb};

/// Refused: a checkpoint needs criu, which this runtime does not drive
#[derive(Debug, Args)]
pub(super) struct Checkpoint {
    /// As runc has them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

/// Refused: there are no checkpoints to restore
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// As runc has them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

impl Verb for Checkpoint {
    fn run(self, _context: &Context) -> Result<ExitCode> {
        Err(refusal("checkpoint"))
    }
}

impl Verb for Restore {
    fn run(self, _context: &Context) -> Result<ExitCode> {
        Err(refusal("restore"))
    }
}

fn refusal(verb: &str) -> Error {
    Error::unsupported(format!("{verb} is not supported: it needs criu, and this runtime does not drive it"))
        .help("`pause` holds a container still; runc and crun can be built with criu")
}
