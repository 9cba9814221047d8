//! What two paths mean together (docs.docker.com, `docker container cp`; moby, pkg/archive/copy.go).

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use process::{Error, Kind, OrCall, Result};
use rootfs::{RootDir, fd_path};
use serde::{Deserialize, Serialize};

/// How many links may follow each other, as in the kernel (path_resolution(7)).
const LINKS: usize = 40;

/// What is copied: a handle of it.
pub struct Origin {
    /// The handle (`O_PATH`); of a link itself, unless it is to be followed.
    pub handle: OwnedFd,
    /// Its path, for messages.
    pub shown: PathBuf,
    /// The name of the archive's first entry.
    pub name: OsString,
    is_dir: bool,
}

/// What the other side has to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Is it a directory?
    pub is_dir: bool,
    /// Only what is in it is meant (`DIR/.`).
    pub contents: bool,
}

/// Where it goes: a directory, and what the archive's first entry is called there.
#[derive(Debug)]
pub struct Destination {
    /// What paths count from, and what no link leads out of.
    pub root: RootDir,
    /// The directory, beneath the root.
    pub directory: PathBuf,
    /// Another name for the first entry and all below it.
    pub rename: Option<OsString>,
    /// An existing file that is to be overwritten as it is: a link has led to it.
    pub in_place: Option<OwnedFd>,
}

impl Origin {
    /// Looks `path` up beneath `root`.
    ///
    /// # Errors
    /// As openat2(2); `ENOTDIR` for a file whose path ends as a directory's.
    pub fn find(root: &RootDir, path: &Path, follow: bool) -> Result<Self> {
        let asserted = asserts_directory(path);
        let mut flags = OFlag::O_PATH;
        flags.set(OFlag::O_NOFOLLOW, !follow && !asserted);
        flags.set(OFlag::O_DIRECTORY, asserted);
        let inner = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        let handle = root.open_at(inner, flags).map_err(|error| match error.errno() {
            Some(Errno::ENOENT) => Error::not_found(format!("no such file or directory: {}", path.display())),
            _ => error,
        })?;
        let is_dir = about(&handle)?.is_dir();
        let name = if is_contents(path) { OsStr::new(".") } else { inner.file_name().unwrap_or(OsStr::new(".")) };
        Ok(Self { handle, shown: path.to_owned(), name: name.to_owned(), is_dir })
    }

    /// What the other side has to know.
    pub fn about(&self) -> About {
        About { is_dir: self.is_dir, contents: self.name == "." }
    }
}

impl Destination {
    /// Where `origin` goes if it is copied to `path` beneath `root`.
    ///
    /// # Errors
    /// Docker's refusals: a directory onto a file, into a directory that is not there.
    pub fn decide(root: &RootDir, path: &Path, origin: &About) -> Result<Self> {
        Self::decide_after(root, path, origin, 0)
    }

