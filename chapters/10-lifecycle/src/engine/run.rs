//! `create` and `run`: a container from an image; and for `run`, a supervisor, and in the foreground its first client.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use layers::ContainerDir;
use namespaces::{TerminalArgs, rootless};
use process::{Result, explain};

use super::attach::{Attachment, Ended, Wanted};
use super::container::Kept;
use super::create::create;
use super::detach::{self, DetachKeys};
use super::events;
use super::options::CreateArgs;
use crate::state::State;
use crate::supervisor::socket;
use crate::supervisor::spawn::Starting;

/// The options of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Do not wait for its end: print its id
    #[arg(short, long, help_heading = "Life cycle options")]
    pub detach: bool,
    /// The keys that leave the container running, at a terminal
    #[arg(long, value_name = "KEYS", default_value = detach::DEFAULT, value_parser = DetachKeys::parse, help_heading = "Life cycle options")]
    pub detach_keys: DetachKeys,
    /// Pass the signals that we get on to the program
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, help_heading = "Life cycle options")]
    pub sig_proxy: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub create: CreateArgs,
}

impl CreateArgs {
    /// `create`: prints the id.
    ///
    /// # Errors
    /// As [`create()`].
    pub fn run(&self) -> Result<ExitCode> {
        let container = made(self, "create", self.terminal, self.terminal.interactive)?;
        println!("{}", container.config().id);
        Ok(ExitCode::SUCCESS)
    }
}

impl RunArgs {
    /// `run`: the exit code is the program's.
    ///
    /// # Errors
    /// As [`create()`]; whatever keeps the program from being started. A container that was to be removed is then.
    pub fn run(&self) -> Result<ExitCode> {
        // Without a terminal at our end nobody is asked for what nobody gave.
        let terminal = if self.detach { self.create.terminal } else { self.create.terminal.decided() };
        let container = made(&self.create, "run", terminal, !self.detach)?;
        let (id, path) = (container.config().id.clone(), container.path().to_owned());
        let starting = Starting::new(container)?;
        if self.detach {
            starting.start().inspect_err(|_| self.give_up(&id))?;
            println!("{id}");
            return Ok(ExitCode::SUCCESS);
        }
        let wanted = Wanted {
            stdin: terminal.interactive,
            stdout: true,
            stderr: true,
            patience: None, // we are the program's terminal or pipe, and whoever reads us may take his time
            detach_keys: self.detach_keys.clone(),
            sig_proxy: self.sig_proxy,
        };
        let client = Attachment::connect(&socket(&id), wanted)?;
        starting.start().inspect_err(|_| self.give_up(&id))?;
        let code = match client.run()? {
            Ended::Exit(code) => code,
            Ended::Lost => State::read(&path).map_or(137, |state| state.exit_code),
            Ended::Detached | Ended::Unread | Ended::Disconnected => return Ok(ExitCode::SUCCESS),
        };
        // Whoever calls us next shall find what the end left cleaned up, and with --rm no container.
        if let Ok(kept) = Kept::find(&id) {
            kept.settle();
        }
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(255)))
    }

    /// What `--rm` promises, for a container that never ran; every other one stays, with the reason in its state.
    fn give_up(&self, id: &str) {
        if self.create.life.rm
            && let Ok(container) = ContainerDir::find(id)
        {
            let _ = layers::remove_with_volumes(container);
        }
    }
}

fn made(args: &CreateArgs, command: &str, terminal: TerminalArgs, once: bool) -> Result<ContainerDir> {
    security::sealed::ensure()?;
    cgroups::delegate(); // while the user's own bus still knows us
    rootless::enter()?;
    let container = create(args, &typed_behind(command), terminal, once)?;
    explain!(10, "all that is decided, as files", "rename({})", container.path().display());
    events::note(container.config(), "create");
    Ok(container)
}

/// What was typed behind the command's name. Before it there are only options without a value of their own.
fn typed_behind(command: &str) -> Vec<OsString> {
    std::env::args_os().skip(1).skip_while(|word| word != command).skip(1).collect()
}
