//! Processes of the engine's own that serve a network: the same program again, under another name.
//!
//! A process that begins by execve(2) inherits no lock, no port and no memory. The engine's `main` asks first of all
//! whether it is one of those.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use namespaces::rootless;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::SigSet;
use nix::unistd::ForkResult;
use process::{OrCall, Result};

use crate::drivers::follow;
use crate::{dns, keeper, relay, sys};

/// If this process was executed to serve a network, does so and never returns. The first thing that `main` does.
pub fn attend_if_asked() {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let serve: fn(&Path) = match name.to_str() {
        Some(follow::NAME) => follow::run,
        Some(dns::NAME) => dns::server::run,
        Some(keeper::NAME) => keeper::run,
        Some(relay::NAME) => relay::run,
        _ => return,
    };
    serve(args.next().unwrap_or_default().as_ref());
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
    spawn(name, Command::new("/proc/self/exe").arg(argument).stdin(stdin).stdout(stdout))
}

/// The same for a program that has more of them: their numbers are its further arguments.
///
/// # Errors
/// As [`start`], and fcntl(2).
pub fn start_having(name: &str, argument: &Path, fds: Vec<OwnedFd>) -> Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null());
    for fd in &fds {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).or_call("fcntl", "F_SETFD")?;
        command.arg(fd.as_raw_fd().to_string());
    }
    spawn(name, &mut command)
}

fn spawn(name: impl AsRef<OsStr>, command: &mut Command) -> Result<()> {
    let name = name.as_ref();
    // What is written relative to our working directory would be lost with it.
    command.arg0(name).envs(rootless::for_heirs()).current_dir("/").stderr(Stdio::null());
    sys::before_exec(command, || {
        // Ours are blocked while a container runs.
        SigSet::empty().thread_set_mask()?;
        nix::unistd::setsid()?;
        match process::sys::fork()? {
            ForkResult::Parent { .. } => process::sys::exit_now(0),
            ForkResult::Child => Ok(()),
        }
    });
    let mut between = command.spawn().or_call("exec", name.display())?;
    between.wait().or_call("waitpid", name.display()).map(drop)
}
