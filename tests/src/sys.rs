//! The calls that need `unsafe`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::pty::Winsize;
use nix::sys::signal::{SigHandler, Signal};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `ip link set lo up` (netdevice(7)), without the need of `ip`.
pub fn loopback_up() -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zero is a valid `ifreq`: a C structure of plain numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed();
    request.ifr_name[1] = b'o'.cast_signed();
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = flags as i16;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq` at the address, which lives until the call has ended.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the command a session of its own whose terminal is its standard input (setsid(2), `TIOCSCTTY(2const)`).
pub fn own_session(command: &mut Command) {
    // SAFETY: between fork and exec only these two system calls are made, both async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
}

/// Changes a terminal's size (`TIOCSWINSZ(2const)`); its foreground gets SIGWINCH.
pub fn resize(terminal: BorrowedFd<'_>, size: &Winsize) -> io::Result<()> {
    // SAFETY: TIOCSWINSZ reads a `winsize` at the address, which lives until the call has ended.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ignores no signal that a shell ignores for what it starts in the background, or nohup: what we start inherits it.
pub(crate) fn heed_signals() -> io::Result<()> {
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: the default action is no handler that could run in a bad moment.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    Ok(())
}
