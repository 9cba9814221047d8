//! Signals: received as data on a descriptor (signalfd(2)), never in a handler.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::{Error, OrCall, Result, explain};

/// Signals that the kernel sends for our own doing, and that the program must not get. SIGPIPE: nobody reads what
/// we say any more, and saying that we passed it on would bring the next one.
const OURS: [Signal; 5] = [Signal::SIGCHLD, Signal::SIGPIPE, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGTSTP];
/// Signals of an error in this very process: they cannot be waited for.
const FAULTS: [Signal; 6] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGABRT, Signal::SIGTRAP];

/// All signals, blocked and readable from a descriptor; on drop the mask is as before.
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Blocks what can be blocked. Done before the child exists, so that its death cannot be missed.
    pub fn block() -> Result<Self> {
        let mut mask = SigSet::all();
        FAULTS.iter().for_each(|&fault| mask.remove(fault));
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), Some(&mut before)).or_call("sigprocmask", "")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&mask, flags).or_call("signalfd", "")?;
        explain!(1, "signals are read like data", "signalfd(all)");
        Ok(Self { fd, before })
    }

    /// The next signal that has come, if any.
    pub fn next(&self) -> Result<Option<Signal>> {
        let info = self.fd.read_signal().or_call("read", "signalfd")?;
        Ok(info.and_then(|info| Signal::try_from(info.ssi_signo as i32).ok()))
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.fd)
    }

    /// In the child: the mask that a program expects to be born with. Nothing is blocked, whatever our caller had
    /// blocked: a program that cannot be told to end would only be killed.
    pub fn reset() -> Result<()> {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).or_call("sigprocmask", "")
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // What came after the program's end was meant for the program: it must not end us instead of our report.
        while let Ok(Some(_)) = self.next() {}
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Is `signal` for the program, if we receive it?
pub fn is_forwarded(signal: Signal) -> bool {
    !OURS.contains(&signal)
}

/// A signal by name or number, as `kill` takes it: `TERM`, `SIGTERM`, `15`.
///
/// # Errors
/// [`Kind::Invalid`](crate::Kind::Invalid) if there is no such signal.
pub fn parse_signal(text: &str) -> Result<Signal> {
    let by_number = text.parse::<i32>().ok().and_then(|number| Signal::try_from(number).ok());
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    by_number.or_else(|| name.parse().ok()).ok_or_else(|| {
        Error::invalid(format!("no signal is called {text:?}")).help("`kill -l` lists the names and numbers")
    })
}
