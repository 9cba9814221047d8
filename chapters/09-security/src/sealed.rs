//! The engine's own program file, out of reach of what runs inside (CVE-2019-5736).
//!
//! A process that enters a container still runs the engine's file, and /proc/PID/exe leads to it: also for root in the
//! container, who could wait until nobody executes it any more and then write to it. So, before anything else, the
//! engine executes itself anew from a file that nobody can write: a read-only mount of its file that is attached
//! nowhere, or, where making one is not permitted, a copy in memory that is sealed.
//!
//! Whether that has happened is not remembered in a variable, which a caller could set; it is looked up in what the
//! kernel says about /proc/self/exe.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use namespaces::mount::{Mount, RDONLY};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, F_ADD_SEALS, F_GET_SEALS, OFlag, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{execveat, geteuid};
use process::{Error, OrCall, Result, explain};
use rootfs::fd_path;

use crate::sys;

const EXE: &str = "/proc/self/exe";

/// Why nobody inside can write the file that this process executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is reached by a read-only mount only, which is attached nowhere.
    Mount,
    /// It is a copy in memory, sealed (memfd_create(2)).
    Memory,
    /// It belongs to the machine's root, and no container of this user has anybody who may write it.
    Owner,
}

/// Makes sure that the file this process executes cannot be written from inside a container. To be called before the
/// first thread is made: the first time it does not return, but begins the program anew with the same arguments,
/// environment and descriptors.
///
/// # Errors
/// As open_tree(2), memfd_create(2) and execveat(2).
pub fn ensure() -> Result<()> {
    let exe = open(EXE, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", EXE)?;
    if let Some(seal) = seal_of(&exe)? {
        let what = match seal {
            How::Mount => "a read-only mount that is attached nowhere",
            How::Memory => "a sealed copy in memory",
            How::Owner => "the host's root's, whom no container of ours knows",
        };
        explain!(9, "nobody inside can write this program", "readlink({EXE}): {what}");
        return Ok(());
    }
    if sys::executed_as().to_bytes().starts_with(b"/dev/fd/") {
        // We come from here, and what was sealed is not: rather an end than a circle.
        return Err(Error::unsupported(format!("{EXE} is not what was executed")).help("is /proc mounted?"));
    }
    let sealed = match read_only_mount(&exe) {
        Err(error) if matches!(error.errno(), Some(Errno::EPERM | Errno::ENOSYS | Errno::EINVAL)) => copy_in_memory()?,
        made => made?,
    };
    if seal_of(&sealed)?.is_none() {
        return Err(Error::unsupported("a sealed program file could not be made"));
    }
    Err(execute(&sealed))
}

/// Is the file behind this handle out of reach, and why?
fn seal_of(exe: &OwnedFd) -> Result<Option<How>> {
    if is_detached(exe)? && fstatvfs(exe).or_call("fstatvfs", EXE)?.flags().contains(FsFlags::ST_RDONLY) {
        return Ok(Some(How::Mount));
    }
    if is_foreign(exe)? {
        return Ok(Some(How::Owner));
    }
    // Seals are asked of an open file, not of a handle; only memfd's have any.
    let file = open(&fd_path(exe), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    let seals = file.and_then(|file| fcntl(file, F_GET_SEALS)).unwrap_or(0);
    Ok(SealFlag::from_bits_retain(seals).contains(SEALS).then_some(How::Memory))
}

const SEALS: SealFlag =
    SealFlag::F_SEAL_SEAL.union(SealFlag::F_SEAL_SHRINK).union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_WRITE);

/// The root of a mount that is attached nowhere has the path `/`: there is nothing above it. A file that is
/// attached anywhere has a name.
fn is_detached(exe: &OwnedFd) -> Result<bool> {
    let path = std::fs::read_link(fd_path(exe)).or_call("readlink", EXE)?;
    Ok(path == Path::new("/"))
}

/// An ordinary user's containers know the user and the subordinate ids, none of which owns a file of root.
fn is_foreign(exe: &OwnedFd) -> Result<bool> {
    let about = fd_path(exe).metadata().or_call("stat", EXE)?;
    Ok(!geteuid().is_root() && about.uid() == 0 && about.gid() == 0 && about.mode() & 0o022 == 0)
}

/// A mount of this one file, read-only, attached nowhere.
fn read_only_mount(exe: &OwnedFd) -> Result<OwnedFd> {
    let mount = Mount::tree(exe, EXE, false)?;
    mount.set(RDONLY, false)?;
    explain!(9, "this program, by a mount that nobody can write", "mount_setattr(open_tree({EXE}), RDONLY)");
    mount.as_fd().try_clone_to_owned().or_call("dup", "the mount")
}

fn copy_in_memory() -> Result<OwnedFd> {
    let name = own_name();
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let exec = MFdFlags::from_bits_retain(libc::MFD_EXEC);
    // Before Linux 6.3 there was no such flag: what is in memory could be executed.
    let made = memfd_create(name.as_c_str(), flags | exec).or_else(|errno| match errno {
        Errno::EINVAL => memfd_create(name.as_c_str(), flags),
        other => Err(other),
    });
    let memory = made.or_call("memfd_create", name.to_string_lossy()).map_err(|error| match error.errno() {
        Some(Errno::EACCES) => {
            error.help("vm.memfd_noexec forbids it; let root install the program, mode 0755: then no copy is needed")
        }
        _ => error,
    })?;
    let mut file = File::open(EXE).or_call("open", EXE)?;
    let mut copy = File::from(memory);
    let size = std::io::copy(&mut file, &mut copy).or_call("copy", EXE)?;
    fcntl(&copy, F_ADD_SEALS(SEALS)).or_call("fcntl", "F_ADD_SEALS")?;
    explain!(9, "a copy of this program that nobody can write", "memfd_create({name:?}), {size} bytes, F_ADD_SEALS");
    // Opened anew and only for reading: what is open for writing is not executed (ETXTBSY).
    let read = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    open(&fd_path(&copy), read, Mode::empty()).or_call("open", "the copy")
}

/// The program anew, from `file`. Returns only if that failed.
fn execute(file: &OwnedFd) -> Error {
    let strings = |items: Vec<Vec<u8>>| items.into_iter().map(|item| CString::new(item).unwrap_or_default()).collect();
    let argv: Vec<CString> = strings(std::env::args_os().map(OsStringExt::into_vec).collect());
    let variable =
        |(name, value): (std::ffi::OsString, std::ffi::OsString)| [name.as_bytes(), b"=", value.as_bytes()].concat();
    let env: Vec<CString> = strings(std::env::vars_os().map(variable).collect());
    // Rust's runtime has ignored SIGPIPE, and the next life would take that for its caller's wish.
    let _ = process::sys::default_action(nix::sys::signal::Signal::SIGPIPE);
    match execveat(file, c"", &argv, &env, AtFlags::AT_EMPTY_PATH) {
        Ok(never) => match never {},
        Err(errno) => Error::call("execveat", "the sealed program", errno)
            .help("a file system or a policy that forbids it; see execveat(2)"),
    }
}

/// What `ps` shall call us: the name that we were called by.
fn own_name() -> CString {
    let name = std::env::args_os().next();
    let name = name.as_deref().map(Path::new).and_then(Path::file_name).unwrap_or(OsStr::new("cooper"));
    CString::new(name.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(path: &Path) -> OwnedFd {
        open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).unwrap()
    }

    #[test]
    fn an_ordinary_file_of_ours_is_not_sealed() {
        let exe = handle(Path::new(EXE));
        let about = Path::new(EXE).metadata().unwrap();
        if about.uid() == geteuid().as_raw() {
            assert_eq!(seal_of(&exe).unwrap(), None);
        }
    }

    #[test]
    fn a_copy_in_memory_is_sealed_for_good() {
        let copy = copy_in_memory().unwrap();
        assert_eq!(seal_of(&copy).unwrap(), Some(How::Memory));
        let write = open(&fd_path(&copy), OFlag::O_RDWR, Mode::empty());
        if let Ok(file) = write {
            assert_eq!(nix::unistd::write(&file, b"x"), Err(Errno::EPERM));
        }
        assert!(nix::unistd::truncate(&fd_path(&copy), 0).is_err());
    }

    #[test]
    fn a_memory_file_without_seals_is_not() {
        let open = memfd_create(c"open", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
        assert_eq!(seal_of(&open).unwrap(), None);
    }

    #[test]
    fn a_read_only_mount_is_sealed_if_it_is_attached_nowhere() {
        // An ordinary user may make none.
        let Ok(mount) = read_only_mount(&handle(Path::new(EXE))) else { return };
        assert_eq!(seal_of(&mount).unwrap(), Some(How::Mount));
        let write = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let refused = open(&fd_path(&mount), write, Mode::empty()).unwrap_err();
        assert!([Errno::EROFS, Errno::ETXTBSY].contains(&refused), "{refused}");
        let writable = Mount::tree(handle(Path::new(EXE)), EXE, false).unwrap();
        assert_eq!(seal_of(&writable.as_fd().try_clone_to_owned().unwrap()).unwrap(), None);
    }
}
