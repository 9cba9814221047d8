//! The new root while it grows: each file goes where this machine has it, with every link on the way.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::fs::{File, FileTimes, Metadata, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmod, fchmodat, makedev, mknodat};
use nix::unistd::{linkat, symlinkat};
use process::{Error, OrCall, Result};

use crate::RootDir;

/// How many links a path may lead through, as for the kernel (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// Set-user-ID and set-group-ID.
const SETID: u32 = 0o6000;

/// A directory that becomes a root. Every path is one of the root, written by handle beneath it.
pub struct Tree {
    root: RootDir,
    made: BTreeSet<PathBuf>,
    links: HashMap<(u64, u64), PathBuf>,
    /// Whether programs may keep their set-user-ID bits.
    pub keep_setuid: bool,
    /// The programs that lost them.
    pub stripped: Vec<PathBuf>,
    /// The sizes of all files, in bytes.
    pub bytes: u64,
}

impl Tree {
    /// A tree in the empty directory `root`.
    pub fn new(root: RootDir, keep_setuid: bool) -> Self {
        Self { root, made: BTreeSet::new(), links: HashMap::new(), keep_setuid, stripped: vec![], bytes: 0 }
    }

    /// Brings what this machine has at the absolute path `path`: directories, links as they are, the file.
    ///
    /// A link's target is brought too; since every path stays what it was, links mean the same inside.
    ///
    /// # Errors
    /// As lstat(2), readlink(2), open(2) of the machine's file and write(2) of the new one.
    pub fn mirror(&mut self, path: &Path) -> Result<()> {
        let mut here = PathBuf::from("/");
        let mut ahead: VecDeque<OsString> = parts(path).collect();
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            match part.as_encoded_bytes() {
                b"/" => here = "/".into(),
                b".." => _ = here.pop(),
                _ => {
                    let next = here.join(&part);
                    let about = next.symlink_metadata().or_call("lstat", next.display())?;
                    if about.is_symlink() {
                        links += 1;
                        if links > MOST_LINKS {
                            return Err(Error::call("readlink", path.display(), Errno::ELOOP));
                        }
                        let target = next.read_link().or_call("readlink", next.display())?;
                        self.link(&target, &next)?;
                        parts(&target).collect::<Vec<_>>().into_iter().rev().for_each(|part| ahead.push_front(part));
                    } else if about.is_dir() {
                        self.directory(&next, 0o755)?;
                        here = next;
                    } else {
                        self.copy(&next, &about)?;
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// A directory with this mode, and its parents, whatever our umask is.
    ///
    /// # Errors
    /// As [`RootDir::make_dir`] and fchmod(2).
    pub fn directory(&mut self, path: &Path, mode: u32) -> Result<OwnedFd> {
        if let Some(parent) = path.parent().filter(|parent| !self.made.contains(*parent)) {
            self.directory(parent, 0o755)?;
        }
        let fd = self.root.make_dir(path)?;
        if self.made.insert(path.to_owned()) {
            let open = self.root.open_at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
            fchmod(&open, Mode::from_bits_truncate(mode)).or_call("fchmod", path.display())?;
        }
        Ok(fd)
    }

    /// A link at `path`, unless something is there already.
    ///
    /// # Errors
    /// As symlinkat(2).
    pub fn link(&mut self, target: &Path, path: &Path) -> Result<()> {
        let (parent, name) = self.place(path)?;
        match symlinkat(target, parent, name.as_os_str()) {
            Err(Errno::EEXIST) => Ok(()),
            done => done.or_call("symlinkat", path.display()),
        }
    }

    /// A file of our own with this text, mode 0644.
    ///
    /// # Errors
    /// As open(2) and write(2).
    pub fn text(&mut self, path: &str, text: &str) -> Result<()> {
        use std::io::Write;
        let mut file = self.create(Path::new(path))?;
        file.write_all(text.as_bytes()).or_call("write", path)?;
        self.bytes += text.len() as u64;
        file.set_permissions(Permissions::from_mode(0o644)).or_call("fchmod", path)
    }

    /// A character device, mode 0666; false where that is not allowed, as in a user namespace.
    ///
    /// # Errors
    /// As mknodat(2) and fchmodat(2).
    pub fn device(&mut self, path: &str, major: u64, minor: u64) -> Result<bool> {
        let (parent, name) = self.place(Path::new(path))?;
        let mode = Mode::from_bits_truncate(0o666);
        match mknodat(&parent, name.as_os_str(), SFlag::S_IFCHR, mode, makedev(major, minor)) {
            Err(Errno::EPERM) => return Ok(false),
            done => done.or_call("mknodat", path)?,
        }
        // The umask has had its say; the node is ours alone still, so its name is as good as a handle.
        fchmodat(&parent, name.as_os_str(), mode, FchmodatFlags::FollowSymlink).or_call("fchmodat", path)?;
        Ok(true)
    }

    /// Copies a regular file, once; two names of one file stay two names of one file.
    fn copy(&mut self, path: &Path, about: &Metadata) -> Result<()> {
        if !about.is_file() {
            return Err(Error::invalid(format!("{} is no regular file", path.display())));
        }
        if self.made.contains(path) {
            return Ok(());
        }
        let first = self.links.get(&(about.dev(), about.ino())).cloned();
        match first.filter(|_| about.nlink() > 1) {
            Some(first) => {
                let (from, to) = (self.place(&first)?, self.place(path)?);
                linkat(from.0, from.1.as_os_str(), to.0, to.1.as_os_str(), AtFlags::empty())
                    .or_call("linkat", path.display())?;
            }
            None => self.copy_contents(path, about)?,
        }
        self.links.insert((about.dev(), about.ino()), path.to_owned());
        self.made.insert(path.to_owned());
        Ok(())
    }

    fn copy_contents(&mut self, path: &Path, about: &Metadata) -> Result<()> {
        let mut from = File::open(path).or_call("open", path.display())?;
        let mut to = self.create(path)?;
        // Uses copy_file_range(2), which shares the blocks where the file system can, and else copies in the kernel.
        self.bytes += std::io::copy(&mut from, &mut to).or_call("copy_file_range", path.display())?;
        let mut mode = about.mode() & 0o7777;
        if mode & SETID != 0 {
            if self.keep_setuid {
                fchown(&to, Some(about.uid()), Some(about.gid())).or_call("fchown", path.display())?;
            } else {
                mode &= !SETID;
                self.stripped.push(path.to_owned());
            }
        }
        to.set_permissions(Permissions::from_mode(mode)).or_call("fchmod", path.display())?;
        // As old as the original, so that two roots of one machine are alike.
        let times = about.modified().map(|modified| FileTimes::new().set_modified(modified));
        times.and_then(|times| to.set_times(times)).or_call("futimens", path.display())
    }

    fn create(&mut self, path: &Path) -> Result<File> {
        self.place(path)?;
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY;
        Ok(self.root.create_at(path, flags, Mode::from_bits_truncate(0o600))?.into())
    }

    /// The directory that `path` lies in, made if need be, and its name there.
    fn place(&mut self, path: &Path) -> Result<(OwnedFd, OsString)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::invalid(format!("{} names no file", path.display())));
        };
        Ok((self.directory(parent, 0o755)?, name.to_owned()))
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// The names of a path, with `/` and `..` where they mean something.
fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    let meant = path.components().filter(|part| !matches!(part, Component::CurDir | Component::Prefix(_)));
    meant.map(|part| part.as_os_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Tree) {
        let new = tempfile::tempdir().unwrap();
        let root = RootDir::open(new.path()).unwrap();
        (new, Tree::new(root, false))
    }

    fn inside(new: &Path, path: &Path) -> PathBuf {
        new.join(path.strip_prefix("/").unwrap())
    }

    #[test]
    fn links_on_the_way_are_kept_and_their_targets_brought() {
        let host = tempfile::tempdir().unwrap();
        let at = |name: &str| host.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(at("usr/bin")).unwrap();
        std::fs::create_dir_all(at("etc")).unwrap();
        std::fs::write(at("usr/bin/mawk"), "program").unwrap();
        std::fs::set_permissions(at("usr/bin/mawk"), Permissions::from_mode(0o4755)).unwrap();
        std::fs::hard_link(at("usr/bin/mawk"), at("usr/bin/nawk")).unwrap();
        symlink("usr/bin", at("bin")).unwrap();
        symlink(at("etc/awk"), at("usr/bin/awk")).unwrap();
        symlink("../bin/../bin/mawk", at("etc/awk")).unwrap();
        let (new, mut tree) = tree();
        tree.mirror(&at("bin/awk")).unwrap();
        tree.mirror(&at("bin/awk")).unwrap();
        tree.mirror(&at("usr/bin/nawk")).unwrap();
        let copy = |name: &str| inside(new.path(), &at(name));
        assert_eq!(copy("bin").read_link().unwrap(), Path::new("usr/bin"));
        assert_eq!(copy("usr/bin/awk").read_link().unwrap(), at("etc/awk"));
        let about = copy("usr/bin/mawk").metadata().unwrap();
        assert_eq!((about.mode() & 0o7777, about.nlink()), (0o755, 2));
        assert_eq!((tree.bytes, tree.stripped.len()), (7, 1));
    }

    #[test]
    fn a_circle_of_links_and_a_pipe_are_errors() {
        let host = tempfile::tempdir().unwrap();
        let at = |name: &str| host.path().join(name);
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        let (_new, mut tree) = tree();
        assert_eq!(tree.mirror(&at("a")).unwrap_err().errno(), Some(Errno::ELOOP));
        assert!(tree.mirror(&at("pipe")).unwrap_err().what().contains("no regular file"));
    }
}
