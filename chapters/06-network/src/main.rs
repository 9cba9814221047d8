//! Step 6: a container that can call, and be called.

use std::ffi::OsString;
use std::process::ExitCode;

use cgroups::Limits;
use cgroups::cli::{ExecArgs, GroupCommand};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use layers::cli::LayerCommand;
use layers::{Config, LayerArgs, MountArgs, Mounts, Storage};
use namespaces::{NamespaceArgs, TerminalArgs, rootless};
use network::{Net, NetworkArgs, NetworkCommand};
use process::cli::{self, Common, clean_env};
use process::{Container, ProcessArgs, Result};

/// Chapter 6: a network. netlink, veth, bridge, NAT, published ports, and pasta without root
#[derive(Parser)]
#[command(name = "step06", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program in a container with a network of its own
    Run(Box<Run>),
    /// Make networks, look at them, and who is in them
    #[command(subcommand)]
    Network(NetworkCommand),
    #[command(flatten)]
    Layer(LayerCommand),
    /// Run another program in a running container, under the same limits
    Exec(ExecArgs),
    #[command(flatten)]
    Group(GroupCommand),
    /// Say what this machine can do, and the command that mends what it cannot
    Doctor,
    /// Print a completion script: source <(step06 completion bash)
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
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    layers: LayerArgs,
    #[command(flatten)]
    mounts: MountArgs,
    #[command(flatten)]
    network: NetworkArgs,
    /// Remove the container when it has ended, and what it wrote
    #[arg(long, help_heading = "Layer options")]
    rm: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    network::attend_if_asked();
    cli::main(|cli: Cli| match cli.command {
        Command::Run(run) => run.run(),
        Command::Network(command) => command.run(),
        Command::Layer(command) => command.run(),
        Command::Exec(exec) => exec.run(),
        Command::Group(command) => command.run(),
        Command::Doctor => {
            let checks =
                [rootfs::doctor(), namespaces::doctor(), cgroups::doctor(), layers::doctor(), network::doctor()];
            process::doctor::print(&checks.concat());
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { shell } => cli::completion::<Cli>(shell),
    })
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        self.limits.check()?;
        cgroups::delegate(); // while the user's own bus still knows us
        rootless::enter()?;
        let mut plan = self.namespaces.plan()?;
        let mut program = self.process.program(&self.command, clean_env())?;
        let mut config = Config::new(&plan.id, &plan.name, self.layers.lowers()?, self.command);
        let root = config.rootfs();
        let mounts = Mounts::new(root.clone(), self.mounts.specs()?)?;
        config.volumes = mounts.volumes();
        let storage = Storage::new(config, self.rm);
        let overlay = storage.overlay(self.mounts.read_only);
        let network = Net::new(&self.network, &mut plan, root.clone())?;

        plan.remember(&mut program, self.process.user.as_ref());
        let mut stages = plan.isolate();
        stages.push(Box::new(storage));
        stages.push(Box::new(overlay));
        stages.push(Box::new(network));
        stages.push(Box::new(plan.system_mounts(root.clone())));
        stages.push(Box::new(self.limits.stage(&plan, root.clone())?));
        stages.push(Box::new(mounts));
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
