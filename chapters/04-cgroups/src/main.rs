//! Step 4: a process that gets no more than it was given.

use std::ffi::OsString;
use std::process::ExitCode;

use cgroups::Limits;
use cgroups::cli::{ExecArgs, GroupCommand};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use namespaces::{BindRoot, NamespaceArgs, TerminalArgs};
use process::cli::{self, Common, clean_env};
use process::{Container, ProcessArgs, Result};
use rootfs::RootArgs;

/// Chapter 4: control groups. Limits, usage, pressure and the freezer
#[derive(Parser)]
#[command(name = "step04", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program in namespaces, a root and a control group of its own
    Run(Box<Run>),
    /// Run another program in a running container, under the same limits
    Exec(ExecArgs),
    #[command(flatten)]
    Group(GroupCommand),
    /// Say what this machine can do, and the command that mends what it cannot
    Doctor,
    /// Print a completion script: source <(step04 completion bash)
    Completion { shell: Shell },
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    root: RootArgs,
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    terminal: TerminalArgs,
    #[command(flatten)]
    namespaces: NamespaceArgs,
    #[command(flatten)]
    limits: Limits,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::main(|cli: Cli| match cli.command {
        Command::Run(run) => run.run(),
        Command::Exec(exec) => exec.run(),
        Command::Group(command) => command.run(),
        Command::Doctor => {
            process::doctor::print(&[rootfs::doctor(), namespaces::doctor(), cgroups::doctor()].concat());
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { shell } => cli::completion::<Cli>(shell),
    })
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        self.limits.check()?;
        let (mut plan, root) = (self.namespaces.plan()?, self.root.path()?);
        let mut program = self.process.program(&self.command, clean_env())?;
        plan.remember(&mut program, self.process.user.as_ref());
        let mut stages = plan.isolate();
        stages.push(Box::new(BindRoot::new(root.clone())));
        stages.push(Box::new(plan.system_mounts(root.clone())));
        stages.push(Box::new(self.limits.stage(&plan, root.clone())?));
        stages.push(Box::new(plan.pivot_root(root)));
        stages.push(Box::new(self.process.identity()));
        stages.push(Box::new(self.terminal.console()));
        Ok(cli::finish(Container::new(program, stages).run()?))
    }
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}
