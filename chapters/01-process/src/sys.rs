//! Every `unsafe` line of the chapter: the kernel calls that nix does not wrap.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

/// Makes the child in the cgroup that `clone_args.cgroup` names (linux/sched.h).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Who one is after `clone3`: the parent of a new child, or the child.
pub enum Cloned {
    /// The parent learns the child's id and holds a descriptor of it.
    Parent(Pid, OwnedFd),
    /// The child goes on where the parent was, with a copy of its memory.
    Child,
}

/// `clone3(2)`: a child in new namespaces and, if asked, in a cgroup of its own from its first instant.
///
/// # Errors
/// `EPERM` without the right to make one of the namespaces, `EINVAL` for flags that exclude each
/// other, `ENOSPC` past a limit in `/proc/sys/user`, `EAGAIN` past `RLIMIT_NPROC` or `pids.max`.
pub fn clone3(flags: CloneFlags, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    raw_clone3(flags, cgroup, libc::SIGCHLD)
}

/// [`clone3`], from within the user namespace `user`: new namespaces belong to the one that their maker is in.
///
/// Who enters a user namespace does not come back, so a helper goes. It makes the child as a sibling of its own
/// (`CLONE_PARENT`), and shares our descriptors, so that the child's is ours too.
///
/// # Errors
/// As [`clone3`] and setns(2).
pub fn clone3_within(
    user: Option<BorrowedFd<'_>>,
    flags: CloneFlags,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Cloned, Errno> {
    let Some(user) = user else { return clone3(flags, cgroup) };
    let (answer, say) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let helper = match clone3(CloneFlags::CLONE_FILES, None)? {
        Cloned::Parent(pid, _) => pid,
        Cloned::Child => {
            let made = nix::sched::setns(user, CloneFlags::CLONE_NEWUSER)
                .and_then(|()| raw_clone3(flags | CloneFlags::CLONE_PARENT, cgroup, 0));
            let number = match made {
                Ok(Cloned::Child) => return Ok(Cloned::Child),
                Ok(Cloned::Parent(_, pidfd)) => pidfd.into_raw_fd(),
                Err(errno) => -(errno as i32),
            };
            let _ = nix::unistd::write(&say, &number.to_ne_bytes());
            exit_now(0)
        }
    };
    let mut number = [0; 4];
    let read = nix::unistd::read(&answer, &mut number);
    while nix::sys::wait::waitpid(helper, None) == Err(Errno::EINTR) {}
    match i32::from_ne_bytes(number) {
        _ if read != Ok(4) => Err(Errno::ECHILD),
        failed @ ..0 => Err(Errno::from_raw(-failed)),
        // The number that the helper knows the child by may be another PID namespace's.
        fd => own_number(own(fd)),
    }
}

/// The process of a descriptor, by its number in our PID namespace (pidfd_open(2), `/proc/PID/fdinfo`).
fn own_number(pidfd: OwnedFd) -> Result<Cloned, Errno> {
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    let line = about.ok().and_then(|text| text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()));
    line.map(|pid| Cloned::Parent(Pid::from_raw(pid), pidfd)).ok_or(Errno::ESRCH)
}

fn raw_clone3(flags: CloneFlags, cgroup: Option<BorrowedFd<'_>>, signal: i32) -> Result<Cloned, Errno> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain data for which all zeroes is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(flags.bits().cast_unsigned()) | libc::CLONE_PIDFD as u64;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = signal as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    // SAFETY: no CLONE_VM, so the child has a copy of the memory as after fork(2); `args` and
    // `pidfd` outlive the call. The caller has one thread only (checked in container.rs), so no
    // lock can be held by a thread that does not exist in the child.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
    match Errno::result(pid) {
        Ok(0) => Ok(Cloned::Child),
        // SAFETY: the kernel has just stored a new descriptor in `pidfd`; nobody else owns it.
        Ok(pid) => Ok(Cloned::Parent(Pid::from_raw(pid as i32), unsafe { OwnedFd::from_raw_fd(pidfd) })),
        // In a container of our own, and of Docker's: a filter cannot look into clone_args, so it denies the call.
        Err(Errno::ENOSYS) => raw_clone(flags, cgroup, signal),
        Err(errno) => Err(errno),
    }
}

