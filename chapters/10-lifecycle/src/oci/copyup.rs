//! `tmpcopyup`: a new tmpfs begins with what the directory below it has. All by handle, no link followed.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, fstatat, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat, symlinkat};
use process::{OrCall, Result};

/// Copies what is in the directory `from` into the directory `to`: contents, owners, modes, times, links and nodes.
///
/// # Errors
/// As openat(2), read(2), write(2) and so on: `ENOSPC` if it does not fit.
pub fn copy(from: &OwnedFd, to: &OwnedFd, show: &Path) -> Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut dir = Dir::openat(from, ".", flags, Mode::empty()).or_call("openat", show.display())?;
    for entry in dir.iter() {
        let entry = entry.or_call("getdents", show.display())?;
        let name = Path::new(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes())).to_owned();
        if name != Path::new(".") && name != Path::new("..") {
            one(from, to, &name, entry.file_type(), &show.join(&name))?;
        }
    }
    Ok(())
}

fn one(from: &OwnedFd, to: &OwnedFd, name: &Path, kind: Option<Type>, show: &Path) -> Result<()> {
    let about = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW).or_call("fstatat", show.display())?;
    let mode = Mode::from_bits_truncate(about.st_mode);
    let format = SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT;
    match format {
        SFlag::S_IFDIR => {
            mkdirat(to, name, Mode::S_IRWXU).or_call("mkdirat", show.display())?;
            let directory = |parent: &OwnedFd| {
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                openat(parent, name, flags, Mode::empty()).or_call("openat", show.display())
            };
            copy(&directory(from)?, &directory(to)?, show)?;
        }
        SFlag::S_IFLNK => {
            let target = readlinkat(from.as_fd(), name).or_call("readlinkat", show.display())?;
            symlinkat(target.as_os_str(), to, name).or_call("symlinkat", show.display())?;
        }
        SFlag::S_IFREG => contents(from, to, name, show)?,
        SFlag::S_IFSOCK => return Ok(()), // nobody answers there any more
        _ if kind.is_some() => mknodat(to, name, format, mode, about.st_rdev).or_call("mknodat", show.display())?,
        _ => return Ok(()),
    }
    let (uid, gid) = (Some(Uid::from_raw(about.st_uid)), Some(Gid::from_raw(about.st_gid)));
    fchownat(to, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW).or_call("fchownat", show.display())?;
    if format != SFlag::S_IFLNK {
        // After the owner: chown(2) takes set-user-ID bits away.
        fchmodat(to, name, mode, FchmodatFlags::FollowSymlink).or_call("fchmodat", show.display())?;
    }
    let time = |seconds, nanoseconds| TimeSpec::new(seconds, nanoseconds);
    let (accessed, modified) = (time(about.st_atime, about.st_atime_nsec), time(about.st_mtime, about.st_mtime_nsec));
    utimensat(to, name, &accessed, &modified, UtimensatFlags::NoFollowSymlink).or_call("utimensat", show.display())
}

fn contents(from: &OwnedFd, to: &OwnedFd, name: &Path, show: &Path) -> Result<()> {
    let read = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let write = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut source = File::from(openat(from, name, read, Mode::empty()).or_call("openat", show.display())?);
    let mut copy =
        File::from(openat(to, name, write, Mode::S_IRUSR | Mode::S_IWUSR).or_call("openat", show.display())?);
    std::io::copy(&mut source, &mut copy).or_call("copy", show.display()).map(drop)
}
