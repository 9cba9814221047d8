//! `wait`

use std::process::ExitCode;

use clap::Args;
use namespaces::rootless;
use process::{Kind, Result};

use super::container::Kept;
use super::each::print_each;
use crate::state::Status;
use crate::supervisor::control::Request;

/// The arguments of `wait`.
#[derive(Debug, Clone, Args)]
pub struct WaitArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl WaitArgs {
    /// Waits for the end of each, and prints their exit codes.
    ///
    /// # Errors
    /// As entering the user namespace; the containers' own errors are told as they come.
    pub fn run(self) -> Result<ExitCode> {
        rootless::enter()?;
        Ok(print_each(&self.names, |name| Ok(exit_code(name)?.to_string())))
    }
}

/// The exit code of container `name`, once it has ended.
///
/// # Errors
/// As [`Kept::find`].
pub fn exit_code(name: &str) -> Result<i32> {
    let mut kept = Kept::find(name)?;
    let id = kept.id().to_owned();
    loop {
        if !kept.is_alive() && kept.state.status != Status::Restarting {
            return Ok(kept.state.exit_code);
        }
        if let Ok(supervisor) = kept.supervisor()
            && let Ok(answer) = supervisor.ask(&Request::Wait)
            && let Some(code) = answer.exit_code
        {
            return Ok(code);
        }
        // It is just changing its state, or was killed: the next look tells.
        std::thread::sleep(std::time::Duration::from_millis(20));
        kept = match Kept::find(&id) {
            Err(error) if error.kind() == Kind::NotFound => return Ok(137), // killed with its supervisor, and `--rm`
            kept => kept?,
        };
    }
}
