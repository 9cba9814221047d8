//! The container's terminal, seen from the command line: its other end goes to `--console-socket`, or is relayed.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use namespaces::TerminalArgs;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_to, socket};
use process::{OrCall, Result, Stage};

use crate::oci::Bundle;

/// Connects to who waits for the terminal's other end.
///
/// # Errors
/// As connect(2).
pub(super) fn connect(path: Option<&Path>) -> Result<Option<OwnedFd>> {
    let Some(path) = path else { return Ok(None) };
    let ours =
        socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).or_call("socket", "AF_UNIX")?;
    let address = UnixAddr::new(path).or_call("connect", path.display());
    address
        .and_then(|address| connect_to(ours.as_raw_fd(), &address).or_call("connect", path.display()))
        .map_err(|error| error.at("--console-socket"))?;
    Ok(Some(ours))
}

/// Does the container want a terminal? Then it gets chapter 3's, whose other end stays with us.
pub(super) fn take(bundle: &mut Bundle) -> bool {
    let Some(process) = bundle.spec.process_mut() else { return false };
    let wanted = process.terminal() == Some(true);
    if wanted {
        process.set_terminal(Some(false));
    }
    wanted
}

/// Adds the stage that relays it: after the user is assumed, so that it is the user's, and before the last.
pub(super) fn relay(stages: &mut Vec<Box<dyn Stage>>) {
    let console = TerminalArgs { interactive: true, tty: true }.console();
    stages.insert(stages.len().saturating_sub(1), Box::new(console));
}
