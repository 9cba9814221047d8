//! The parent while the program runs: one loop, one thread, everything a descriptor.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::signals::is_forwarded;
use crate::{Child, Exit, Exited, OrCall, Result, Running, explain, sys};

impl Running {
    /// The container's first process.
    pub fn child(&self) -> &Child {
        self.child.get()
    }

    /// Tends the program until it ends: forwards signals, moves a terminal's bytes, reaps, undoes.
    ///
    /// # Errors
    /// Of poll(2) and waitpid(2), or of what is tended; the program is killed and undone then.
    pub fn wait(mut self) -> Result<Exited> {
        let exit = loop {
            self.poll()?;
            if let Some(exit) = self.handle_signals()? {
                break exit;
            }
        };
        explain!(1, "its end is collected", "waitpid({}) = {exit:?}", self.child().pid());
        self.child.0 = None;
        for mut attend in self.attends.drain(..) {
            attend.finish()?; // and dropped: the terminal is as it was before anything more is said
        }
        self.foreground.take_back();
        let leftovers = self.stages.undo();
        Ok(Exited { exit, leftovers })
    }

    /// Sleeps until a signal has come or something that is tended is ready, and tends that.
    fn poll(&mut self) -> Result<()> {
        let interests: Vec<_> = self.attends.iter().map(|attend| attend.interests()).collect();
        let mut fds = vec![PollFd::new(self.signals.fd(), PollFlags::POLLIN)];
        fds.extend(interests.iter().flatten().map(|(fd, flags)| PollFd::new(*fd, *flags)));
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok(()),
            done => done.or_call("poll", "")?,
        };
        let ready: Vec<_> = fds[1..].iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        let counts: Vec<_> = interests.iter().map(Vec::len).collect();
        let mut from = 0;
        for (attend, count) in self.attends.iter_mut().zip(counts) {
            attend.tend(&ready[from..from + count])?;
            from += count;
        }
        Ok(())
    }

    fn handle_signals(&mut self) -> Result<Option<Exit>> {
        while let Some(signal) = self.signals.next()? {
            if signal == Signal::SIGCHLD {
                if let Some(exit) = self.look()? {
                    return Ok(Some(exit));
                }
            } else if is_forwarded(signal) && !self.attends.iter_mut().any(|attend| attend.signal(signal)) {
                explain!(1, "the program gets what we get", "pidfd_send_signal({}, {signal})", self.child().pid());
                match sys::pidfd_send_signal(self.child().pidfd(), signal) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    refused => refused.or_call("pidfd_send_signal", signal)?,
                }
            }
        }
        Ok(None)
    }

    /// Has the program ended, or been stopped by Ctrl-Z?
    fn look(&self) -> Result<Option<Exit>> {
        let pid = self.child().pid();
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
        let status = waitpid(pid, Some(flags)).or_call("waitpid", pid)?;
        if matches!(status, WaitStatus::Stopped(..)) && self.foreground.is_ours() {
            // Ctrl-Z: as one job of the shell we stop with it, and go on with it.
            self.foreground.take_back();
            raise(Signal::SIGSTOP).or_call("raise", "SIGSTOP")?;
            self.foreground.give(pid);
            sys::pidfd_send_signal(self.child().pidfd(), Signal::SIGCONT).or_call("pidfd_send_signal", "SIGCONT")?;
        }
        Ok(Exit::from_wait(status))
    }
}
