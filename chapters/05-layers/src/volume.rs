//! Named volumes: directories that outlive containers, `data/volumes/NAME/_data`, as Docker lays them out.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use namespaces::id;
use namespaces::running::make_private;
use process::{Error, Kind, OrCall, Result, explain};
use rootfs::dirs;

use crate::container::{self, lock_directory};
use crate::copy;
use crate::dir::Dir;

/// What is there while a volume is being filled. Found later, it tells that the filling was cut short.
const FILLING: &str = "filling";
/// What marks a volume that was made for one container alone.
const ANONYMOUS: &str = "anonymous";

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    path: PathBuf,
}

/// Checks a volume's name as Docker does.
///
/// # Errors
/// [`Kind::Invalid`], with the rule.
pub fn check_name(name: &str) -> Result<String> {
    id::check_name(name).map_err(|_| {
        Error::invalid(format!("{name:?} is no name for a volume")).help(
            "letters, digits, `_`, `.` and `-`, two at least, the first a letter or digit; for a path begin with `/` or `./`",
        )
    })
}

fn directory() -> PathBuf {
    dirs().data.join("volumes")
}

impl Volume {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), path: directory().join(name) }
    }

    /// The volume of this name, made if there is none.
    ///
    /// # Errors
    /// As mkdir(2), and for a name that is none.
    pub fn ensure(name: &str) -> Result<Self> {
        let volume = Self::named(&check_name(name)?);
        make_private(&directory())?;
        let data = volume.data();
        if !data.is_dir() {
            fs::create_dir_all(&data).or_call("mkdir", data.display())?;
            fs::set_permissions(&data, Permissions::from_mode(0o755)).or_call("chmod", data.display())?;
        }
        Ok(volume)
    }

    /// A new volume that goes with the one container that it is made for.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub fn ensure_anonymous(name: &str) -> Result<Self> {
        let volume = Self::ensure(name)?;
        let mark = volume.path.join(ANONYMOUS);
        fs::write(&mark, "").or_call("write", mark.display())?;
        Ok(volume)
    }

    /// An existing volume.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub fn find(name: &str) -> Result<Self> {
        let volume = Self::named(&check_name(name)?);
        if volume.data().is_dir() {
            return Ok(volume);
        }
        Err(Error::not_found(format!("no volume is called {name:?}")).help("`volume ls` lists those there are"))
    }

    /// All volumes, by name.
    ///
    /// # Errors
    /// As getdents64(2).
    pub fn list() -> Result<Vec<Self>> {
        let directory = directory();
        if !directory.exists() {
            return Ok(Vec::new());
        }
        let names = crate::dir::names(&directory)?;
        let volumes = names.iter().map(|name| Self::named(&name.to_string_lossy()));
        Ok(volumes.filter(|volume| volume.data().is_dir()).collect())
    }

    /// Where its contents lie on the host.
    pub fn data(&self) -> PathBuf {
        self.path.join("_data")
    }

    /// Was it made for one container alone?
    pub fn is_anonymous(&self) -> bool {
        self.path.join(ANONYMOUS).exists()
    }

    /// The names of the containers that use it, running or not.
    ///
    /// # Errors
    /// As [`container::ContainerDir::list`].
    pub fn users(&self) -> Result<Vec<String>> {
        let containers = container::ContainerDir::list()?.into_iter();
        let users = containers.filter(|one| one.config().volumes.contains(&self.name));
        Ok(users.map(|one| one.config().name.clone()).collect())
    }

    /// Copies what the image has at the volume's place into it, if it is empty. Two containers that start at once
    /// wait for each other; what a killed one left half-done is done again.
    ///
    /// # Errors
    /// As [`copy::tree`].
    pub fn fill(&self, image: Option<&Dir>) -> Result<()> {
        let _lock = lock_directory(&self.path, true)?;
        let (data, mark) = (self.data(), self.path.join(FILLING));
        if mark.exists() {
            fs::remove_dir_all(&data).or_call("rmdir", data.display())?;
            fs::create_dir(&data).or_call("mkdir", data.display())?;
            fs::set_permissions(&data, Permissions::from_mode(0o755)).or_call("chmod", data.display())?;
        }
        let to = Dir::open(&data)?;
        if let Some(image) = image.filter(|_| to.names().is_ok_and(|names| names.is_empty())) {
            fs::write(&mark, "").or_call("write", mark.display())?;
            copy::tree(image, &to).map_err(|error| error.at(format!("filling volume {}", self.name)))?;
            explain!(
                5,
                "a new volume holds what the image has there",
                "copy {} to {}",
                image.shown().display(),
                data.display()
            );
        }
        match fs::remove_file(&mark) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done.or_call("unlink", mark.display()),
        }
    }

    /// Removes it with its contents.
    ///
    /// # Errors
    /// [`Kind::Conflict`] while a container refers to it; as unlink(2).
    pub fn remove(self) -> Result<()> {
        let users = self.users()?;
        if !users.is_empty() {
            return Err(Error::new(Kind::Conflict, format!("volume {} is used by {}", self.name, users.join(", ")))
                .help("remove those containers first, with `rm`"));
        }
        self.remove_unchecked()
    }

    /// Removes it without asking who uses it.
    pub(crate) fn remove_unchecked(self) -> Result<()> {
        let _lock = lock_directory(&self.path, true)?;
        fs::remove_dir_all(&self.path).or_call("rmdir", self.path.display())
    }
}
