//! The directory that a layer becomes: every step into it is by handle, and no link leads out.

use std::collections::HashSet;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, readlink};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstatat, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use process::{Error, OrCall, Result, explain};
use rootfs::{RootDir, fd_path};

use super::corrupt;
use super::name::Name;
use crate::{overlay, sys};

/// A layer's directory while it is being filled.
pub struct Tree {
    root: RootDir,
    /// The directory used last; the next entry mostly lies in the same one.
    last: Option<(PathBuf, Rc<OwnedFd>)>,
    /// Directories that were needed before the archive had them, if it ever does.
    implied: HashSet<PathBuf>,
    /// How deep a directory may lie, counted from the machine's root.
    depth: usize,
}

/// More directories than any honest archive uses without having them: each is remembered.
const MOST_IMPLIED: usize = 1 << 18;

impl Tree {
    /// Fills `dir`, which exists, with directories in at most `depth` others.
    pub fn open(dir: &Path, depth: usize) -> Result<Self> {
        let root = RootDir::open(dir)?;
        let depth = place(root.as_fd())?.saturating_add(depth);
        // The root itself may not be in the archive either.
        Ok(Self { root, last: None, implied: HashSet::from([PathBuf::new()]), depth })
    }

    /// The name as a person shall see it.
    pub fn show(name: &Name) -> String {
        format!("{:?}", Path::new("/").join(name.path()))
    }

    /// The layer's root.
    pub fn root(&self) -> &RootDir {
        &self.root
    }

    /// The directories that the archive did not have.
    pub fn into_implied(self) -> Vec<PathBuf> {
        let mut implied: Vec<_> = self.implied.into_iter().collect();
        implied.sort();
        implied
    }

    /// The archive has this directory after all.
    pub fn has(&mut self, name: &Name) {
        self.implied.remove(name.path());
    }

    /// A handle of the directory `name`, which is made with its parents where it is missing.
    pub fn directory(&mut self, name: &Name) -> Result<Rc<OwnedFd>> {
        if let Some((path, fd)) = &self.last
            && path == name.path()
        {
            return Ok(fd.clone());
        }
        let fd = match self.look(name.path()) {
            Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::ENOTDIR)) => self.make_parents(name)?,
            found => found?,
        };
        let fd = Rc::new(fd);
        self.last = Some((name.path().to_owned(), fd.clone()));
        Ok(fd)
    }

    /// A handle of a directory that exists; links in the path are followed inside the root.
    pub fn look(&self, path: &Path) -> Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        self.root.open_at(path, OFlag::O_PATH | OFlag::O_DIRECTORY)
    }

    fn make_parents(&mut self, name: &Name) -> Result<OwnedFd> {
        for step in name.steps() {
            match self.look(step.path()) {
                Err(error) if error.errno() == Some(Errno::ENOENT) => self.make_implied(&step, false)?,
                Err(error) if error.errno() == Some(Errno::ENOTDIR) => {
                    let parent = self.look(step.parent().path())?;
                    // A deletion came first and files of the same layer after it: both hold.
                    if !is_whiteout(&stat(parent.as_fd(), step.file_name(), &step)?) {
                        return Err(error);
                    }
                    remove(parent.as_fd(), step.file_name(), &step)?;
                    self.make_implied(&step, true)?;
                }
                found => drop(found?),
            }
        }
        self.look(name.path())
    }

    fn make_implied(&mut self, step: &Name, opaque: bool) -> Result<()> {
        if self.implied.len() == MOST_IMPLIED {
            return Err(corrupt(&format!("it lacks more than {MOST_IMPLIED} of the directories that it uses")));
        }
        let parent = self.look(step.parent().path())?;
        self.make_directory(parent.as_fd(), step)?;
        let mode = Mode::from_bits_truncate(0o755);
        fchmodat(&parent, step.file_name(), mode, FchmodatFlags::FollowSymlink)
            .or_call("fchmodat", Self::show(step))?;
        if opaque {
            self.make_opaque(parent.as_fd(), step)?;
        }
        self.implied.insert(step.path().to_owned());
        Ok(())
    }

    /// `mkdirat(2)` for the owner alone; whoever asked sets mode and owner.
    pub fn make_directory(&self, parent: BorrowedFd<'_>, name: &Name) -> Result<()> {
        // The name was bounded, but links in it may lead from depth to depth.
        if place(parent)? >= self.depth {
            return Err(corrupt(&format!("the directory {} is too deep", Self::show(name))));
        }
        match mkdirat(parent, name.file_name(), Mode::S_IRWXU) {
            // Somebody looked for a directory and found none: only such a link is nothing and yet there.
            Err(Errno::EEXIST) => Err(corrupt(&format!("{} is a link that leads nowhere", Self::show(name)))),
            made => made.or_call("mkdirat", Self::show(name)),
        }
    }

    /// Marks a directory so that nothing of the layers below shows through.
    pub fn make_opaque(&self, parent: BorrowedFd<'_>, name: &Name) -> Result<()> {
        // The layer's root has no name; it is what the handle leads to.
        let file = if name.is_root() { OsStr::new(".") } else { name.file_name() };
        let path = c_path(fd_path(parent).join(file))?;
        let mark = overlay::opaque();
        explain!(
            7,
            "hides what the layers below have in it",
            "lsetxattr({}, {})",
            Self::show(name),
            mark.to_string_lossy()
        );
        sys::lsetxattr(&path, mark, b"y")
            .or_call("lsetxattr", format!("{} of {}", mark.to_string_lossy(), Self::show(name)))
            .map_err(|error| error.help("the file system of the engine's data must know extended attributes"))
    }

    /// Hides what the layers below have under this name, unless this layer has something of its own there.
    pub fn whiteout(&mut self, name: &Name) -> Result<()> {
        let parent = self.directory(&name.parent())?;
        match fstatat(&*parent, name.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) if is_directory(&stat) => self.make_opaque(parent.as_fd(), name),
            Ok(_) => Ok(()),
            Err(Errno::ENOENT) => {
                explain!(7, "a file of a layer below is deleted", "mknodat({}, char 0:0)", Self::show(name));
                mknodat(&*parent, name.file_name(), SFlag::S_IFCHR, Mode::empty(), 0)
                    .or_call("mknodat", format!("char 0:0 for {}", Self::show(name)))
                    .map_err(|error| error.help("an ordinary user may do this since Linux 5.8"))
            }
            Err(errno) => Err(Error::call("fstatat", Self::show(name), errno)),
        }
    }

    /// Makes room for a new file: what stands there goes, with everything in it.
    pub fn clear(&mut self, parent: BorrowedFd<'_>, name: &Name) -> Result<()> {
        match fstatat(parent, name.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(()),
            found => found.or_call("fstatat", Self::show(name))?,
        };
        self.last = None; // its path may have led through what goes
        remove(parent, name.file_name(), name)?;
        self.implied.retain(|path| !path.starts_with(name.path()));
        Ok(())
    }
}

