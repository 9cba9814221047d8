//! The calls that neither std nor nix has: each is one system call and nothing else.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

const CMD_CREATE: u32 = 6;
const SET_FLAG: u32 = 0;
const SET_STRING: u32 = 1;

/// Which of the two processes returns from [`clone3`].
pub enum Cloned {
    Child,
    Parent(Pid),
}

/// clone3(2) with a pidfd, as the steps ask for; the flags are namespaces.
pub fn clone3(flags: i32) -> Result<Cloned, Errno> {
    let mut pidfd: RawFd = -1;
    // SAFETY: all zero is a valid `clone_args`: a C structure of plain numbers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (flags | libc::CLONE_PIDFD) as u64;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: no CLONE_VM, so the child has a copy of the memory as after fork(2), and this process has one thread;
    // `args` and `pidfd` outlive the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
    Errno::result(pid).map(|pid| if pid == 0 { Cloned::Child } else { Cloned::Parent(Pid::from_raw(pid as i32)) })
}

/// fsopen(2), fsconfig(2) and fsmount(2): a file system that is mounted nowhere yet.
pub fn file_system(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> Result<OwnedFd, Errno> {
    // SAFETY: the name is a C string.
    let fs = own(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 1) })?;
    configure(&fs, SET_STRING, Some(c"source"), Some(kind))?;
    for (key, value) in options {
        match value.is_empty() {
            true => configure(&fs, SET_FLAG, Some(key), None)?,
            false => configure(&fs, SET_STRING, Some(key), Some(value))?,
        }
    }
    configure(&fs, CMD_CREATE, None, None)?;
    // SAFETY: the call takes numbers.
    own(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), 1, attributes) })
}

fn configure(fs: &OwnedFd, command: u32, key: Option<&CStr>, value: Option<&CStr>) -> Result<(), Errno> {
    let (key, value) = (key.map_or(std::ptr::null(), CStr::as_ptr), value.map_or(std::ptr::null(), CStr::as_ptr));
    // SAFETY: each pointer is null or a C string that outlives the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), command, key, value, 0) }).map(drop)
}

/// open_tree(2): a copy of what is mounted at the handle, and of all below it if it is the whole `tree`.
pub fn open_tree(source: BorrowedFd<'_>, tree: bool) -> Result<OwnedFd, Errno> {
    let recursive = if tree { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::OPEN_TREE_CLONE as i32 | libc::O_CLOEXEC | libc::AT_EMPTY_PATH | recursive;
    // SAFETY: the path is a C string.
    own(unsafe { libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), flags) })
}

/// mount_setattr(2) of the propagation, private.
pub fn make_private(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    // struct mount_attr: set, clear, propagation, user namespace.
    let attributes: [u64; 4] = [0, 0, libc::MS_PRIVATE, 0];
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string, and the structure of the size that is told outlives the call.
    let done = unsafe {
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), flags, attributes.as_ptr(), 32)
    };
    Errno::result(done).map(drop)
}

/// move_mount(2): attaches a mount to a handle.
pub fn move_mount(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    const BOTH_EMPTY_PATHS: i32 = 0x4 | 0x40;
    let (from, to) = (mount.as_raw_fd(), target.as_raw_fd());
    // SAFETY: both paths are C strings.
    let done = unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, c"".as_ptr(), BOTH_EMPTY_PATHS) };
    Errno::result(done).map(drop)
}

/// close_range(2): no descriptor of ours survives execve(2).
pub fn close_on_exec() {
    // SAFETY: only a flag is set; no descriptor is closed under anybody's feet.
    unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
}

fn own(fd: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just given us this descriptor, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
