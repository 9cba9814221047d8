//! One entry of the archive after the other becomes a file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, makedev, mknodat};
use nix::unistd::{linkat, symlinkat};
use process::{OrCall, Result};
use tar::EntryType;

use super::archive::Entry;
use super::attributes::Made;
use super::name::{Meaning, Name};
use super::tree::{Tree, is_directory, is_whiteout, stat};
use super::{Limits, Unpacked, bomb, corrupt, sparse};

/// A layer on its way from an archive into a directory.
pub struct Apply {
    tree: Tree,
    limits: Limits,
    done: Unpacked,
    /// Directories' times are set last: every file made in one changes them.
    dates: HashMap<PathBuf, (i64, i64)>,
}

impl Apply {
    /// Unpacks into `dir`.
    pub fn new(dir: &Path, limits: Limits) -> Result<Self> {
        Ok(Self { tree: Tree::open(dir, limits.depth)?, limits, done: Unpacked::default(), dates: HashMap::new() })
    }

    /// Makes what one entry describes; `data` are its contents.
    pub fn entry(&mut self, entry: &Entry, data: &mut impl Read) -> Result<()> {
        self.done.files += 1;
        if self.done.files > self.limits.files {
            return Err(bomb("files", "FILES"));
        }
        match Name::new(&entry.path, self.limits.depth)?.meaning()? {
            Meaning::Nothing => Ok(()),
            Meaning::Whiteout(name) => self.tree.whiteout(&name),
            Meaning::Opaque(name) => {
                let dir = self.tree.directory(&name)?;
                self.tree.make_opaque(dir.as_fd(), &Name::new(b"", 0)?)
            }
            Meaning::File(name) if entry.kind == EntryType::Directory => self.directory(&name, entry),
            Meaning::File(name) if name.is_root() => Err(corrupt("its root is not a directory")),
            Meaning::File(name) => self.file(&name, entry, data),
        }
    }

    /// Sets the directories' times; what remains is for [`complete`](super::complete).
    pub fn finish(mut self) -> Result<Unpacked> {
        for (path, date) in &self.dates {
            // It may have been replaced by something else meanwhile.
            let Ok(dir) = self.tree.look(path) else { continue };
            let name = Name::new(b"", 0)?;
            Made { parent: dir.as_fd(), file: ".".as_ref(), name: &name }.date(*date)?;
        }
        self.done.implied = self.tree.into_implied();
        Ok(self.done)
    }

    fn directory(&mut self, name: &Name, entry: &Entry) -> Result<()> {
        self.dates.insert(name.path().to_owned(), entry.mtime);
        self.tree.has(name);
        if name.is_root() {
            let root = self.tree.root();
            let made = Made { parent: root.as_fd(), file: ".".as_ref(), name };
            self.done.xattrs += made.describe(entry, false)?;
            return Ok(());
        }
        let parent = self.tree.directory(&name.parent())?;
        match stat(parent.as_fd(), name.file_name(), name) {
            Ok(found) if is_directory(&found) => {}
            Err(error) if error.errno() == Some(Errno::ENOENT) => self.tree.make_directory(parent.as_fd(), name)?,
            found => {
                let whiteout = is_whiteout(&found?);
                self.tree.clear(parent.as_fd(), name)?;
                self.tree.make_directory(parent.as_fd(), name)?;
                // The same layer deletes a directory and makes it anew: the old contents stay hidden.
                if whiteout {
                    self.tree.make_opaque(parent.as_fd(), name)?;
                }
            }
        }
        let made = Made { parent: parent.as_fd(), file: name.file_name(), name };
        self.done.xattrs += made.describe(entry, false)?;
        Ok(())
    }

