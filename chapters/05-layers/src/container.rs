//! A container's directory, `data/containers/ID`: what it wrote, and what is remembered of it. It outlives the process.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use namespaces::id;
use namespaces::running::make_private;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use process::{Error, Kind, OrCall, Result};
use rootfs::dirs;

use crate::config::Config;
use crate::init;

/// What a directory's name begins with while it is not whole yet, or not any more.
const HALF: &str = ".half-";

/// The layer of the engine's own mount points.
const INIT: &str = "init";

/// A container's directory: `upper`, `work`, `init`, `rootfs` and `config`.
#[derive(Debug)]
pub struct ContainerDir {
    path: PathBuf,
    config: Config,
    lock: Option<Flock<File>>,
}

/// Where the directory of container `id` lies, whether there is one or not.
pub fn path_of(id: &str) -> PathBuf {
    directory().join(id)
}

/// The layers below what the container of `config` writes, topmost first.
pub fn lowers_of(config: &Config) -> Vec<PathBuf> {
    let init = (!config.layers.is_empty()).then(|| path_of(&config.id).join(INIT));
    init.into_iter().chain(config.layers.iter().cloned()).collect()
}

/// Where they all lie.
fn directory() -> PathBuf {
    dirs().data.join("containers")
}

impl ContainerDir {
    /// Makes the directory of a new container, and locks it.
    ///
    /// It grows under another name and is renamed when it is whole, so that a killed engine leaves nothing that
    /// looks like a container.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the name is taken; as mkdir(2), write(2) and rename(2).
    pub fn create(config: Config) -> Result<Self> {
        make_private(&directory())?;
        // Two starts at once: one looks and makes, then the other looks.
        let _all = lock_directory(&directory(), true)?;
        sweep()?;
        check_name(&config)?;
        let half = directory().join(format!("{HALF}{}", config.id));
        fs::DirBuilder::new().mode(0o700).create(&half).or_call("mkdir", half.display())?;
        let path = path_of(&config.id);
        let furnished = furnish(&half, &config)
            .and_then(|lock| fs::rename(&half, &path).or_call("rename", path.display()).map(|()| lock));
        let lock = furnished.inspect_err(|_| drop(fs::remove_dir_all(&half)))?;
        Ok(Self { path, config, lock: Some(lock) })
    }

    fn read(path: PathBuf) -> Result<Self> {
        let file = path.join("config");
        let text = fs::read(&file).or_call("read", file.display())?;
        let config = Config::parse(&text).map_err(|error| error.at(file.display()))?;
        Ok(Self { path, config, lock: None })
    }

    /// All containers, running or not, the newest first.
    ///
    /// # Errors
    /// An unreadable directory; none at all is no error, nor is one that is just being removed.
    pub fn list() -> Result<Vec<Self>> {
        let names = match fs::read_dir(directory()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.or_call("open", directory().display())?,
        };
        let whole = |path: &PathBuf| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
        let paths = names.filter_map(|entry| Some(entry.ok()?.path())).filter(whole);
        let mut found: Vec<_> = paths.filter_map(|path| Self::read(path).ok()).collect();
        found.sort_by(|one, other| {
            (other.config.created, &one.config.name).cmp(&(one.config.created, &other.config.name))
        });
        Ok(found)
    }

    /// The container of this name, id, or unique beginning of an id.
    ///
    /// # Errors
    /// [`Kind::NotFound`], or [`Kind::Conflict`] if the beginning fits several.
    pub fn find(name: &str) -> Result<Self> {
        let mut all = Self::list()?;
        if let Some(at) = all.iter().position(|one| one.config.name == name || one.config.id == name) {
            return Ok(all.swap_remove(at));
        }
        let mut fitting: Vec<_> =
            all.into_iter().filter(|one| !name.is_empty() && one.config.id.starts_with(name)).collect();
        match (fitting.pop(), fitting.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(Error::new(Kind::Conflict, format!("several containers' ids begin with {name}"))
                .help("give more digits")),
            (None, _) => {
                Err(Error::not_found(format!("no container is called {name:?}")).help("`ls` lists those there are"))
            }
        }
    }

    /// What is remembered of it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The layers below what the container wrote, topmost first: the engine's mount points, then the image's.
    pub fn lowers(&self) -> Vec<PathBuf> {
        lowers_of(&self.config)
    }

    /// What the container wrote.
    pub fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    /// The overlay's scratch directory.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Where its root is mounted, in its own mount namespace.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Is a process using it?
    pub fn is_locked(&self) -> bool {
        self.lock.is_none()
            && matches!(lock_directory(&self.path, false), Err(error) if error.errno() == Some(Errno::EAGAIN))
    }

