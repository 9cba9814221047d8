//! Step 3: a process that sees only what is its own.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use namespaces::{BindRoot, Join, NamespaceArgs, Plan, TerminalArgs, inspect, running};
use nix::unistd::Pid;
use process::cli::{self, Common, clean_env};
use process::{Container, ProcessArgs, Program, Result, Stage};
use rootfs::{Escape, RootArgs};

/// Chapter 3: namespaces. Eight views of the system, pivot_root, and containers without root
#[derive(Parser)]
#[command(name = "step03", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program in namespaces and a root of its own
    Run(Run),
    /// Run another program in a running container
    Exec(Exec),
    /// Try the way out that works in step02; exit code 1 if the root holds, as it should
    Escape(Out),
    /// Show which namespaces a process shares with the host
    Inspect {
        /// A process id, or the name or id of a container
        #[arg(value_name = "PID")]
        target: String,
    },
    /// Print a completion script: source <(step03 completion bash)
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
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

#[derive(Args)]
struct Out {
    #[command(flatten)]
    root: RootArgs,
    #[command(flatten)]
    namespaces: NamespaceArgs,
    /// What to run outside; shows where it stands if none
    #[arg(trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

#[derive(Args)]
struct Exec {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    terminal: TerminalArgs,
    /// A process id, or the name or id of a container
    #[arg(value_name = "PID", help_heading = None::<&str>)]
    target: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::main(|cli: Cli| match cli.command {
        Command::Run(run) => run.run(),
        Command::Exec(exec) => exec.run(),
        Command::Escape(out) => out.run(),
        Command::Inspect { target } => {
            cli::end_with_reader()?;
            let pid = process_of(&target)?;
            inspect::print(pid, &inspect::inspect(pid)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { shell } => cli::completion::<Cli>(shell),
    })
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        let mut program = self.process.program(&self.command, clean_env())?;
        let mut plan = self.namespaces.plan()?;
        plan.remember(&mut program, self.process.user.as_ref());
        let mut stages = rooted(&plan, &self.root)?;
        stages.push(Box::new(self.process.identity()));
        stages.push(Box::new(self.terminal.console()));
        Ok(cli::finish(Container::new(program, stages).run()?))
    }
}

impl Out {
    fn run(self) -> Result<ExitCode> {
        let command = if self.command.is_empty() { Escape::default_command() } else { self.command };
        let mut stages = rooted(&self.namespaces.plan()?, &self.root)?;
        stages.push(Box::new(Escape));
        Ok(cli::finish(Container::new(Program::new(command, clean_env()), stages).run()?))
    }
}

/// The recipe: namespaces, a root, what belongs into it, and then the root is taken.
fn rooted(plan: &Plan, root: &RootArgs) -> Result<Vec<Box<dyn Stage>>> {
    let root = root.path()?;
    let mut stages = plan.isolate();
    stages.push(Box::new(BindRoot::new(root.clone())));
    stages.push(Box::new(plan.system_mounts(root.clone())));
    stages.push(Box::new(plan.pivot_root(root)));
    Ok(stages)
}

impl Exec {
    fn run(self) -> Result<ExitCode> {
        let program = self.process.program(&self.command, clean_env())?;
        let stages: Vec<Box<dyn Stage>> = vec![
            Box::new(Join::new(process_of(&self.target)?)?),
            Box::new(self.process.identity()),
            Box::new(self.terminal.console()),
        ];
        Ok(cli::finish(Container::new(program, stages).run()?))
    }
}

/// A number is a process, everything else a container.
fn process_of(target: &str) -> Result<Pid> {
    match target.parse::<i32>() {
        Ok(pid) if target.len() < 12 => Ok(Pid::from_raw(pid)),
        _ => Ok(running::find(target)?.pid()),
    }
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}