    /// Everything but a directory replaces whatever stood there.
    fn file(&mut self, name: &Name, entry: &Entry, data: &mut impl Read) -> Result<()> {
        let parent = self.tree.directory(&name.parent())?;
        if entry.kind == EntryType::Link {
            return self.hard_link(name, entry);
        }
        self.tree.clear(parent.as_fd(), name)?;
        match entry.kind {
            EntryType::Regular => self.regular(name, entry, data)?,
            EntryType::Symlink => {
                let target = link_target(entry, name)?;
                symlinkat(target, &*parent, name.file_name()).or_call("symlinkat", Tree::show(name))?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                if !self.node(name, entry)? {
                    return Ok(());
                }
            }
            kind => {
                return Err(corrupt(&format!(
                    "{} is of the unknown type {:?}",
                    Tree::show(name),
                    kind.as_byte() as char
                )));
            }
        }
        let made = Made { parent: parent.as_fd(), file: name.file_name(), name };
        self.done.xattrs += made.describe(entry, entry.kind == EntryType::Symlink)?;
        made.date(entry.mtime)
    }

    fn regular(&mut self, name: &Name, entry: &Entry, data: &mut impl Read) -> Result<()> {
        let parent = self.tree.directory(&name.parent())?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let what = Tree::show(name);
        let fd = openat(&*parent, name.file_name(), flags, Mode::S_IRUSR | Mode::S_IWUSR).or_call("openat", &what)?;
        let mut file = File::from(fd);
        self.done.size = self.done.size.saturating_add(entry.size);
        match &entry.sparse {
            Some(segments) => sparse::write(data, &mut file, segments, entry.size, &what),
            None => sparse::copy(data, &mut file, entry.size, &what),
        }
    }

    /// A device or a named pipe; false if it was left out.
    fn node(&mut self, name: &Name, entry: &Entry) -> Result<bool> {
        let kind = match entry.kind {
            EntryType::Char => SFlag::S_IFCHR,
            EntryType::Block => SFlag::S_IFBLK,
            _ => SFlag::S_IFIFO,
        };
        let device = makedev(entry.device.0.into(), entry.device.1.into());
        // To overlayfs this would be a deletion, and those have a mark of their own in an archive.
        if kind == SFlag::S_IFCHR && device == 0 {
            self.done.devices += 1;
            return Ok(false);
        }
        let parent = self.tree.directory(&name.parent())?;
        match mknodat(&*parent, name.file_name(), kind, Mode::S_IRUSR | Mode::S_IWUSR, device) {
            // Only root of the machine makes devices (mknod(2)). A container gets its /dev from us anyway.
            Err(Errno::EPERM) if kind != SFlag::S_IFIFO => {
                self.done.devices += 1;
                Ok(false)
            }
            done => done.or_call("mknodat", Tree::show(name)).map(|()| true),
        }
    }

    /// A second name of a file. If this layer does not have the file, a layer below must: that waits.
    fn hard_link(&mut self, name: &Name, entry: &Entry) -> Result<()> {
        let target = Name::new(&entry.link, self.limits.depth)?;
        if target.is_root() || target == *name {
            return Err(corrupt(&format!("the hard link {} leads to {}", Tree::show(name), Tree::show(&target))));
        }
        let found = match self.tree.look(target.parent().path()) {
            Ok(dir) => stat(dir.as_fd(), target.file_name(), &target).map(|found| (dir, found)),
            Err(error) => Err(error),
        };
        match found {
            Ok((_, stat)) if is_whiteout(&stat) || is_directory(&stat) => {
                Err(corrupt(&format!("the hard link {} leads to no file: {}", Tree::show(name), Tree::show(&target))))
            }
            Ok((dir, _)) => {
                let parent = self.tree.directory(&name.parent())?;
                self.tree.clear(parent.as_fd(), name)?;
                linkat(&dir, target.file_name(), &*parent, name.file_name(), AtFlags::empty())
                    .or_call("linkat", format!("{} to {}", Tree::show(&target), Tree::show(name)))
            }
            Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::ENOTDIR)) => {
                let parent = self.tree.directory(&name.parent())?;
                self.tree.clear(parent.as_fd(), name)?;
                self.done.links.push((name.path().to_owned(), target.path().to_owned()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// The target of a symbolic link: any bytes but NUL, and not empty.
fn link_target<'a>(entry: &'a Entry, name: &Name) -> Result<&'a OsStr> {
    if entry.link.is_empty() || entry.link.contains(&0) {
        return Err(corrupt(&format!("the symbolic link {} leads nowhere", Tree::show(name))));
    }
    Ok(OsStr::from_bytes(&entry.link))
}
