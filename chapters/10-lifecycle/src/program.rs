//! The commands of this step. The root package `cooper` offers the same ones.
//!
//! What an earlier chapter could do for a container that runs, a command of this one does for a container that is kept:
//! `ps`, `rm`, `pause` and their like supersede chapter 4's and chapter 5's.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Subcommand};
use clap_complete::Shell;
use images::ImageCommand;
use layers::VolumeCommand;
use layers::cli::{CommitArgs, DiffArgs, ExportArgs};
use network::NetworkCommand;
use process::{Result, cli};
use security::AuditArgs;
use security::seccomp::SeccompCommand;

use crate::engine::cp::CpArgs;
use crate::engine::events::EventsArgs;
use crate::engine::exec::ExecArgs;
use crate::engine::inspect::InspectArgs;
use crate::engine::networks;
use crate::engine::options::CreateArgs;
use crate::engine::pause::PauseArgs;
use crate::engine::ports::PortArgs;
use crate::engine::ps::PsArgs;
use crate::engine::rename::RenameArgs;
use crate::engine::rm::{PruneArgs, RmArgs};
use crate::engine::run::RunArgs;
use crate::engine::start::{AttachArgs, LogsOf, StartArgs};
use crate::engine::stats::StatsArgs;
use crate::engine::stop::{KillArgs, StopArgs};
use crate::engine::top::TopArgs;
use crate::engine::update::UpdateArgs;
use crate::engine::wait::WaitArgs;

/// All that the engine can do by now.
#[derive(Subcommand)]
pub enum Command {
    /// Run a program in a new container made from an image
    Run(Box<RunArgs>),
    /// Make a container, to be started later
    Create(Box<CreateArgs>),
    /// Start containers that do not run
    Start(StartArgs),
    /// End containers: with a signal, and after a time with SIGKILL
    Stop(StopArgs),
    /// End containers and start them again
    Restart(StopArgs),
    /// Send containers a signal
    Kill(KillArgs),
    /// Hold all processes of containers still
    Pause(PauseArgs),
    /// Let paused containers go on
    Unpause(PauseArgs),
    /// Wait until containers have ended, and print their exit codes
    Wait(WaitArgs),
    /// Connect this terminal to a running container
    Attach(AttachArgs),
    /// Run another program in a running container, confined as the container is
    Exec(ExecArgs),
    /// List containers
    Ps(PsArgs),
    /// Show what a container has said
    Logs(LogsOf),
    /// Show the processes of a container
    Top(TopArgs),
    /// Show what running containers use, anew each second
    Stats(StatsArgs),
    /// Show everything about a container, an image or a volume, as JSON
    Inspect(InspectArgs),
    /// Show which ports of the host lead to a container
    Port(PortArgs),
    /// Show what happens, as it happens
    Events(EventsArgs),
    /// Copy files between a container and this machine
    Cp(CpArgs),
    /// Show what a container changed: A added, C changed, D deleted
    Diff(DiffArgs),
    /// Write what a container changed as a layer, a tar archive
    Commit(CommitArgs),
    /// Write everything in a container's root as a tar archive
    Export(ExportArgs),
    /// Change the limits and the restart policy of containers
    Update(Box<UpdateArgs>),
    /// Give a container another name
    Rename(RenameArgs),
    /// Remove containers
    Rm(RmArgs),
    /// Manage containers
    #[command(subcommand)]
    Container(ContainerCommand),
    #[command(flatten)]
    #[allow(missing_docs)] // documented where they are defined
    Image(Images),
    /// Manage volumes
    #[command(subcommand)]
    Volume(VolumeCommand),
    /// Manage networks
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Say what a container may still do, beside what the host's root may
    Audit(AuditArgs),
    /// Look at the filter of system calls
    #[command(subcommand)]
    Seccomp(SeccompCommand),
    /// Say what this machine can do, and the command that mends what it cannot
    Doctor,
    /// Print a completion script for a shell, to be sourced
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// What is done with many containers at once.
#[derive(Debug, Clone, Subcommand)]
pub enum ContainerCommand {
    /// Remove all containers that do not run
    Prune(PruneArgs),
}

impl Command {
    /// Does it; `Program` is the command line that it is part of, for its completion script.
    ///
    /// # Errors
    /// Whatever keeps it from being done.
    pub fn run<Program: CommandFactory>(self) -> Result<ExitCode> {
        match self {
            Self::Run(args) => args.run(),
            Self::Create(args) => args.run(),
            Self::Start(args) => args.run(),
            Self::Stop(args) => args.stop(),
            Self::Restart(args) => args.restart(),
            Self::Kill(args) => args.run(),
            Self::Pause(args) => args.pause(),
            Self::Unpause(args) => args.unpause(),
            Self::Wait(args) => args.run(),
            Self::Attach(args) => args.run(),
            Self::Exec(args) => args.run(),
            Self::Ps(args) => args.run(),
            Self::Logs(args) => args.run(),
            Self::Top(args) => args.run(),
            Self::Stats(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Port(args) => args.run(),
            Self::Events(args) => args.run(),
            Self::Cp(args) => args.run(),
            Self::Diff(args) => args.run(),
            Self::Commit(args) => args.run(),
            Self::Export(args) => args.run(),
            Self::Update(args) => args.run(),
            Self::Rename(args) => args.run(),
            Self::Rm(args) => args.run(),
            Self::Container(ContainerCommand::Prune(args)) => args.run(),
            Self::Image(Images(command)) => command.run(),
            Self::Volume(command) => command.run(),
            Self::Network(command) => networks::run(command),
            Self::Audit(args) => args.run(),
            Self::Seccomp(command) => command.run(),
            Self::Doctor => doctor(),
            Self::Completion { shell } => cli::completion::<Program>(shell),
        }
    }
}

fn doctor() -> Result<ExitCode> {
    let lower = [rootfs::doctor(), namespaces::doctor(), cgroups::doctor(), layers::doctor()];
    let upper = [network::doctor(), images::doctor(), security::doctor()];
    process::doctor::print(&[lower.concat(), upper.concat()].concat());
    Ok(ExitCode::SUCCESS)
}

/// Chapter 7's commands but `inspect`, which here knows containers, too.
#[derive(Debug)]
pub struct Images(ImageCommand);

/// The command of chapter 7 that this one's supersedes.
const SUPERSEDED: &str = "inspect";

impl FromArgMatches for Images {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        ImageCommand::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Subcommand for Images {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let all = ImageCommand::augment_subcommands(clap::Command::new("images"));
        let others = all.get_subcommands().filter(|one| one.get_name() != SUPERSEDED).cloned();
        command.subcommands(others.map(|one| one.display_order(None))) // in the order of this list, not of that one
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name != SUPERSEDED && ImageCommand::has_subcommand(name)
    }
}
