//! Our signals while we are attached.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use process::{OrCall, Result};

/// Signals that are passed on to the program.
const PROXIED: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
];

/// The signals that are received as data while we are attached; on drop the mask is as before.
pub(super) struct Signals(pub SignalFd, SigSet);

impl Signals {
    pub fn block() -> Result<Self> {
        let mut mask: SigSet = PROXIED.into_iter().collect();
        mask.add(Signal::SIGWINCH);
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut before)).or_call("sigprocmask", "")?;
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).or_call("signalfd", "")?;
        Ok(Self(fd, before))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.1), None);
    }
}
