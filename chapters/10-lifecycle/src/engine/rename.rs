//! `rename`

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use layers::ContainerDir;
use namespaces::{id, rootless, running};
use nix::fcntl::{Flock, FlockArg};
use process::{Error, Kind, OrCall, Result};

use super::container::{Kept, find};
use super::events;
use super::transitions::Action;

/// The arguments of `rename`.
#[derive(Debug, Clone, Args)]
pub struct RenameArgs {
    /// The container's name or id
    #[arg(value_name = "NAME")]
    name: String,
    /// What it shall be called
    #[arg(value_name = "NEW-NAME")]
    new: String,
}

impl RenameArgs {
    /// Gives the container another name.
    ///
    /// # Errors
    /// A name that is taken, or none.
    pub fn run(self) -> Result<ExitCode> {
        rootless::enter()?;
        let kept = Kept::find(&self.name)?;
        kept.may(Action::Rename)?;
        let new = id::check_name(self.new.strip_prefix('/').unwrap_or(&self.new))?;
        if new == kept.name() {
            return Err(Error::new(Kind::Conflict, "renaming a container with the same name as its current name")
                .help("choose another name"));
        }
        // As chapter 5 does when it makes one: who looks at the names holds the directory that they are in.
        let above = kept.dir.path().parent().unwrap_or(Path::new("/"));
        let directory = File::open(above).or_call("open", above.display())?;
        let _names = Flock::lock(directory, FlockArg::LockExclusive)
            .map_err(|(_, errno)| Error::call("flock", above.display(), errno))?;
        if let Some(other) = ContainerDir::list()?.into_iter().find(|other| other.config().name == new) {
            let what = format!("the container name {new:?} is already in use by container {}", other.config().id);
            return Err(Error::new(Kind::Conflict, what).help("remove or rename that container first"));
        }
        let mut config = kept.dir.config().clone();
        config.name.clone_from(&new);
        replace(&kept.dir.path().join("config"), &config.render())?;
        record(kept.id(), &new)?;
        let old = format!("/{}", kept.name());
        events::of(&Kept { dir: find(kept.id())?, state: kept.state }, "rename", &[("oldName", &old)]);
        Ok(ExitCode::SUCCESS)
    }
}

/// The record of those that run has the name on a line of its own.
fn record(id: &str, name: &str) -> Result<()> {
    let path = running::directory().join(id);
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let line = |line: &str| if line.starts_with("name ") { format!("name {name}\n") } else { format!("{line}\n") };
    replace(&path, text.lines().map(line).collect::<String>().as_bytes())
}

/// Whole or not at all: temporary file, fsync(2), rename(2).
fn replace(path: &Path, text: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary);
    let mut file = file.or_call("open", temporary.display())?;
    file.write_all(text).and_then(|()| file.sync_all()).or_call("write", temporary.display())?;
    fs::rename(&temporary, path).or_call("rename", path.display())
}
