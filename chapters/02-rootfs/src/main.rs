//! Step 2: run a program in a root of its own, and break out of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use process::cli::{self, Common, clean_env};
use process::{Container, ProcessArgs, Program, Result};
use rootfs::{Chroot, Escape, Recipe, RootArgs};

/// Chapter 2: a root of its own. chroot, a root built from this machine, and the way out of it
#[derive(Parser)]
#[command(name = "step02", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a root from this machine's programs and the libraries they need
    Mkroot(Mkroot),
    /// Run a program with another directory as its root (needs root)
    Run(Run),
    /// Break out of such a root and run a program on the host; exit code 1 if the root holds
    Escape(Out),
    /// Print a completion script: source <(step02 completion bash)
    Completion { shell: Shell },
}

#[derive(Args)]
struct Mkroot {
    /// Where: a directory that is empty or does not exist yet
    dir: PathBuf,
    /// Programs, by name or path; a shell, the core utilities, ps, ip, mount and the like if none
    #[arg(value_name = "PROGRAM")]
    programs: Vec<OsString>,
    /// Keep set-user-ID bits, for example of mount
    #[arg(long)]
    keep_setuid: bool,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    root: RootArgs,
    #[command(flatten)]
    process: ProcessArgs,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

#[derive(Args)]
struct Out {
    #[command(flatten)]
    root: RootArgs,
    /// What to run outside; shows where it stands if none
    #[arg(trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::main(|cli: Cli| match cli.command {
        Command::Mkroot(mkroot) => mkroot.run(),
        Command::Run(run) => run.run(),
        Command::Escape(out) => out.run(),
        Command::Completion { shell } => cli::completion::<Cli>(shell),
    })
}

impl Mkroot {
    fn run(self) -> Result<ExitCode> {
        let recipe = if self.programs.is_empty() { Recipe::default_set() } else { Recipe::new(self.programs) };
        let report = Recipe { keep_setuid: self.keep_setuid, devices: true, ..recipe }.build(&self.dir)?;
        println!("{}: {report}", self.dir.display());
        Ok(ExitCode::SUCCESS)
    }
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        let program = self.process.program(&self.command, clean_env())?;
        let chroot = Chroot::new(self.root.path()?);
        let container = Container::new(program, vec![Box::new(chroot), Box::new(self.process.identity())]);
        Ok(cli::finish(container.run()?))
    }
}

impl Out {
    fn run(self) -> Result<ExitCode> {
        let command = if self.command.is_empty() { Escape::default_command() } else { self.command };
        let chroot = Chroot::new(self.root.path()?);
        let container = Container::new(Program::new(command, clean_env()), vec![Box::new(chroot), Box::new(Escape)]);
        Ok(cli::finish(container.run()?))
    }
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}
