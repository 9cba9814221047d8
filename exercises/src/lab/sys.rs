//! The one thing that needs the kernel's word and has no safe wrapper: what Ctrl-C does.

use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::STOP;

/// Ctrl-C, a terminal that closes, and a plain kill(1): all rooms end. A second one ends us at once.
///
/// # Errors
/// As sigaction(2).
pub fn stop_on_signals() -> Result<(), Errno> {
    extern "C" fn stop(_signal: i32) {
        STOP.store(true, Ordering::Relaxed);
    }
    let action = SigAction::new(SigHandler::Handler(stop), SaFlags::SA_RESETHAND, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores to an atomic and does nothing else, which signal-safety(7) allows.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}
