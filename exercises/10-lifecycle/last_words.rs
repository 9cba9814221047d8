//! The last words of a container.
//!
//! `last_words LOG COMMAND…` is a supervisor in small: it starts a command, writes what it says to a log, and ends with
//! its exit code. It waits for two things at once, for output and for the end.
//!
//! Sometimes the log lacks the last lines, and those would have told why the command ended. Find out how that can be,
//! and mend it. Look out for a second thing while you do: a command may leave processes behind that hold its pipe open.
//! The supervisor must not wait for them.
//!
//! By hand: `last_words log sh -c 'seq 3; exit 7'; echo $?; cat log`. It goes wrong only now and then. The check makes
//! it go wrong each time: it stops the supervisor (SIGSTOP) until the command has ended.
//!
//! Read: the book, chapter 10, "The supervisor: heavy, then light"; poll(2), pidfd_open(2), pipe(7).

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{ChildStdout, Command, ExitCode, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use process::sys::pidfd_open;
use process::{Error, OrCall, Result};

fn main() -> Result<ExitCode> {
    let mut words = std::env::args().skip(1);
    let (Some(log), Some(name)) = (words.next(), words.next()) else {
        return Err(Error::invalid("last_words LOG COMMAND…"));
    };
    let mut log = File::create(&log).or_call("open", log)?;
    let mut child = Command::new(&name).args(words).stdout(Stdio::piped()).spawn().or_call("exec", name)?;
    let pidfd = pidfd_open(Pid::from_raw(child.id().cast_signed())).or_call("pidfd_open", child.id())?;
    let mut output = child.stdout.take().expect("it is a pipe");
    // A read of an empty pipe is to say so, and not to wait.
    fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).or_call("fcntl", "O_NONBLOCK")?;
    let mut open = true;
    loop {
        let mut ready = vec![PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        ready.extend(open.then(|| PollFd::new(output.as_fd(), PollFlags::POLLIN)));
        poll(&mut ready, PollTimeout::NONE).or_call("poll", "the command and its output")?;
        let [ended, spoke] = [0, 1].map(|index| ready.get(index).is_some_and(|fd| fd.any() == Some(true)));
        if ended {
            break;
        }
        if spoke {
            open = copy(&mut output, &mut log)?;
        }
    }
    let status = child.wait().or_call("waitpid", child.id())?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Copies a piece of the output. False: there is none now.
fn copy(output: &mut ChildStdout, log: &mut File) -> Result<bool> {
    let mut piece = [0; 4096];
    match output.read(&mut piece) {
        Ok(count) => {
            log.write_all(&piece[..count]).or_call("write", "the log")?;
            Ok(count > 0)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(Error::io("read", "the output", &error)),
    }
}
