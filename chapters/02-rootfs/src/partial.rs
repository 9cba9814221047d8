//! A directory that appears complete or not at all: it grows under another name and is renamed at the end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use process::{Error, Kind, OrCall, Result};

/// The growing directory. Dropped before [`finish`](Self::finish), it is removed again.
///
/// Its owner holds a lock on it (flock(2)), which the kernel releases even if the owner is killed:
/// what lies there unlocked belongs to nobody and is removed by the next one who builds here.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    target: PathBuf,
    lock: Option<Flock<File>>,
}

impl Partial {
    /// An empty directory beside `target`, which must be empty or not exist; its parents are made.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if something is at `target`; as mkdir(2).
    pub fn beside(target: &Path) -> Result<Self> {
        let target = free(target)?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(taken(&target, "is the root of this machine"));
        };
        fs::create_dir_all(parent).or_call("mkdir", parent.display())?;
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".partial.");
        remove_abandoned(parent, &prefix);
        let mut number = 0_u32;
        loop {
            number += 1;
            let mut name = prefix.clone();
            name.push(format!("{}.{number}", std::process::id()));
            let path = parent.join(name);
            match fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made.or_call("mkdir", path.display())?,
            }
            // Between mkdir and flock somebody may have taken it for abandoned; then the next name is tried.
            if let Some(lock) = lock_if_there(&path)? {
                return Ok(Self { path, target, lock: Some(lock) });
            }
        }
    }

    /// Where it grows.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, in one step.
    ///
    /// # Errors
    /// As rename(2): `ENOTEMPTY` if somebody was faster, `EBUSY` if the place is a mount point.
    pub fn finish(mut self) -> Result<()> {
        let named = fs::rename(&self.path, &self.target).or_call("rename", self.target.display());
        named.map_err(|error| match error.errno() {
            Some(Errno::EBUSY) => error.help("something is mounted there: name a directory below it"),
            Some(Errno::ENOTEMPTY | Errno::EEXIST) => error.help("somebody else has filled it meanwhile"),
            _ => error,
        })?;
        self.lock = None;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The absolute path of a directory that may be made or filled.
fn free(target: &Path) -> Result<PathBuf> {
    let mut entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if target.is_symlink() {
                return Err(taken(target, "is a link to nowhere"));
            }
            return std::path::absolute(target).or_call("getcwd", "");
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(taken(target, "is no directory")),
        Err(error) => return Err(Error::io("open", target.display(), &error)),
    };
    if entries.next().is_some() {
        return Err(taken(target, "is not empty"));
    }
    target.canonicalize().or_call("realpath", target.display())
}

fn taken(target: &Path, why: &str) -> Error {
    let help = format!("name a directory that does not exist yet, or remove it first: rm -r {}", target.display());
    let help = if target == Path::new("/") { "name a directory that does not exist yet".to_owned() } else { help };
    Error::new(Kind::Conflict, format!("{} {why}", target.display())).help(help)
}

/// Locks the directory at `path`; none if another one holds it, or it is not there any more.
fn lock_if_there(path: &Path) -> Result<Option<Flock<File>>> {
    let Ok(directory) = File::open(path) else { return Ok(None) };
    let about = directory.metadata().or_call("fstat", path.display())?;
    let lock = match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(Error::call("flock", path.display(), errno)),
    };
    let still_there = fs::symlink_metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (about.dev(), about.ino()));
    Ok(still_there.then_some(lock))
}

/// Removes what builders that were killed have left behind.
fn remove_abandoned(parent: &Path, prefix: &std::ffi::OsStr) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let prefix = prefix.as_encoded_bytes();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix)) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && matches!(lock_if_there(&entry.path()), Ok(Some(_))) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_there_before_the_end_or_after_a_failure() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a/root");
        let partial = Partial::beside(&target).unwrap();
        fs::write(partial.path().join("file"), "").unwrap();
        assert!(!target.exists());
        drop(partial);
        assert_eq!(fs::read_dir(place.path().join("a")).unwrap().count(), 0);
        let partial = Partial::beside(&target).unwrap();
        fs::write(partial.path().join("file"), "").unwrap();
        partial.finish().unwrap();
        assert!(target.join("file").exists());
        assert_eq!(fs::read_dir(place.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_directory_is_taken_over_and_a_full_one_is_not() {
        let place = tempfile::tempdir().unwrap();
        Partial::beside(place.path()).unwrap().finish().unwrap();
        fs::write(place.path().join("file"), "").unwrap();
        let error = Partial::beside(place.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.way_out().unwrap().contains("rm -r"));
        assert_eq!(Partial::beside(&place.path().join("file")).unwrap_err().kind(), Kind::Conflict);
        assert_eq!(Partial::beside(Path::new("/")).unwrap_err().kind(), Kind::Conflict);
    }

    #[test]
    fn what_a_killed_builder_left_is_removed_and_what_a_living_one_holds_is_not() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("root");
        let abandoned = place.path().join(".root.partial.1.0");
        fs::create_dir(&abandoned).unwrap();
        let living = Partial::beside(&target).unwrap();
        let second = Partial::beside(&target).unwrap();
        assert!(!abandoned.exists() && living.path().exists() && second.path().exists());
        living.finish().unwrap();
        second.finish().unwrap();
    }
}
