//! `rm` and `container prune`

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use namespaces::rootless;
use nix::sys::signal::Signal;
use process::{Error, Kind, Result, cli};

use super::container::{Kept, find};
use super::each::each;
use super::filter::{Filter, passes};
use super::transitions::{Action, Next};
use super::{events, ps, stop, text};
use crate::state::Status;

/// The arguments of `rm`.
#[derive(Debug, Clone, Args)]
pub struct RmArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Kill those that run
    #[arg(short, long)]
    force: bool,
    /// Remove the volumes that were made for them alone, too
    #[arg(short, long)]
    volumes: bool,
}

/// The arguments of `container prune`.
#[derive(Debug, Clone, Args)]
pub struct PruneArgs {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only these, as in `ps`
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
}

impl RmArgs {
    /// Removes the containers.
    ///
    /// # Errors
    /// As entering the user namespace; the containers' own errors are told as they come.
    pub fn run(self) -> Result<ExitCode> {
        rootless::enter()?;
        Ok(each(&self.names, |name| match Kept::find(name) {
            // A state that cannot be read is no reason to keep the container for ever.
            Err(error) if error.kind() == Kind::Corrupt && self.force => layers::remove_with_volumes(find(name)?),
            kept => self.remove(kept?),
        }))
    }

    fn remove(&self, mut kept: Kept) -> Result<()> {
        kept.may(if self.force { Action::ForceRemove } else { Action::Remove })?;
        if Action::Stop.next(kept.state.status) != Next::Already {
            events::of(&kept, "kill", &[("signal", "9")]);
            stop::end(&kept, Some(Signal::SIGKILL), Some(0))?;
        }
        if !kept.take()? {
            return Ok(()); // `--rm`: its supervisor was faster
        }
        remove(kept, self.volumes)
    }
}

/// Removes a container that this process has locked. Its state says so meanwhile: a removal that is cut short is seen.
fn remove(mut kept: Kept, volumes: bool) -> Result<()> {
    kept.state.status = Status::Removing;
    kept.state.write(kept.dir.path())?;
    let config = kept.dir.config().clone();
    let about = events::about(&config);
    if volumes {
        layers::remove_with_volumes(kept.dir)?
    } else {
        kept.dir.remove()?
    }
    events::record("destroy", &config.id, &config.name, about);
    Ok(())
}

impl PruneArgs {
    /// Removes all containers that do not run.
    ///
    /// # Errors
    /// An unreadable directory; standard input that is no terminal, without `--force`.
    pub fn run(self) -> Result<ExitCode> {
        rootless::enter()?;
        if !self.force && !confirmed()? {
            return Ok(ExitCode::SUCCESS);
        }
        let all = Kept::all()?;
        let ended = |kept: &&Kept| Action::Remove.check(kept.name(), kept.state.status).is_ok();
        let chosen = all.iter().filter(ended).filter(|kept| passes(kept, &self.filter, &all));
        let ids: Vec<_> = chosen.map(|kept| kept.id().to_owned()).collect();
        let (mut removed, mut bytes, mut code) = (Vec::new(), 0, ExitCode::SUCCESS);
        for id in ids {
            let done = Kept::find(&id).and_then(|mut kept| {
                let size = ps::disk_usage(&kept.dir.upper());
                kept.may(Action::Remove)?; // it may have been started meanwhile
                if kept.take()? {
                    remove(kept, false)?
                }
                Ok(size)
            });
            match done {
                Ok(size) => {
                    removed.push(id);
                    bytes += size;
                }
                Err(error) => {
                    cli::report(&error);
                    code = ExitCode::FAILURE;
                }
            }
        }
        if !removed.is_empty() {
            println!("Deleted Containers:\n{}\n", removed.join("\n"));
        }
        println!("Total reclaimed space: {}", text::size(bytes));
        Ok(code)
    }
}

fn confirmed() -> Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::invalid("prune removes all containers that do not run, and nobody is there to be asked")
            .help("add --force if that is meant"));
    }
    print!("WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = stdin.lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
