//! A tar archive to files, each made beneath a root by handle.
//!
//! The archive may come from anywhere, and whoever has the root in use may change it meanwhile. So a name of the
//! archive that would lead elsewhere is refused, a directory on the way is found by openat2(2) with `RESOLVE_IN_ROOT`
//! each time, and the last name of a path is never followed: what is there is replaced, not written through.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{
    FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, futimens, makedev, mkdirat, mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, ftruncate, linkat, symlinkat, unlinkat};
use process::{Error, Kind, OrCall, Result};
use rootfs::fd_path;
use tar::{Archive, Entry, EntryType};

use super::pack::{is_kernels, os};
use super::place::{Destination, about};
use super::sys;

/// How files are made.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// With their owners, groups and extended attributes; otherwise they are root's (for an ordinary user's engine:
    /// the user's), and a program that would run as its owner does not.
    pub keep_owners: bool,
    /// Device nodes, too.
    pub devices: bool,
}

/// Makes what `archive` holds.
///
/// # Errors
/// A damaged archive, a name that leads elsewhere; as the calls that make files.
pub fn unpack(archive: &mut dyn Read, destination: &Destination, manner: &Manner) -> Result<()> {
    let mut unpack = Unpack { destination, manner, contents: None, times: Vec::new() };
    let mut archive = Archive::new(archive);
    for entry in archive.entries().or_call("read", "the archive")? {
        let entry = entry.or_call("read", "the archive")?;
        let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        unpack.entry(entry).map_err(|error| error.at(shown))?;
    }
    // What follows the end of an archive is read, too: whoever writes it must not find the pipe closed.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).or_call("read", "the archive")?;
    unpack.set_times()
}

struct Unpack<'a> {
    destination: &'a Destination,
    manner: &'a Manner,
    /// Is the first entry `.`: the directory itself? Then all others lie in it.
    contents: Option<bool>,
    /// Of directories, set last: each new name in one changes them.
    times: Vec<(PathBuf, TimeSpec)>,
}

/// What a header says.
struct Said {
    mode: Mode,
    uid: Uid,
    gid: Gid,
    time: TimeSpec,
    xattrs: Vec<(OsString, Vec<u8>)>,
}

