//! Every `unsafe` line of the chapter: the mount calls by descriptor, and the pty's other end.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// Attributes of a mount (`MOUNT_ATTR_*`, mount_setattr(2)).
pub const RDONLY: u64 = 0x1;
/// No set-user-ID programs, no file capabilities.
pub const NOSUID: u64 = 0x2;
/// No device nodes.
pub const NODEV: u64 = 0x4;
/// No programs.
pub const NOEXEC: u64 = 0x8;

const AT_RECURSIVE: u32 = 0x8000;
const OPEN_TREE_CLONE: u32 = 1;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

/// Owns the descriptor that a call has just returned.
fn owned(result: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = Errno::result(result)?;
    // SAFETY: every caller passes what a kernel call returned as a new descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `open_tree(2)`: a detached copy of the mount at `fd`, with those below it if `recursive`.
pub fn open_tree(fd: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd, Errno> {
    let recursive = if recursive { AT_RECURSIVE } else { 0 };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32 | recursive;
    // SAFETY: the path is an empty C string, the descriptor is borrowed, so open.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, fd.as_raw_fd(), c"".as_ptr(), flags) })
}

/// `move_mount(2)`: attaches the detached mount `mount` on what `target` is a handle of.
pub fn move_mount(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let (empty, flags) = (c"".as_ptr(), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    // SAFETY: both paths are empty C strings, both descriptors are borrowed, so open.
    let done =
        unsafe { libc::syscall(libc::SYS_move_mount, mount.as_raw_fd(), empty, target.as_raw_fd(), empty, flags) };
    Errno::result(done).map(drop)
}

/// What mount_setattr(2) shall change of a mount.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// Attributes to set (`MOUNT_ATTR_*`).
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// The propagation type (`MS_PRIVATE` and so on, mount_namespaces(7)); 0 leaves it.
    pub propagation: u64,
    /// Owners appear as this user namespace maps them: an id-mapped mount.
    pub userns: Option<BorrowedFd<'a>>,
}

impl<'a> Change<'a> {
    /// These attributes are set.
    pub fn attributes(set: u64) -> Self {
        Self { set, ..Self::default() }
    }

    /// The propagation type.
    pub fn propagation(propagation: u64) -> Self {
        Self { propagation, ..Self::default() }
    }

    /// The owners.
    pub fn owners(userns: BorrowedFd<'a>) -> Self {
        Self { userns: Some(userns), ..Self::default() }
    }
}

/// `mount_setattr(2)` on the mount at `fd`, and on those below it if `recursive`.
///
/// # Errors
/// As mount_setattr(2).
pub fn mount_setattr(fd: BorrowedFd<'_>, change: Change<'_>, recursive: bool) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH as u32 | if recursive { AT_RECURSIVE } else { 0 };
    let attr = libc::mount_attr {
        attr_set: change.set | change.userns.map_or(0, |_| libc::MOUNT_ATTR_IDMAP),
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: change.userns.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: `attr` outlives the call, and its size is passed along; the path is an empty C string; the descriptors
    // are borrowed, so open.
    let done = unsafe {
        let size = size_of_val(&attr);
        libc::syscall(libc::SYS_mount_setattr, fd.as_raw_fd(), c"".as_ptr(), flags, &raw const attr, size)
    };
    Errno::result(done).map(drop)
}

/// `fsopen(2)`: the configuration of a new instance of a file system.
pub fn fsopen(fstype: &CStr) -> Result<OwnedFd, Errno> {
    // SAFETY: the name is a C string.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), FSOPEN_CLOEXEC) })
}

/// `fsconfig(2)`: sets an option, with a value or, without one, as a flag.
pub fn fsconfig_set(fs: BorrowedFd<'_>, key: &CStr, value: Option<&CStr>) -> Result<(), Errno> {
    let (command, value) = match value {
        Some(value) => (FSCONFIG_SET_STRING, value.as_ptr()),
        None => (FSCONFIG_SET_FLAG, std::ptr::null()),
    };
    // SAFETY: key and value are C strings, or the value is null as FSCONFIG_SET_FLAG wants it.
    let done = unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), command, key.as_ptr(), value, 0) };
    Errno::result(done).map(drop)
}

/// `fsconfig(2)` and `fsmount(2)`: makes the configured instance and a detached mount of it.
pub fn fsmount(fs: BorrowedFd<'_>, attributes: u64) -> Result<OwnedFd, Errno> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: FSCONFIG_CMD_CREATE takes neither key nor value.
    let done = unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), FSCONFIG_CMD_CREATE, none, none, 0) };
    Errno::result(done)?;
    // SAFETY: integers only; the descriptor is borrowed, so open.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), FSMOUNT_CLOEXEC, attributes as u32) })
}

/// The terminal behind the pty master `master` (`TIOCGPTPEER`, ioctl_tty(2)): no path that could be swapped.
pub fn pty_peer(master: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument is an integer; the descriptor is borrowed, so open.
    owned(libc::c_long::from(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) }))
}

/// Unlocks the terminal behind `master` (`TIOCSPTLCK`), as unlockpt(3) does.
pub fn pty_unlock(master: BorrowedFd<'_>) -> Result<(), Errno> {
    let unlocked: libc::c_int = 0;
    // SAFETY: the kernel reads one int through the pointer, which is valid for the call.
    Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) }).map(drop)
}

/// Owns a descriptor that recvmsg(2) has just put into this process (`SCM_RIGHTS`, unix(7)).
pub fn received(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller passes a number fresh out of a control message; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Standard input, which stays open for the whole life of the process.
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: nothing in the engine closes descriptor 0; it is only ever replaced (dup2) in a child.
    unsafe { BorrowedFd::borrow_raw(0) }
}
