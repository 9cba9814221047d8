//! Processes of the engine's own that serve a network: the same program again, under another name.
//!
//! A process that begins by execve(2) inherits no lock, no port and no memory. The engine's `main` asks first of all
//! whether it is one of those.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::SigSet;
use nix::unistd::ForkResult;
use process::{OrCall, Result};
use rootfs::dirs;

use crate::drivers::follow;
use crate::{dns, sys};

/// If this process was executed to serve a network, does so and never returns. The first thing that `main` does.
pub fn attend_if_asked() {
    let mut args = std::env::args_os();
    match args.next() {
        Some(name) if name == follow::NAME => follow::run(args.next().unwrap_or_default().as_ref()),
        Some(name) if name == dns::NAME => dns::server::run(args.next().unwrap_or_default().as_ref()),
        _ => return,
    }
    std::process::exit(0);
}

/// Executes this program under the name `name`, as nobody's child and in a session of its own: neither does it wait for
/// us, nor a terminal's ^C mean it, nor we have to wait for its end.
///
/// # Errors
/// As fork(2), execve(2).
pub fn start(name: &str, argument: &Path) -> Result<()> {
    start_with(name, argument, Stdio::null(), Stdio::null())
}

/// The same for a program that finds its sockets at its standard input and output.
///
/// # Errors
/// As [`start`].
pub fn start_with(name: &str, argument: &Path, stdin: Stdio, stdout: Stdio) -> Result<()> {
    let mut command = Command::new("/proc/self/exe");
    // What is written relative to our working directory would be lost with it.
    command.env("COOPER_RUN", &dirs().run).env("COOPER_DATA", &dirs().data);
    command.arg0(name).arg(argument).current_dir("/");
    command.stdin(stdin).stdout(stdout).stderr(Stdio::null());
    sys::before_exec(&mut command, || {
        // Ours are blocked while a container runs.
        SigSet::empty().thread_set_mask()?;
        nix::unistd::setsid()?;
        match process::sys::fork()? {
            ForkResult::Parent { .. } => process::sys::exit_now(0),
            ForkResult::Child => Ok(()),
        }
    });
    let mut between = command.spawn().or_call("exec", name)?;
    between.wait().or_call("waitpid", name).map(drop)
}