impl Unpack<'_> {
    fn entry(&mut self, mut entry: Entry<'_, &mut dyn Read>) -> Result<()> {
        let path = self.rename(plain(Path::new(&os(&entry.path_bytes())))?);
        let Some(name) = path.file_name() else { return Ok(()) }; // the directory itself stays as it is
        let name = name.to_owned();
        let said = said(&mut entry)?;
        let kind = entry.header().entry_type();
        let parent = self.parent(&path)?;
        match kind {
            EntryType::Directory => {
                if self.directory(&parent, &name, &said)? {
                    self.times.push((path, said.time));
                }
                Ok(())
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.file(&parent, &name, &said, &mut entry)
            }
            EntryType::Symlink => {
                let target = os(&entry.link_name_bytes().unwrap_or_default());
                clear(&parent, &name)?;
                symlinkat(target.as_os_str(), &parent, name.as_os_str()).or_call("symlinkat", "")?;
                self.own_nameless(&parent, &name, &said, false)
            }
            EntryType::Link => {
                let target = self.rename(plain(Path::new(&os(&entry.link_name_bytes().unwrap_or_default())))?);
                self.link(&target, &parent, &name)
            }
            EntryType::Fifo => self.node(&parent, &name, SFlag::S_IFIFO, 0, &said),
            EntryType::Char | EntryType::Block => {
                if !self.manner.devices {
                    eprintln!("warning: {} is left out: it is a device", path.display());
                    return Ok(());
                }
                let number = |number: std::io::Result<Option<u32>>| u64::from(number.ok().flatten().unwrap_or(0));
                let device = makedev(number(entry.header().device_major()), number(entry.header().device_minor()));
                let kind = if kind == EntryType::Char { SFlag::S_IFCHR } else { SFlag::S_IFBLK };
                self.node(&parent, &name, kind, device, &said)
            }
            EntryType::XGlobalHeader => Ok(()),
            other => Err(Error::new(Kind::Corrupt, format!("an entry of kind {other:?}"))),
        }
    }

    /// The path beneath the destination's directory: with the other name, if it shall have one.
    fn rename(&mut self, path: PathBuf) -> PathBuf {
        let contents = *self.contents.get_or_insert(path.as_os_str().is_empty());
        match &self.destination.rename {
            None => path,
            Some(new) if contents => Path::new(new).join(path),
            Some(new) => Path::new(new).join(path.components().skip(1).collect::<PathBuf>()),
        }
    }

    /// The directory that `path` lies in, made where it is missing.
    fn parent(&self, path: &Path) -> Result<OwnedFd> {
        let above = self.destination.directory.join(path.parent().unwrap_or(Path::new("")));
        let handle = self.destination.root.make_dir(&above)?;
        if is_kernels(handle.as_fd())? {
            return Err(Error::invalid(format!("nothing can be copied to {}", above.display()))
                .help("what lies there is the kernel's own"));
        }
        Ok(handle)
    }

    /// True if it was made: one that was there stays as it is, but for what goes into it.
    fn directory(&self, parent: &OwnedFd, name: &OsStr, said: &Said) -> Result<bool> {
        match mkdirat(parent, name, Mode::S_IRWXU) {
            Ok(()) => {}
            Err(Errno::EEXIST) => {
                let there = openat(parent, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
                if about(there.or_call("openat", "")?)?.is_dir() {
                    return Ok(false);
                }
                return Err(Error::new(Kind::Conflict, "cannot overwrite a file or a link with a directory")
                    .help("remove what is there first"));
            }
            Err(errno) => return Err(Error::call("mkdirat", "", errno)),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = openat(parent, name, flags, Mode::empty()).or_call("openat", "")?;
        self.own(&File::from(made), said).map(|()| true)
    }

    fn file(&self, parent: &OwnedFd, name: &OsStr, said: &Said, data: &mut impl Read) -> Result<()> {
        if let Some(handle) = &self.destination.in_place {
            return overwrite(handle, data);
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match clear(parent, name) {
            Ok(()) => {}
            // Something is mounted on it, such as the engine's own /etc/hosts: its contents are meant.
            Err(error) if error.errno() == Some(Errno::EBUSY) => {
                let there = openat(parent, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
                return overwrite(&there.or_call("openat", "")?, data);
            }
            Err(error) => return Err(error),
        }
        let made = openat(parent, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).or_call("openat", "")?;
        let mut file = File::from(made);
        std::io::copy(data, &mut file).or_call("write", "")?;
        self.own(&file, said)?;
        futimens(&file, &said.time, &said.time).or_call("futimens", "")
    }

    /// Another name of a file that this archive has made.
    fn link(&self, target: &Path, parent: &OwnedFd, name: &OsStr) -> Result<()> {
        let (above, last) = (self.parent(target)?, target.file_name().unwrap_or_default());
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let first = openat(&above, last, flags, Mode::empty()).or_call("openat", target.display())?;
        if about(&first)?.is_dir() {
            return Err(Error::new(Kind::Corrupt, "a hard link to a directory"));
        }
        clear(parent, name)?;
        linkat(AT_FDCWD, &fd_path(&first), parent, name, AtFlags::AT_SYMLINK_FOLLOW).or_call("linkat", target.display())
    }

    fn node(&self, parent: &OwnedFd, name: &OsStr, kind: SFlag, device: u64, said: &Said) -> Result<()> {
        clear(parent, name)?;
        match mknodat(parent, name, kind, Mode::S_IRUSR, device) {
            Err(Errno::EPERM) => {
                eprintln!("warning: {} is left out: no device can be made here", name.display());
                return Ok(());
            }
            done => done.or_call("mknodat", "")?,
        }
        self.own_nameless(parent, name, said, true)
    }

    /// Owner before mode, since a change of owner takes set-user-ID away.
    fn own(&self, file: &File, said: &Said) -> Result<()> {
        let (uid, gid) = self.owner(said);
        fchown(file, Some(uid), Some(gid)).or_call("fchown", uid)?;
        if self.manner.keep_owners {
            for (name, value) in &said.xattrs {
                match sys::set(&fd_path(file), name, value) {
                    Ok(()) | Err(Errno::ENOTSUP | Errno::EPERM) => {} // not here, or not ours to give
                    refused => refused.or_call("setxattr", name.display())?,
                }
            }
        }
        nix::sys::stat::fchmod(file, self.mode(said)).or_call("fchmod", "")
    }

    /// The same for what is not opened: links, pipes, devices. The parent is a handle, and the name is not followed.
    fn own_nameless(&self, parent: &OwnedFd, name: &OsStr, said: &Said, mode: bool) -> Result<()> {
        let (uid, gid) = self.owner(said);
        fchownat(parent, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW).or_call("fchownat", uid)?;
        if mode {
            fchmodat(parent, name, self.mode(said), FchmodatFlags::NoFollowSymlink).or_call("fchmodat", "")?;
        }
        utimensat(parent, name, &said.time, &said.time, UtimensatFlags::NoFollowSymlink).or_call("utimensat", "")
    }

    fn owner(&self, said: &Said) -> (Uid, Gid) {
        if self.manner.keep_owners { (said.uid, said.gid) } else { (Uid::from_raw(0), Gid::from_raw(0)) }
    }

    /// A program that runs as its owner must not become root's by being copied.
    fn mode(&self, said: &Said) -> Mode {
        if self.manner.keep_owners { said.mode } else { said.mode - (Mode::S_ISUID | Mode::S_ISGID) }
    }

    fn set_times(&self) -> Result<()> {
        for (path, time) in self.times.iter().rev() {
            let above = self.parent(path)?;
            let name = path.file_name().unwrap_or_default();
            match utimensat(&above, name, time, time, UtimensatFlags::NoFollowSymlink) {
                Err(Errno::ENOENT) => {} // somebody else has removed it
                done => done.or_call("utimensat", path.display())?,
            }
        }
        Ok(())
    }
}

/// The plain names of a path of the archive. Docker's archives may begin with a slash; none may go up.
fn plain(path: &Path) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::new(Kind::Corrupt, "a name in the archive leads out of it"));
            }
        }
    }
    Ok(plain)
}

