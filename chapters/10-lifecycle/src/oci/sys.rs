//! Every `unsafe` line of the OCI runtime: kernel calls that neither nix nor an earlier chapter wraps.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;

/// Attributes of a mount (`MOUNT_ATTR_*`, mount_setattr(2)).
pub const RDONLY: u64 = 0x1;
/// No set-user-ID programs, no file capabilities.
pub const NOSUID: u64 = 0x2;
/// No device nodes.
pub const NODEV: u64 = 0x4;
/// No programs.
pub const NOEXEC: u64 = 0x8;
/// The bits that say how access times are kept: 0 is relatime.
pub const ATIME: u64 = 0x70;
/// Access times are not kept.
pub const NOATIME: u64 = 0x10;
/// Every access is kept.
pub const STRICTATIME: u64 = 0x20;
/// Access times of directories are not kept.
pub const NODIRATIME: u64 = 0x80;
/// Links are not followed.
pub const NOSYMFOLLOW: u64 = 0x20_0000;

const AT_RECURSIVE: u32 = 0x8000;
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// `NS_GET_NSTYPE` (ioctl_ns(2)): which kind of namespace `fd` is.
///
/// # Errors
/// `ENOTTY` if it is none.
pub fn namespace_type(fd: BorrowedFd<'_>) -> Result<CloneFlags, Errno> {
    // SAFETY: the call has no argument; the descriptor is borrowed, so open.
    let kind = Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) })?;
    Ok(CloneFlags::from_bits_retain(kind))
}

/// `setdomainname(2)`
pub fn setdomainname(name: &str) -> Result<(), Errno> {
    // SAFETY: the kernel reads `len` bytes from the pointer, which is valid for the call.
    Errno::result(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// The argument of sched_setattr(2), from linux/sched/types.h (version 1, with the two clamps).
#[repr(C)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SchedAttr {
    /// Of this struct; set by the call.
    pub size: u32,
    /// `SCHED_*`
    pub policy: u32,
    /// `SCHED_FLAG_*`
    pub flags: u64,
    /// For SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// For SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// For SCHED_DEADLINE, in nanoseconds.
    pub runtime: u64,
    /// For SCHED_DEADLINE, in nanoseconds.
    pub deadline: u64,
    /// For SCHED_DEADLINE, in nanoseconds.
    pub period: u64,
    /// Not asked for by any configuration.
    pub util_min: u32,
    /// Not asked for by any configuration.
    pub util_max: u32,
}

/// `sched_setattr(2)` of this process.
pub fn sched_setattr(attr: &SchedAttr) -> Result<(), Errno> {
    let sized = SchedAttr { size: size_of::<SchedAttr>() as u32, ..*attr };
    // SAFETY: the kernel reads `size` bytes of a struct that has the layout of struct sched_attr.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const sized, 0) }).map(drop)
}

/// `ioprio_set(2)` of this process.
pub fn ioprio_set(value: i32) -> Result<(), Errno> {
    const WHO_PROCESS: i32 = 1;
    // SAFETY: integers only.
    Errno::result(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) }).map(drop)
}

/// `set_mempolicy(2)`; `nodes` is a bit mask, bit 0 of the first word being node 0.
pub fn set_mempolicy(mode: i32, nodes: &[u64]) -> Result<(), Errno> {
    let (mask, bits) = if nodes.is_empty() { (std::ptr::null(), 0) } else { (nodes.as_ptr(), nodes.len() * 64 + 1) };
    // SAFETY: the kernel reads `bits - 1` bits from the mask, which is as long as that; a null mask has none.
    Errno::result(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) }).map(drop)
}

/// `personality(2)` of this process.
pub fn personality(persona: u64) -> Result<(), Errno> {
    // SAFETY: an integer only.
    Errno::result(unsafe { libc::personality(persona as libc::c_ulong) }).map(drop)
}

/// `open_tree(2)` with `OPEN_TREE_CLONE`: a detached copy of the mount at `fd`, with those below it if `recursive`.
pub fn clone_tree(fd: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd, Errno> {
    const OPEN_TREE_CLONE: u32 = 1;
    let recursive = if recursive { AT_RECURSIVE } else { 0 };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32 | recursive;
    // SAFETY: the path is an empty C string, the descriptor is borrowed, so open.
    own(unsafe { libc::syscall(libc::SYS_open_tree, fd.as_raw_fd(), c"".as_ptr(), flags) })
}

/// `move_mount(2)`: attaches the detached mount `mount` on what `target` is a handle of.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    const BOTH_EMPTY: u32 = 0x4 | 0x40;
    let empty = c"".as_ptr();
    // SAFETY: both paths are empty C strings, both descriptors are borrowed, so open.
    let done =
        unsafe { libc::syscall(libc::SYS_move_mount, mount.as_raw_fd(), empty, target.as_raw_fd(), empty, BOTH_EMPTY) };
    Errno::result(done).map(drop)
}

/// The three standard descriptors, which stay open for the whole life of the process.
pub fn standard() -> [BorrowedFd<'static>; 3] {
    // SAFETY: nothing in the engine closes them; they are only ever replaced (dup2) in a child.
    [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Owns the descriptor that a call has just returned.
fn own(result: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = Errno::result(result)?;
    // SAFETY: every caller passes what a kernel call returned as a new descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
