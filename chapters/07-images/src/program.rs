//! The commands of this step, and the recipe of its `run`. The root package `cooper` offers the same ones.

use std::ffi::OsString;
use std::process::ExitCode;

use cgroups::Limits;
use cgroups::cli::{ExecArgs, GroupCommand};
use clap::{Args, CommandFactory, Subcommand};
use clap_complete::Shell;
use layers::cli::LayerCommand;
use layers::{Config, MountArgs, Mounts, Storage};
use namespaces::{NamespaceArgs, TerminalArgs, rootless};
use network::{Net, NetworkArgs, NetworkCommand};
use process::{Container, ProcessArgs, Result, cli};

use crate::{ImageArgs, ImageCommand, Planned, Store};

/// All that the engine can do by now.
#[derive(Subcommand)]
#[allow(missing_docs)] // what is flattened is documented where it is defined
pub enum Command {
    /// Run a program in a new container made from an image
    Run(Box<Run>),
    #[command(flatten)]
    Image(ImageCommand),
    #[command(flatten)]
    Layer(LayerCommand),
    /// Run another program in a running container, under the same limits
    Exec(ExecArgs),
    #[command(flatten)]
    Group(GroupCommand),
    /// Manage networks
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Say what this machine can do, and the command that mends what it cannot
    Doctor,
    /// Print a completion script for a shell, to be sourced
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// The options of `run`, each from the chapter that owns it.
#[derive(Args)]
pub struct Run {
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
    #[arg(long, help_heading = "Layer options")]
    rm: bool,
    /// The image (a reference, the ID of one that is here, or `host` for this machine's own programs),
    /// then the program and its arguments, instead of the image's own
    // One list, so that everything behind the image is the program's, options too.
    #[arg(required = true, trailing_var_arg = true, num_args = 1.., value_names = ["IMAGE", "CMD"], help_heading = None::<&str>)]
    image_and_command: Vec<OsString>,
}

impl Command {
    /// Does it; `Program` is the command line that it is part of, for its completion script.
    ///
    /// # Errors
    /// Whatever keeps it from being done.
    pub fn run<Program: CommandFactory>(self) -> Result<ExitCode> {
        match self {
            Self::Run(run) => run.run(),
            Self::Image(command) => command.run(),
            Self::Layer(command) => command.run(),
            Self::Exec(exec) => exec.run(),
            Self::Group(command) => command.run(),
            Self::Network(command) => command.run_with(crate::listing::render),
            Self::Doctor => {
                let lower = [rootfs::doctor(), namespaces::doctor(), cgroups::doctor()];
                let upper = [layers::doctor(), network::doctor(), crate::doctor()];
                process::doctor::print(&[lower, upper].concat().concat());
                Ok(ExitCode::SUCCESS)
            }
            Self::Completion { shell } => cli::completion::<Program>(shell),
        }
    }
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        self.limits.check()?;
        cgroups::delegate(); // while the user's own bus still knows us
        rootless::enter()?;
        let store = Store::open()?;
        let hold = store.hold()?;
        let (image, command) = self.image.obtain_first(&store, &self.image_and_command)?;
        let mut planned = Planned::new(&image.config, &self.process, self.image.entrypoint.as_deref(), command)?;

        let mut plan = self.namespaces.plan()?;
        let mut config = Config::new(&plan.id, &plan.name, image.lowers(&store), planned.program.argv.clone());
        config.annotations = planned.annotations(&image);
        let root = config.rootfs();
        let mounts = Mounts::new(root.clone(), planned.mounts(self.mounts.specs()?))?;
        config.volumes = mounts.volumes();
        let network = Net::new(&self.network, &mut plan, root.clone())?;
        let storage = Storage::new(config, self.rm);
        let overlay = storage.overlay(self.mounts.read_only);

        plan.remember(&mut planned.program, planned.user.as_ref());
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