fn said(entry: &mut Entry<'_, &mut dyn Read>) -> Result<Said> {
    let header = entry.header();
    let number = |number: std::io::Result<u64>, what: &str| {
        number
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| Error::new(Kind::Corrupt, format!("the archive's {what}")))
    };
    let mode = Mode::from_bits_truncate(number(header.mode().map(u64::from), "mode")? & 0o7777);
    let (mut uid, mut gid) = (number(header.uid(), "owner")?, number(header.gid(), "group")?);
    let mut time = TimeSpec::new(header.mtime().unwrap_or(0).min(1 << 40).cast_signed(), 0);
    let mut xattrs = Vec::new();
    for record in entry.pax_extensions().or_call("read", "the archive")?.into_iter().flatten() {
        let record = record.or_call("read", "the archive")?;
        let value = record.value_bytes();
        let text = std::str::from_utf8(value).unwrap_or_default();
        match record.key().unwrap_or_default() {
            "uid" => uid = number(text.parse().map_err(std::io::Error::other), "owner")?,
            "gid" => gid = number(text.parse().map_err(std::io::Error::other), "group")?,
            "mtime" => time = exact(text).unwrap_or(time),
            key => xattrs.extend(key.strip_prefix("SCHILY.xattr.").map(|name| (OsString::from(name), value.to_vec()))),
        }
    }
    Ok(Said { mode, uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), time, xattrs })
}

/// `seconds.nanoseconds`, from 1970 on.
fn exact(text: &str) -> Option<TimeSpec> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(TimeSpec::new(seconds.parse().ok().filter(|seconds| (0..1 << 40).contains(seconds))?, nanos))
}

/// Takes away what is in the way of a new file; a directory is not.
fn clear(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EISDIR) => Err(Error::new(Kind::Conflict, "cannot overwrite a directory with a file")
            .help("remove the directory first, or name another path")),
        Err(errno) => Err(Error::call("unlinkat", name.display(), errno)),
    }
}

/// Writes into the very file that the handle is of. Nothing else than a regular file is opened for that.
fn overwrite(handle: &OwnedFd, data: &mut impl Read) -> Result<()> {
    if !about(handle)?.is_file() || is_kernels(handle.as_fd())? {
        return Err(Error::new(Kind::Conflict, "what is there is no regular file, or the kernel's own")
            .help("name another path"));
    }
    let mut file = File::options().write(true).open(fd_path(handle)).or_call("open", "")?;
    ftruncate(&file, 0).or_call("ftruncate", "")?;
    std::io::copy(data, &mut file).or_call("write", "").map(drop)
}
