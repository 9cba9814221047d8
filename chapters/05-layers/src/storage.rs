//! The stage that makes a container's directory before the process exists, and takes it away if it shall not stay.

use namespaces::running;
use process::{Attend, Child, Keep, Result, Stage};

use crate::config::Config;
use crate::container::{ContainerDir, lowers_of, path_of};
use crate::overlay::Overlay;
use crate::volume::Volume;

/// The annotation of a container that goes when it has ended.
const REMOVE: &str = "remove";

/// Holds the container's directory while the container lives.
#[derive(Debug)]
pub struct Storage {
    config: Config,
    /// It was there before, and stays.
    kept: bool,
    remove: bool,
    directory: Option<ContainerDir>,
    started: bool,
}

impl Storage {
    /// The directory for `config`; with `remove` it goes when the container has ended (`--rm`).
    ///
    /// A container whose program never ran leaves none in either case.
    pub fn new(mut config: Config, remove: bool) -> Self {
        if remove {
            config.annotations.insert(REMOVE.into(), "true".into());
        }
        Self { config, kept: false, remove, directory: None, started: false }
    }

    /// The directory of a container that is there already, locked by the caller: it is started again, and stays.
    pub fn kept(directory: ContainerDir) -> Self {
        let config = directory.config().clone();
        Self { config, kept: true, remove: false, directory: Some(directory), started: false }
    }

    /// The stage that mounts the root, on [`Config::rootfs`].
    pub fn overlay(&self, read_only: bool) -> Overlay {
        let path = path_of(&self.config.id);
        let (upper, work) = (path.join("upper"), path.join("work"));
        let (lowers, merged) = (lowers_of(&self.config), self.config.rootfs());
        // Only where the directory goes by itself: the kernel refuses to mount one again that was mounted so.
        Overlay { lowers, upper, work, merged, read_only, volatile: self.remove }
    }
}

impl Stage for Storage {
    fn name(&self) -> &'static str {
        "container directory"
    }

    fn prepare(&mut self) -> Result<()> {
        sweep_killed()?;
        if self.kept {
            return Ok(());
        }
        self.directory = Some(ContainerDir::create(self.config.clone())?);
        Ok(())
    }

    fn poststart(&mut self, _child: &Child) -> Result<Option<Box<dyn Attend>>> {
        self.started = true;
        Ok(None)
    }

    fn hand_over(&mut self) -> Vec<Keep> {
        let lock = self.directory.as_ref().and_then(ContainerDir::lock_for_heirs);
        lock.map(Keep::Fd).into_iter().collect()
    }

    fn poststop(&mut self) -> Result<()> {
        match self.directory.take() {
            Some(directory) if !self.kept && (self.remove || !self.started) => remove_with_volumes(directory),
            _ => Ok(()),
        }
    }
}

/// Removes containers that were not to stay, but whose engine was killed before it could remove them.
fn sweep_killed() -> Result<()> {
    let running = running::list()?;
    let alive = |id: &str| running.iter().any(|one| one.id == id);
    let to_go = |one: &ContainerDir| one.config().annotations.contains_key(REMOVE) && !alive(&one.config().id);
    // A directory that cannot be read is told by whoever makes the new container in it.
    let all = ContainerDir::list().unwrap_or_default();
    for container in all.into_iter().filter(|one| to_go(one) && !one.is_locked()) {
        // Another start may be doing the same, or somebody reads it: then the next one does it.
        let _ = remove_with_volumes(container);
    }
    Ok(())
}

/// Removes a container, and the volumes that were made for it alone.
///
/// # Errors
/// As [`ContainerDir::remove`].
pub fn remove_with_volumes(directory: ContainerDir) -> Result<()> {
    let names = directory.config().volumes.clone();
    directory.remove()?;
    let volumes = names.iter().filter_map(|name| Volume::find(name).ok());
    for volume in volumes.filter(Volume::is_anonymous) {
        volume.remove_unchecked()?;
    }
    Ok(())
}
