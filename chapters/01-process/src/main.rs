//! Step 1: run a program as a child, with nothing around it yet.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use process::cli::{self, Common};
use process::{Container, ProcessArgs, Result};

/// Chapter 1: a process. fork, exec, wait, signals
#[derive(Parser)]
#[command(name = "step01", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program as a child process; its exit code is ours
    Run(Run),
    /// Print a completion script: source <(step01 completion bash)
    Completion { shell: Shell },
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    process: ProcessArgs,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::main(|cli: Cli| match cli.command {
        Command::Run(run) => run.run(),
        Command::Completion { shell } => cli::completion::<Cli>(shell),
    })
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        // A plain child keeps our environment; only another user's home is not ours.
        let keep = |name: &OsString| self.process.user.is_none() || name != "HOME";
        let env = std::env::vars_os().filter(|(name, _)| keep(name)).collect();
        let program = self.process.program(&self.command, env)?;
        let container = Container::new(program, vec![Box::new(self.process.identity())]);
        Ok(cli::finish(container.run()?))
    }
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}
