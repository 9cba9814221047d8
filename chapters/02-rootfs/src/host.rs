//! The root that is used where none is named: made from this machine's programs, once.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use clap::Args;
use nix::fcntl::{Flock, FlockArg};
use process::{Error, OrCall, Result};

use crate::{Recipe, dirs, recipe};

/// Which root a container gets.
#[derive(Debug, Clone, Default, Args)]
pub struct RootArgs {
    /// The directory that becomes the root; one made from this machine's programs if none
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

impl RootArgs {
    /// The directory, see [`root_or_default`].
    ///
    /// # Errors
    /// As [`root_or_default`].
    pub fn path(&self) -> Result<PathBuf> {
        root_or_default(self.root.clone())
    }
}

/// The default root, made on first use. Two at once wait for each other; what is half made is never seen.
///
/// It lies in `host-root/` of [`dirs()`]`.data`, named after the edition of the recipe, so that a newer
/// engine makes its own and takes nothing from under a container that still runs. Removed, it is made anew.
///
/// # Errors
/// As [`Recipe::build`] and flock(2).
pub fn host_root() -> Result<PathBuf> {
    let base = dirs().data.join("host-root");
    let root = base.join(recipe::VERSION.to_string());
    if root.is_dir() {
        return Ok(root);
    }
    let help = "COOPER_DATA names another directory for the engine's data";
    std::fs::create_dir_all(&base).or_call("mkdir", base.display()).map_err(|error| error.help(help))?;
    let file = base.join("lock");
    let lock = File::create(&file).or_call("open", file.display()).map_err(|error| error.help(help))?;
    let _lock =
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| Error::call("flock", file.display(), errno))?;
    if !root.is_dir() {
        Recipe { devices: true, ..Recipe::default_set() }.build(&root)?;
    }
    Ok(root)
}

/// The directory `root` as an absolute path without links, or the default root if there is none.
///
/// # Errors
/// [`Kind::NotFound`](process::Kind::NotFound) or [`Kind::Invalid`](process::Kind::Invalid) if it is no
/// directory, or the root of this machine; as [`host_root`].
pub fn root_or_default(root: Option<PathBuf>) -> Result<PathBuf> {
    let Some(root) = root else { return host_root() };
    let help = "step02 mkroot DIR makes one from this machine's programs";
    let show = root.display();
    let about = match std::fs::metadata(&root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::not_found(format!("there is no directory {show}")).help(help));
        }
        about => about.or_call("stat", &show)?,
    };
    if !about.is_dir() {
        return Err(Error::invalid(format!("{show} is no directory")).help(help));
    }
    let ours = std::fs::metadata("/").or_call("stat", "/")?;
    if (about.dev(), about.ino()) == (ours.dev(), ours.ino()) {
        return Err(
            Error::invalid(format!("{show} is the root of this machine, which would change nothing")).help(help)
        );
    }
    root.canonicalize().or_call("realpath", show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use process::Kind;

    #[test]
    fn roots_that_are_none() {
        let kind = |path: &str| root_or_default(Some(path.into())).unwrap_err().kind();
        assert_eq!(kind("/no/such/directory"), Kind::NotFound);
        assert_eq!(kind("/etc/passwd"), Kind::Invalid);
        assert_eq!(kind("/"), Kind::Invalid);
        assert_eq!(kind("/usr/.."), Kind::Invalid);
        assert_eq!(root_or_default(Some("/etc/../etc".into())).unwrap(), PathBuf::from("/etc"));
    }
}
