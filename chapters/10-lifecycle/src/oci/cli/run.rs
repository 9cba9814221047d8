//! `run`: create, start, wait and delete in one.

use std::process::ExitCode;

use clap::Args;
use process::{Error, Kind, Result};

use super::create::{self, CreateArgs, Planned};
use super::{Context, Verb, delete, start};
use crate::oci::entry::Entry;

/// Create a container, run its program, and delete it when it has ended; the exit code is the program's
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Do not wait for it, and leave `delete` to somebody else
    #[arg(short, long)]
    detach: bool,
    /// Leave `delete` to somebody else
    #[arg(long)]
    keep: bool,
    /// Accepted for runc's sake
    #[arg(long, hide = true)]
    no_subreaper: bool,
    #[command(flatten)]
    options: CreateArgs,
}

impl Verb for Run {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let planned = self.options.plan(context, !self.detach)?;
        if self.detach { self.detached(context, planned) } else { self.attached(context, planned) }
    }
}

impl Run {
    /// Its parent will be whoever adopts it.
    fn detached(&self, context: &Context, planned: Planned) -> Result<ExitCode> {
        let held = create::create_apart(context, planned, &self.options)?;
        let state = held.entry.state()?.ok_or_else(|| Error::not_found("its state was removed"))?;
        match start::start(&held).and_then(|()| start::poststart(&state)) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => {
                delete::end(&state)?;
                delete::remove(context, held, &state)?;
                Err(error)
            }
        }
    }

    /// As every step's `run`: it dies with us, and signals that we get are for it.
    fn attached(&self, context: &Context, planned: Planned) -> Result<ExitCode> {
        let Planned { held, container } = planned;
        let created = match container.create() {
            Ok(created) => created,
            Err(error) => {
                create::abandon(held);
                return Err(error);
            }
        };
        // From here on there is something to delete, whatever happens.
        let pid = created.child().pid().as_raw();
        let started = self.options.write_pid(pid).and_then(|()| created.start());
        let entry = held.release();
        let ended = started.and_then(|running| {
            if let Some(state) = entry.state()? {
                start::poststart(&state)?;
            }
            running.wait()
        });
        if !self.keep || ended.is_err() {
            clean_up(context, entry)?;
        }
        let exited = ended?;
        exited.leftovers.iter().for_each(|error| context.log.warning(error));
        Ok(exited.exit.into())
    }
}

/// Somebody else may have deleted it already.
fn clean_up(context: &Context, entry: Entry) -> Result<()> {
    let remove = || {
        let held = entry.hold()?;
        let (state, _) = held.look()?;
        delete::end(&state)?;
        delete::remove(context, held, &state)
    };
    match remove() {
        Err(error) if error.kind() == Kind::NotFound => Ok(()),
        done => done,
    }
}
