//! Step 7: `run ubuntu sh`.

use std::ffi::OsString;
use std::process::ExitCode;

use cgroups::cli::{GroupCommand, NamesArgs, StatsArgs};
use cgroups::{JoinGroup, Limits};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use images::{ImageArgs, ImageCommand, Planned, Store};
use layers::cli::LayerCommand;
use layers::{Config, MountArgs, Mounts, Storage};
use namespaces::{Join, NamespaceArgs, TerminalArgs, rootless, running};
use network::{Net, NetworkArgs, NetworkCommand};
use process::cli::{self, Common, clean_env};
use process::{Container, ProcessArgs, Result, Stage};

/// Chapter 7: images. The OCI layout, pulling from a registry, and run ubuntu sh
#[derive(Parser)]
#[command(name = "step07", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program in a new container made from an image
    Run(Box<Run>),
    /// Run another program in a running container
    Exec(Exec),
    #[command(flatten)]
    Image(ImageCommand),
    #[command(flatten)]
    Layer(LayerCommand),
    /// Show what running containers use, anew each second
    Stats(StatsArgs),
    /// Hold all processes of containers still
    Pause(NamesArgs),
    /// Let paused containers go on
    Unpause(NamesArgs),
    /// Look at networks
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Say what this machine can do, and the command that mends what it cannot
    Doctor,
    /// Print a completion script: source <(step07 completion bash)
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
    mounts: MountArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    image: ImageArgs,
    /// Remove the container when it has ended, and what it wrote
    #[arg(long)]
    rm: bool,
    /// The image: a reference, the ID of one that is here, or `host` for this machine's own programs
    #[arg(value_name = "IMAGE")]
    reference: String,
    /// The program and its arguments, instead of the image's own
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Args)]
struct Exec {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    terminal: TerminalArgs,
    /// The name or id of a container
    #[arg(value_name = "NAME")]
    name: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::main(|cli: Cli| match cli.command {
        Command::Run(run) => run.run(),
        Command::Exec(exec) => exec.run(),
        Command::Image(command) => command.run(),
        Command::Layer(command) => command.run(),
        Command::Stats(args) => GroupCommand::Stats(args).run(),
        Command::Pause(args) => GroupCommand::Pause(args).run(),
        Command::Unpause(args) => GroupCommand::Unpause(args).run(),
        Command::Network(command) => command.run(),
        Command::Doctor => {
            let lower = [rootfs::doctor(), namespaces::doctor(), cgroups::doctor()];
            let upper = [layers::doctor(), network::doctor(), images::doctor()];
            process::doctor::print(&[lower, upper].concat().concat());
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { shell } => cli::completion::<Cli>(shell),
    })
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        self.limits.check()?;
        rootless::enter()?;
        let store = Store::open()?;
        let hold = store.hold()?;
        let image = self.image.obtain(&store, &self.reference)?;
        let planned = Planned::new(&image.config, &self.process, self.image.entrypoint.as_deref(), &self.command)?;

        let mut plan = self.namespaces.plan()?;
        let mut config = Config::new(&plan.id, &plan.name, image.lowers(&store), planned.program.argv.clone());
        config.annotations = planned.annotations(&image);
        let root = config.rootfs();
        let mounts = Mounts::new(root.clone(), planned.mounts(self.mounts.specs()?))?;
        config.volumes = mounts.volumes();
        let network = Net::new(&self.network, &mut plan, root.clone())?;
        let storage = Storage::new(config, self.rm);
        let overlay = storage.overlay(self.mounts.read_only);

        let mut stages = plan.isolate();
        stages.push(Box::new(storage));
        stages.push(Box::new(hold.until_prepared()));
        stages.push(Box::new(overlay));
        stages.push(Box::new(network));
        stages.push(Box::new(plan.system_mounts(root.clone())));
        stages.push(Box::new(self.limits.stage(&plan, root.clone())?));
        stages.push(Box::new(mounts));
        stages.push(Box::new(plan.pivot_root(root)));
        stages.extend(planned.stages());
        stages.push(Box::new(self.terminal.console()));
        Ok(cli::finish(Container::new(planned.program, stages).run()?))
    }
}

impl Exec {
    fn run(self) -> Result<ExitCode> {
        let container = running::find(&self.name)?;
        let program = self.process.program(&self.command, clean_env())?;
        let stages: Vec<Box<dyn Stage>> = vec![
            Box::new(JoinGroup::new(&container)?),
            Box::new(Join::new(container.pid())?),
            Box::new(self.process.identity()),
            Box::new(self.terminal.console()),
        ];
        Ok(cli::finish(Container::new(program, stages).run()?))
    }
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}