    /// Takes it for use by this process, until it is dropped or the process ends.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if another process uses it.
    pub fn lock(&mut self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        match lock_directory(&self.path, false) {
            Ok(lock) => self.lock = Some(lock),
            Err(error) if error.errno() == Some(Errno::EAGAIN) => {
                return Err(Error::new(Kind::Conflict, format!("container {} is in use", self.config.name))
                    .help("end it first, or `rm --force`"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives the lock away, as a descriptor: whoever has it open uses the container. None if this process has no lock.
    pub fn into_lock(mut self) -> Option<std::os::fd::OwnedFd> {
        self.lock.take().map(crate::sys::still_locked)
    }

    /// Takes over a lock that an earlier program of this process has had, as a descriptor that it left open.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it is no such lock, or that of another directory.
    pub fn inherit(&mut self, lock: std::os::fd::OwnedFd) -> Result<()> {
        let same = match (self.path.metadata(), File::from(lock)) {
            (Ok(about), lock) => lock
                .metadata()
                .is_ok_and(|locked| (locked.dev(), locked.ino()) == (about.dev(), about.ino()))
                .then_some(lock),
            (Err(_), _) => None,
        };
        let lock = same.and_then(|lock| Flock::lock(lock, FlockArg::LockExclusiveNonblock).ok());
        self.lock = lock;
        if self.lock.is_some() { Ok(()) } else { Err(Error::new(Kind::Conflict, "the lock is another container's")) }
    }

    /// A second descriptor of its lock, if this process has it: the lock lasts until both are closed.
    pub fn lock_for_heirs(&self) -> Option<std::os::fd::OwnedFd> {
        self.lock.as_ref()?.try_clone().ok().map(Into::into)
    }

    /// Changes what is remembered of it. The name is free, or its own already.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if another container has the name; as write(2) and rename(2).
    pub fn remember(&mut self, config: Config) -> Result<()> {
        let _all = lock_directory(&directory(), true)?;
        check_name(&config)?;
        let (file, new) = (self.path.join("config"), self.path.join("config.new"));
        fs::write(&new, config.render()).or_call("write", new.display())?;
        fs::rename(&new, &file).or_call("rename", file.display())?;
        self.config = config;
        Ok(())
    }

    /// Holds it against removal while it is read, also if it runs.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it is just being removed.
    pub fn hold(&self) -> Result<Flock<File>> {
        lock_file(&self.upper(), FlockArg::LockSharedNonblock).map_err(|_| self.leaving())
    }

    /// Removes it, and what the container wrote.
    ///
    /// # Errors
    /// [`Kind::Conflict`] while another process uses or reads it; as unlink(2).
    pub fn remove(mut self) -> Result<()> {
        self.lock()?;
        let _readers = lock_file(&self.upper(), FlockArg::LockExclusiveNonblock).map_err(|_| self.leaving())?;
        // From here on nobody finds it; what is left if this is cut short, the next start sweeps.
        let half = directory().join(format!("{HALF}{}", self.config.id));
        fs::rename(&self.path, &half).or_call("rename", self.path.display())?;
        fs::remove_dir_all(&half).or_call("rmdir", half.display())
    }

    fn leaving(&self) -> Error {
        let what = format!("container {} is being read or removed by another process", self.config.name);
        Error::new(Kind::Conflict, what).help("wait for that to end")
    }
}

fn check_name(config: &Config) -> Result<()> {
    match ContainerDir::list()?
        .into_iter()
        .find(|other| other.config.name == config.name && other.config.id != config.id)
    {
        None => Ok(()),
        Some(other) => {
            let what = format!("the name {:?} is taken by container {}", config.name, id::short(&other.config.id));
            Err(Error::new(Kind::Conflict, what).help("choose another --name, or remove that container with `rm`"))
        }
    }
}

/// Removes what killed engines left half-made or half-removed: a directory of that kind which nobody has locked.
fn sweep() -> Result<()> {
    let names = fs::read_dir(directory()).or_call("open", directory().display())?;
    for path in names.filter_map(|entry| Some(entry.ok()?.path())) {
        let half = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(HALF.as_bytes()));
        if half && lock_directory(&path, false).is_ok() {
            fs::remove_dir_all(&path).or_call("rmdir", path.display())?;
        }
    }
    Ok(())
}

/// Fills the directory of a new container, locked from its first moment.
fn furnish(half: &Path, config: &Config) -> Result<Flock<File>> {
    let lock = lock_directory(half, false)?;
    for name in ["upper", "work", "rootfs"] {
        let path = half.join(name);
        fs::create_dir(&path).or_call("mkdir", path.display())?;
    }
    // The container's `/` has the mode and owner of its upper directory: those of the topmost layer are meant.
    init::resemble(&half.join("upper"), config.layers.first().and_then(|layer| layer.metadata().ok()).as_ref())?;
    if !config.layers.is_empty() {
        init::make(&half.join(INIT), &config.layers)?;
    }
    let file = half.join("config");
    fs::write(&file, config.render()).or_call("write", file.display())?;
    Ok(lock)
}

/// A lock on a directory (flock(2)), which ends with the process, however that ends.
pub(crate) fn lock_directory(path: &Path, wait: bool) -> Result<Flock<File>> {
    lock_file(path, if wait { FlockArg::LockExclusive } else { FlockArg::LockExclusiveNonblock })
}

fn lock_file(path: &Path, how: FlockArg) -> Result<Flock<File>> {
    let mut file = File::open(path).or_call("open", path.display())?;
    loop {
        match Flock::lock(file, how) {
            Err((back, Errno::EINTR)) => file = back,
            done => return done.map_err(|(_, errno)| Error::call("flock", path.display(), errno)),
        }
    }
}
