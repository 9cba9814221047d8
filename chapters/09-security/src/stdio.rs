//! Standard input, output and error, as the last who has a say before the program.
//!
//! They come from outside, and bring outside things with them: the terminal of whoever called the engine, into which a
//! program of the same session may type (`TIOCSTI`, ioctl_tty(2)), and the host's null device, whose mode root may change
//! by fchmod(2), in the container as anywhere.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{F_SETFL, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat, makedev};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getsid, setsid};
use process::{OrCall, Result, explain};

/// Begins a session of the program's own, if it does not have one with a terminal of its own: then the caller's
/// terminal is somebody else's, to be read and written, and no more.
///
/// # Errors
/// As setsid(2).
pub fn own_session() -> Result<()> {
    if getsid(None) == Ok(Pid::this()) {
        return Ok(());
    }
    setsid().or_call("setsid", "")?;
    explain!(9, "nobody can type into the caller's terminal from inside", "setsid()");
    Ok(())
}

/// Where a stream is the host's null device, it becomes the container's own (runc's `reopenDevNull`). In a container
/// where that is something else by now, it stays.
///
/// # Errors
/// As dup2(2).
pub fn own_null() -> Result<()> {
    let taken = [is_null(std::io::stdin()), is_null(std::io::stdout()), is_null(std::io::stderr())];
    let Some(null) = taken.contains(&true).then(own).flatten() else { return Ok(()) };
    explain!(9, "the container's own null device, not the host's", "open(/dev/null) and dup2()");
    if taken[0] {
        dup2_stdin(&null).or_call("dup2", "standard input")?;
    }
    if taken[1] {
        dup2_stdout(&null).or_call("dup2", "standard output")?;
    }
    if taken[2] {
        dup2_stderr(&null).or_call("dup2", "standard error")?;
    }
    Ok(())
}

/// What the container has at /dev/null, if it is that: neither a link, nor a pipe that would wait for somebody.
fn own() -> Option<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let null = open("/dev/null", flags, Mode::empty()).ok().filter(|fd| is_null(fd))?;
    fcntl(&null, F_SETFL(OFlag::O_RDWR)).ok()?;
    Some(null)
}

/// Is it the character device 1:3?
fn is_null(fd: impl AsFd) -> bool {
    fstat(fd).is_ok_and(|about| {
        about.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits() && about.st_rdev == makedev(1, 3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_null_device_is_known_by_its_number() {
        let fd = own().expect("this machine has one");
        assert!(is_null(&fd));
        assert_eq!(fcntl(&fd, nix::fcntl::F_GETFL).unwrap() & OFlag::O_NONBLOCK.bits(), 0);
        for other in ["/dev/zero", "/etc/passwd"] {
            assert!(!is_null(open(other, OFlag::O_RDONLY, Mode::empty()).unwrap()), "{other}");
        }
    }
}
