//! `exec`: chapter 9's, for a container that is kept: its state decides whether that can be, and it is an event.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use process::Result;

use super::container::Kept;
use super::events;
use super::transitions::Action;

/// The arguments of `exec`: chapter 9's, all of them.
#[derive(Debug, Clone)]
pub struct ExecArgs {
    run: security::exec::ExecArgs,
    name: String,
    command: Vec<OsString>,
}

impl ExecArgs {
    /// Runs the program; gives its exit code.
    ///
    /// # Errors
    /// A container that does not run, or is paused; as chapter 9's.
    pub fn run(self) -> Result<ExitCode> {
        // An ordinary user's engine enters the container's user namespace by itself. To look is enough from here.
        let kept = Kept::find(&self.name)?;
        kept.may(Action::Exec)?;
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        let line = words.join(" ");
        events::of(&kept, &format!("exec_create: {line}"), &[]);
        events::of(&kept, &format!("exec_start: {line}"), &[]);
        self.run.run()
    }
}

impl FromArgMatches for ExecArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let name = matches.get_one::<String>("name").cloned().unwrap_or_default();
        let command = matches.get_many::<OsString>("command").into_iter().flatten().cloned().collect();
        Ok(Self { run: security::exec::ExecArgs::from_arg_matches(matches)?, name, command })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ExecArgs {
    fn augment_args(command: Command) -> Command {
        security::exec::ExecArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        security::exec::ExecArgs::augment_args_for_update(command)
    }
}
