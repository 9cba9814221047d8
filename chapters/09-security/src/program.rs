//! The commands of this step, and the recipe of its `run`.

use std::ffi::OsString;
use std::process::ExitCode;

use cgroups::Limits;
use cgroups::cli::GroupCommand;
use clap::{Args, CommandFactory, Subcommand};
use clap_complete::Shell;
use images::config::WorkingDir;
use images::{ImageArgs, ImageCommand, Planned, Store};
use layers::cli::LayerCommand;
use layers::{Config, MountArgs, Mounts, Storage};
use namespaces::{NamespaceArgs, TerminalArgs, rootless};
use network::{Net, NetworkArgs, NetworkCommand};
use nix::sched::CloneFlags;
use process::{Container, Identity, ProcessArgs, Result, UserSpec, cli};

use crate::audit::AuditArgs;
use crate::exec::ExecArgs;
use crate::idmapped::Binds;
use crate::seccomp::SeccompCommand;
use crate::{Confine, DeviceRules, Devices, IdMapped, Paths, Seal, SecurityArgs, Sysctls, Writable, sealed};

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
    /// Run another program in a running container, confined as the container is
    Exec(ExecArgs),
    #[command(flatten)]
    Group(GroupCommand),
    /// Manage networks
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Look at the filter of system calls
    #[command(subcommand)]
    Seccomp(SeccompCommand),
    /// Say what a container may still do, beside what the host's root may
    Audit(AuditArgs),
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
    security: SecurityArgs,
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
            Self::Exec(args) => args.run(),
            Self::Group(command) => command.run(),
            Self::Network(command) => command.run_with(images::listing::render),
            Self::Seccomp(command) => command.run(),
            Self::Audit(args) => args.run(),
            Self::Doctor => {
                let lower = [rootfs::doctor(), namespaces::doctor(), cgroups::doctor(), layers::doctor()];
                let upper = [network::doctor(), images::doctor(), crate::doctor()];
                process::doctor::print(&[lower.concat(), upper.concat()].concat());
                Ok(ExitCode::SUCCESS)
            }
            Self::Completion { shell } => cli::completion::<Program>(shell),
        }
    }
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        sealed::ensure()?;
        self.limits.check()?;
        cgroups::delegate(); // while the user's own bus still knows us
        rootless::enter()?;
        let store = Store::open()?;
        let hold = store.hold()?;
        let (image, command) = self.image.obtain_first(&store, &self.image_and_command)?;
        let mut planned = Planned::new(&image.config, &self.process, self.image.entrypoint.as_deref(), command)?;
        let user = planned.user.clone().unwrap_or_else(root_user);

        let mut plan = self.namespaces.plan()?;
        let mut config = Config::new(&plan.id, &plan.name, image.lowers(&store), planned.program.argv.clone());
        config.annotations = planned.annotations(&image);
        let root = config.rootfs();
        let mut specs = planned.mounts(self.mounts.specs()?);
        let mapped = plan.map.as_ref().map(|_| Binds::take(&root, &mut specs)).transpose()?;
        let mounts = Mounts::new(root.clone(), specs)?;
        config.volumes = mounts.volumes();
        let network = Net::new(&self.network, &mut plan, root.clone())?;
        let user_namespace = plan.map.as_ref().map_or(CloneFlags::empty(), |_| CloneFlags::CLONE_NEWUSER);
        let confinement = self.security.confinement(plan.flags | user_namespace)?;
        let directory = root.parent().map(Into::into);
        let storage = Storage::new(config, self.rm);
        let overlay = storage.overlay(self.mounts.read_only);

        plan.remember(&mut planned.program, planned.user.as_ref());
        let mut stages = plan.isolate();
        stages.push(Box::new(storage));
        stages.push(Box::new(hold.until_prepared()));
        stages.push(match mapped {
            Some(binds) => Box::new(IdMapped::new(overlay, binds)),
            None => Box::new(overlay),
        });
        stages.push(Box::new(network));
        stages.push(Box::new(plan.system_mounts(root.clone())));
        stages.push(Box::new(Sysctls::new(confinement.sysctls.clone())));
        stages.push(Box::new(self.limits.stage(&plan, root.clone())?));
        if confinement.privileged {
            stages.push(Box::new(Writable::new(root.clone())));
        }
        stages.push(Box::new(DeviceRules::new(confinement.device_rules.clone(), self.security.wants_device_rules())));
        stages.push(Box::new(mounts));
        stages.push(Box::new(Devices::new(root.clone(), confinement.devices.clone())));
        stages.push(Box::new(Paths::new(root.clone(), confinement.masked.clone(), confinement.readonly.clone())));
        stages.push(Box::new(plan.pivot_root(root)));
        stages.push(Box::new(WorkingDir));
        stages.push(Box::new(Confine::new(confinement.clone(), directory)));
        stages.push(Box::new(Identity::new(Some(user))));
        stages.push(Box::new(self.terminal.console()));
        stages.push(Box::new(Seal::new(&plan.id, confinement)));
        Ok(cli::finish(Container::new(planned.program, stages).run()?))
    }
}

/// Who the program is if nobody says: root, with the groups of the container's root and none of the engine's own.
pub fn root_user() -> UserSpec {
    UserSpec { user: "0".into(), group: None }
}
