//! Step 3: a process that sees only what is its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use namespaces::{BindRoot, Join, NamespaceArgs, TerminalArgs, inspect, running};
use nix::unistd::Pid;
use process::cli::{self, Common, clean_env};
use process::{Container, ProcessArgs, Result, Stage};

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
    process: ProcessArgs,
    #[command(flatten)]
    terminal: TerminalArgs,
    #[command(flatten)]
    namespaces: NamespaceArgs,
    /// The directory that becomes the root; one made from this machine's programs if none
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Args)]
struct Exec {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    terminal: TerminalArgs,
    /// A process id, or the name or id of a container
    #[arg(value_name = "PID")]
    target: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::main(|cli: Cli| match cli.command {
        Command::Run(run) => run.run(),
        Command::Exec(exec) => exec.run(),
        Command::Inspect { target } => {
            let pid = process_of(&target)?;
            inspect::print(pid, &inspect::inspect(pid)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { shell } => cli::completion::<Cli>(shell),
    })
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        let root = self.root.unwrap_or_else(|| "/var/lib/cooper/host-root".into());
        let plan = self.namespaces.plan()?;
        let program = self.process.program(&self.command, clean_env())?;
        let mut stages = plan.isolate();
        stages.push(Box::new(BindRoot::new(root.clone())));
        stages.push(Box::new(plan.system_mounts(root.clone())));
        stages.push(Box::new(plan.pivot_root(root)));
        stages.push(Box::new(self.process.identity()));
        stages.push(Box::new(self.terminal.console()));
        Ok(cli::finish(Container::new(program, stages).run()?))
    }
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