    /// The same, after so many links that led nowhere yet.
    fn decide_after(root: &RootDir, path: &Path, origin: &About, links: usize) -> Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        let at = |directory: PathBuf, rename: Option<OsString>| {
            Ok(Self { root: same(root)?, directory, rename, in_place: None })
        };
        let found = match root.resolve(path) {
            Ok(handle) => Some((about(&handle)?, handle)),
            // `file/`: something is there, and no directory.
            Err(error) if error.errno() == Some(Errno::ENOTDIR) => return Err(not_a_directory(path)),
            Err(error) if error.errno() == Some(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        let (parent, name) = (path.parent().unwrap_or(Path::new("/")), path.file_name());
        match (found, name) {
            (Some((is, _)), _) if is.is_dir() => at(path.to_owned(), None),
            (Some(_), _) if origin.is_dir => Err(Error::new(
                Kind::Conflict,
                format!("cannot copy a directory to {}, which is a file", path.display()),
            )
            .help("name a directory, or a path where there is nothing")),
            (Some((_, handle)), Some(name)) => {
                let is_link = root.open_at(path, OFlag::O_PATH | OFlag::O_NOFOLLOW);
                let is_link = is_link.and_then(|handle| about(&handle)).is_ok_and(|is| is.is_symlink());
                let decided = at(parent.to_owned(), Some(name.to_owned()))?;
                Ok(Self { in_place: is_link.then_some(handle), ..decided })
            }
            (None, Some(name)) => {
                if asserts_directory(path) && !origin.is_dir {
                    return Err(Error::not_found(format!("destination directory {} must exist", path.display()))
                        .help("make it first, or leave the slash at the end out"));
                }
                // A link that leads nowhere: what it leads to is made, as Docker does.
                if let Ok(link) = root.open_at(path, OFlag::O_PATH | OFlag::O_NOFOLLOW)
                    && let Ok(target) = readlinkat(&link, "")
                {
                    if links == LINKS {
                        return Err(Error::call("openat2", path.display(), Errno::ELOOP));
                    }
                    return Self::decide_after(root, &parent.join(target), origin, links + 1);
                }
                match root.open_at(parent, OFlag::O_PATH | OFlag::O_DIRECTORY) {
                    Ok(_) => at(parent.to_owned(), Some(name.to_owned())),
                    Err(error) if error.errno() == Some(Errno::ENOENT) => {
                        Err(Error::not_found(format!("no such directory: {}", parent.display())).help("make it first"))
                    }
                    Err(error) => Err(error),
                }
            }
            // `..` at the end: what it means is a directory, so it was found above.
            (_, None) => Err(Error::invalid(format!("{} is no place for a copy", path.display()))),
        }
    }

    /// The directory at `path`, which must be there.
    ///
    /// # Errors
    /// As openat2(2).
    pub fn directory(root: &RootDir, path: &Path) -> Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        root.open_at(path, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        Ok(Self { root: same(root)?, directory: path.to_owned(), rename: None, in_place: None })
    }

    /// The same, where the directory itself is the root: for the host's side, whose own root holds nothing back. What
    /// a container may have planted in there (it can be mounted into it) leads nowhere else.
    ///
    /// # Errors
    /// As openat2(2).
    pub fn confined(self) -> Result<Self> {
        let handle = self.root.open_at(&self.directory, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        Ok(Self { root: RootDir::open(fd_path(handle.as_fd()))?, directory: PathBuf::from("/"), ..self })
    }
}

/// What a handle is of.
///
/// # Errors
/// As fstat(2).
pub fn about(handle: impl AsFd) -> Result<Metadata> {
    // std asks with AT_SYMLINK_NOFOLLOW only for paths; through a File it is fstat(2), which a handle of a link allows.
    let file = std::fs::File::from(handle.as_fd().try_clone_to_owned().or_call("dup", "")?);
    file.metadata().or_call("fstat", "")
}

/// A second handle of the same root.
fn same(root: &RootDir) -> Result<RootDir> {
    RootDir::open(fd_path(root.as_fd()))
}

fn not_a_directory(path: &Path) -> Error {
    Error::new(Kind::Conflict, format!("{} is not a directory", path.display()))
        .help("leave the slash at the end out, or name a directory")
}

/// Does the path itself say that it is a directory's?
fn asserts_directory(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.ends_with(b"/") || is_contents(path)
}

/// `DIR/.`, `.` and the root: what is in it is meant, not the directory itself.
fn is_contents(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes == b"." || bytes.ends_with(b"/.") || path.components().all(|part| part == Component::RootDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a file, a directory, and a directory's contents go.
    fn decide(root: &RootDir, path: &str, is_dir: bool, contents: bool) -> String {
        match Destination::decide(root, Path::new(path), &About { is_dir, contents }) {
            Ok(to) => format!("{} {}", to.directory.display(), to.rename.unwrap_or_default().display()),
            Err(error) => format!("ERROR {}", error.what()),
        }
    }

    #[test]
    fn dockers_rules() {
        let top = tempfile::tempdir().unwrap();
        std::fs::create_dir(top.path().join("dir")).unwrap();
        std::fs::write(top.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/dir", top.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/nowhere", top.path().join("dangling")).unwrap();
        let root = RootDir::open(top.path()).unwrap();
        for (path, file, dir) in [
            ("/dir", "/dir ", "/dir "),
            ("dir/", "dir/ ", "dir/ "),
            ("/link", "/link ", "/link "),
            ("/file", "/ file", "ERROR cannot copy a directory to /file, which is a file"),
            ("/file/", "ERROR /file/ is not a directory", "ERROR /file/ is not a directory"),
            ("/new", "/ new", "/ new"),
            ("/dir/new", "/dir new", "/dir new"),
            ("/new/", "ERROR destination directory /new/ must exist", "/ new"),
            ("/no/new", "ERROR no such directory: /no", "ERROR no such directory: /no"),
            ("/dangling", "/ nowhere", "/ nowhere"),
            ("", "/ ", "/ "),
            ("../../dir", "../../dir ", "../../dir "),
        ] {
            assert_eq!(decide(&root, path, false, false), file, "file to {path}");
            assert_eq!(decide(&root, path, true, false), dir, "directory to {path}");
        }
    }

    #[test]
    fn the_source() {
        let top = tempfile::tempdir().unwrap();
        std::fs::create_dir(top.path().join("dir")).unwrap();
        std::fs::write(top.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/dir", top.path().join("link")).unwrap();
        let root = RootDir::open(top.path()).unwrap();
        let find = |path: &str, follow| {
            Origin::find(&root, Path::new(path), follow).map(|found| (found.name.clone(), found.about().is_dir))
        };
        assert_eq!(find("/dir/", false).unwrap(), ("dir".into(), true));
        assert_eq!(find("/dir/.", false).unwrap(), (".".into(), true));
        assert_eq!(find("/", false).unwrap(), (".".into(), true));
        assert_eq!(find("link", false).unwrap(), ("link".into(), false));
        assert_eq!(find("link", true).unwrap(), ("link".into(), true));
        assert_eq!(find("link/", false).unwrap(), ("link".into(), true));
        assert_eq!(find("file/", false).unwrap_err().errno(), Some(Errno::ENOTDIR));
        assert_eq!(find("nothing", false).unwrap_err().kind(), Kind::NotFound);
    }
}
