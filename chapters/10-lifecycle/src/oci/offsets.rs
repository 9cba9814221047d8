//! Clocks of the container's own: how far they are ahead of the host's (time_namespaces(7)).

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{setns, unshare};
use nix::sys::stat::Mode;
use oci_spec::runtime::Linux;
use process::{OrCall, Result, explain};

use super::bundle::invalid;
use namespaces::CLONE_NEWTIME;

/// `linux.timeOffsets` as the kernel reads it: `CLOCK SECONDS NANOSECONDS`, a line for each.
///
/// # Errors
/// A clock that has no offset, or more than a second of nanoseconds.
pub fn lines(linux: Option<&Linux>) -> Result<String> {
    let mut text = String::new();
    for (clock, offset) in linux.and_then(|linux| linux.time_offsets().as_ref()).into_iter().flatten() {
        if !matches!(clock.as_str(), "boottime" | "monotonic") {
            return Err(
                invalid(&format!("linux.timeOffsets: {clock:?} has no offset")).help("boottime and monotonic have")
            );
        }
        let (seconds, nanoseconds) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
        if nanoseconds > 999_999_999 {
            return Err(invalid(&format!("linux.timeOffsets: {clock}: {nanoseconds} ns are more than a second")));
        }
        text.push_str(&format!("{clock} {seconds} {nanoseconds}\n"));
    }
    Ok(text)
}

/// The offsets can be set only while nobody is inside: make it, set them, go in.
///
/// # Errors
/// As unshare(2) and setns(2); `ERANGE` for an offset with which a clock would be below 0 or beyond 146 years.
pub fn enter_new(offsets: &str) -> Result<()> {
    unshare(CLONE_NEWTIME).or_call("unshare", "NEWTIME")?;
    if !offsets.is_empty() {
        let file = "/proc/self/timens_offsets";
        let done = std::fs::write(file, offsets).or_call("write", format!("{offsets:?} to {file}"));
        done.map_err(|error| match error.errno() {
            Some(Errno::ERANGE) => error.help("with the offset no clock may be below 0, or beyond 146 years"),
            _ => error,
        })?;
    }
    let path = "/proc/self/ns/time_for_children";
    let fd = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", path)?;
    setns(fd, CLONE_NEWTIME).or_call("setns", path)?;
    explain!(3, "clocks of its own", "unshare(NEWTIME) and setns, {}", offsets.trim_end().replace('\n', ", "));
    Ok(())
}
