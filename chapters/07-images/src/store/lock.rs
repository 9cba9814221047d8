//! Locks between processes (flock(2)): the kernel releases them when their holder dies, however it does.

use std::fs::{File, OpenOptions};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use process::{Error, OrCall, Result, Stage};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] Flock<File>);

/// A shared lock on the store: blobs and layers are not swept while somebody has one.
#[derive(Debug)]
pub struct Hold(#[allow(dead_code)] Lock);

impl Hold {
    /// Waits until nobody sweeps.
    pub(super) fn take(path: &Path) -> Result<Self> {
        Lock::shared(path).map(Self)
    }

    /// The stage that lets go once the container's directory names the image: from then on that keeps it.
    /// It comes behind the stage that makes the directory.
    pub fn until_prepared(self) -> HoldUntilPrepared {
        HoldUntilPrepared(Some(self))
    }
}

/// The stage of [`Hold::until_prepared`].
pub struct HoldUntilPrepared(Option<Hold>);

impl Stage for HoldUntilPrepared {
    fn name(&self) -> &'static str {
        "image store"
    }

    fn prepare(&mut self) -> Result<()> {
        self.0 = None;
        Ok(())
    }
}

impl Lock {
    /// Waits until nobody else has it.
    pub fn exclusive(path: &Path) -> Result<Self> {
        Self::wait(path, FlockArg::LockExclusive)
    }

    /// Waits until nobody has it exclusively.
    pub fn shared(path: &Path) -> Result<Self> {
        Self::wait(path, FlockArg::LockShared)
    }

    /// Takes it if nobody else has it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        Self::try_on(open(path)?, path)
    }

    /// The same for a directory that is the lock of what it holds.
    pub fn try_directory(path: &Path) -> Result<Option<Self>> {
        Self::try_on(File::open(path).or_call("open", path.display())?, path)
    }

    fn try_on(file: File, path: &Path) -> Result<Option<Self>> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self(lock))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(Error::call("flock", path.display(), errno)),
        }
    }

    fn wait(path: &Path, how: FlockArg) -> Result<Self> {
        let mut file = open(path)?;
        loop {
            match Flock::lock(file, how) {
                Ok(lock) => return Ok(Self(lock)),
                Err((same, Errno::EINTR)) => file = same,
                Err((_, errno)) => return Err(Error::call("flock", path.display(), errno)),
            }
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    file.or_call("open", path.display())
}
