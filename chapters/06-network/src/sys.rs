//! Every `unsafe` line of the chapter.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Runs `prepare` in the child that `command` makes, right before exec(3).
pub fn before_exec(command: &mut Command, prepare: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) {
    // SAFETY: between fork and exec only what is async-signal-safe may be called in a process of several
    // threads, because a lock could be held by a thread that the child does not have. The engine has one
    // thread (process::Container checks it), so there is no such lock, and the closure may allocate.
    unsafe { command.pre_exec(prepare) };
}
