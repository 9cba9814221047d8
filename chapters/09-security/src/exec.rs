//! `exec`: another program in a running container, confined as the container is.
//!
//! It supersedes chapter 4's, which joins namespaces and group but would run with all of root's capabilities: joining
//! a container gives no confinement, and the kernel does not inherit one sideways.
//!
//! A limit: who joins is in the container's PID namespace for a moment before it is confined, and root on the host still.
//! It is closed to all in there (`PR_SET_DUMPABLE`, CVE-2016-9962) but those with `CAP_SYS_PTRACE` over it. So a container
//! of root's engine that is given that capability should have a user namespace of its own, `--userns`.

use std::ffi::OsString;
use std::process::ExitCode;

use cgroups::JoinGroup;
use clap::Args;
use layers::ContainerDir;
use namespaces::{Join, TerminalArgs, running};
use process::cli::{self, clean_env};
use process::{Container, Error, Identity, Kind, ProcessArgs, Result, Stage};

use crate::detached::{self, Silent};
use crate::{CapSet, Capabilities, Confine, Confinement, Seal, sealed};

/// The arguments of `exec`.
#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    terminal: TerminalArgs,
    /// Give it all capabilities, whatever the container has
    #[arg(long, help_heading = "Security options")]
    privileged: bool,
    /// Do not wait for it; what it writes is not seen
    #[arg(short, long, help_heading = "Process options")]
    detach: bool,
    /// The name or id of a container
    #[arg(value_name = "NAME", help_heading = None::<&str>)]
    name: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

impl ExecArgs {
    /// Runs it; gives its exit code.
    ///
    /// # Errors
    /// A name that no running container has; as [`Container::run`].
    pub fn run(self) -> Result<ExitCode> {
        sealed::ensure()?;
        let container = running::find(&self.name)?;
        let confinement = self.confinement(&container.id)?;
        // As the container's own program, unless told otherwise: an image that names a user means it.
        let manner = container.manner.clone();
        let base = if manner.env.is_empty() { clean_env() } else { manner.env };
        let mut program = self.process.program(&self.command, base)?;
        program.cwd = program.cwd.or(manner.cwd);
        let user = self.process.user.or(manner.user).unwrap_or_else(crate::program::root_user);
        let console: Box<dyn Stage> =
            if self.detach { Box::new(Silent::default()) } else { Box::new(self.terminal.console()) };
        if self.detach && (self.terminal.tty || self.terminal.interactive) {
            return Err(Error::invalid("--detach excludes --tty and --interactive: nobody would be at the other end"));
        }
        let stages: Vec<Box<dyn Stage>> = vec![
            Box::new(JoinGroup::new(&container)?),
            Box::new(Confine::beside(confinement.clone())),
            Box::new(Join::new(container.pid())?),
            Box::new(Identity::new(Some(user))),
            console,
            Box::new(Seal::new(&container.id, confinement)),
        ];
        let container = Container::new(program, stages);
        if self.detach { detached::run(container) } else { Ok(cli::finish(container.run()?)) }
    }

    /// The container's own; one that an earlier step made has none.
    fn confinement(&self, id: &str) -> Result<Confinement> {
        let kept = match ContainerDir::find(id) {
            Ok(directory) => Confinement::load(directory.path())?,
            Err(error) if error.kind() == Kind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut confinement = kept.unwrap_or_default();
        if self.privileged {
            // As Docker: all capabilities, but the filter stays the container's.
            confinement.capabilities = Some(Capabilities::of(CapSet::of_kernel()));
        }
        Ok(confinement)
    }
}