/// `clone(2)`: the same by the older call. It knows no cgroup, so the child is moved there before it does anything.
fn raw_clone(flags: CloneFlags, cgroup: Option<BorrowedFd<'_>>, signal: i32) -> Result<Cloned, Errno> {
    let mut pidfd: RawFd = -1;
    let flags = i64::from(flags.bits() | libc::CLONE_PIDFD | signal);
    // SAFETY: as for clone3: no CLONE_VM, and one thread. A stack of 0 means a copy of ours. The order of the last two
    // arguments, which differs between architectures, is that of zeroes.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    let pid = match Errno::result(pid)? {
        0 => return Ok(Cloned::Child),
        pid => Pid::from_raw(pid as i32),
    };
    // SAFETY: the kernel has just stored a new descriptor in `pidfd`; nobody else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if let Some(cgroup) = cgroup {
        let place = format!("/proc/self/fd/{}/cgroup.procs", cgroup.as_raw_fd());
        if let Err(error) = std::fs::write(place, pid.to_string()) {
            let _ = pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
            return Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
        }
    }
    Ok(Cloned::Parent(pid, pidfd))
}

/// `fork(2)`, for a process of one thread.
pub fn fork() -> Result<ForkResult, Errno> {
    // SAFETY: called by single-threaded processes only (the container's init), see `clone3`.
    unsafe { nix::unistd::fork() }
}

/// `pidfd_open(2)`: a descriptor of a process that exists already.
///
/// # Errors
/// `ESRCH` if there is no such process.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes two integers and returns a new descriptor or an error.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the descriptor is new; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `pidfd_send_signal(2)`: like kill(2), but it can never hit a process that took over the number.
///
/// # Errors
/// `ESRCH` if the process is gone, `EPERM` if it is another user's.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<(), Errno> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed and means "as kill(2) does"; the descriptor is borrowed, so open.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal as i32, info, 0) };
    Errno::result(done).map(drop)
}

/// Makes a descriptor that the kernel has just returned, as a number, somebody's property.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: called with fresh results of accept4(2) only; nobody else owns them.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// `close_range(2)` with `CLOSE_RANGE_CLOEXEC`: nothing from `first` on survives the next exec.
pub fn cloexec_from(first: u32) -> Result<(), Errno> {
    // SAFETY: only sets a flag on descriptors; none is closed under anybody's feet.
    let done = unsafe { libc::close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
    Errno::result(done).map(drop)
}

/// `execve(2)`: returns only on failure.
///
/// Rust's runtime ignores SIGPIPE, and a program would inherit that; we ourselves need it, until the last moment.
pub fn execve(path: &CStr, argv: &[CString], env: &[CString]) -> Errno {
    let _ = default_action(Signal::SIGPIPE);
    let errno = match nix::unistd::execve(path, argv, env) {
        Ok(never) => match never {},
        Err(errno) => errno,
    };
    let _ = ignore(Signal::SIGPIPE);
    errno
}

/// `_exit(2)`: ends the child without running what the parent has put on its stack.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Restores the default action of `signal`.
pub fn default_action(signal: Signal) -> Result<(), Errno> {
    // SAFETY: SIG_DFL is no function of ours, so there is no handler that could be unsafe.
    unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) }.map(drop)
}

/// Ignores `signal`, and says what was done about it before.
pub fn ignore(signal: Signal) -> Result<nix::sys::signal::SigHandler, Errno> {
    // SAFETY: SIG_IGN is no function of ours.
    unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigIgn) }
}

/// Makes the terminal `tty` the controlling terminal of this session (`TIOCSCTTY`, tty_ioctl(4)).
pub fn set_controlling_terminal(tty: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the argument is an integer; the descriptor is borrowed, so open.
    Errno::result(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

/// Rows and columns of a terminal (`TIOCGWINSZ`).
pub fn window_size(tty: BorrowedFd<'_>) -> Result<libc::winsize, Errno> {
    // SAFETY: winsize is plain data for which all zeroes is a valid value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one winsize through the pointer, which is valid for the call.
    Errno::result(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok(size)
}

/// Sets rows and columns (`TIOCSWINSZ`); the terminal's foreground group gets SIGWINCH.
pub fn set_window_size(tty: BorrowedFd<'_>, size: &libc::winsize) -> Result<(), Errno> {
    // SAFETY: the kernel reads one winsize through the pointer, which is valid for the call.
    Errno::result(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSWINSZ, &raw const *size) }).map(drop)
}

/// Asks the kernel to kill this process when the thread that made it ends (`PR_SET_PDEATHSIG(2const)`).
pub fn die_with_parent() -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
}

/// Closes every descriptor from `first` on. For a process that owns none of them any more.
pub fn close_from(first: u32) {
    // SAFETY: called by the init process only, which from here on uses no descriptor but 0 to 2
    // and never returns to code that believes to own one.
    unsafe { libc::close_range(first, u32::MAX, 0) };
}