/// In how many directories this one lies. One whose path the kernel cannot say lies in too many.
fn place(dir: BorrowedFd<'_>) -> Result<usize> {
    match readlink(&fd_path(dir)) {
        Ok(path) => Ok(Path::new(&path).components().count()),
        Err(Errno::ENAMETOOLONG) => Ok(usize::MAX),
        Err(errno) => Err(Error::call("readlink", fd_path(dir).display(), errno)),
    }
}

/// `fstatat(2)` of the thing itself, not of what a link points to.
pub fn stat(parent: BorrowedFd<'_>, name: &OsStr, shown: &Name) -> Result<FileStat> {
    fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).or_call("fstatat", Tree::show(shown))
}

/// Overlayfs's mark for a deleted file: a character device with the number 0:0.
pub fn is_whiteout(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT) == SFlag::S_IFCHR && stat.st_rdev == 0
}

/// Is it a directory?
pub fn is_directory(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT) == SFlag::S_IFDIR
}

/// Removes a file, or a directory with everything in it, without following a link.
fn remove(parent: BorrowedFd<'_>, name: &OsStr, shown: &Name) -> Result<()> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR | Errno::EPERM) => {}
        done => return done.or_call("unlinkat", Tree::show(shown)),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut dir = Dir::openat(parent, name, flags, Mode::empty()).or_call("openat", Tree::show(shown))?;
    let entries: Vec<_> = dir.iter().collect::<Result<_, _>>().or_call("getdents", Tree::show(shown))?;
    let names = entries.iter().map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()));
    for inner in names.filter(|name| *name != "." && *name != "..") {
        remove(dir.as_fd(), inner, shown)?;
    }
    unlinkat(parent, name, UnlinkatFlags::RemoveDir).or_call("unlinkat", Tree::show(shown))
}

/// A path for a call that takes no descriptor.
pub fn c_path(path: PathBuf) -> Result<CString> {
    use std::os::unix::ffi::OsStringExt;
    CString::new(path.into_os_string().into_vec()).map_err(|_| Error::invalid("a path holds a NUL byte"))
}

/// The name of an attribute for the kernel.
pub fn c_name(name: &[u8]) -> Option<CString> {
    CString::new(name).ok()
}

/// Is it one of overlayfs's own marks, which must come from us alone?
pub fn is_overlay_mark(name: &CStr) -> bool {
    let name = name.to_bytes();
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}
