//! `__warden`: runs a program so that it, and all that it starts, ends when our standard input does.
//!
//! The virtual machine outlives nobody: not the server that was killed with signal 9, not a check that was stopped.

use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getegid, geteuid};
use process::OrCall;

use crate::Result;

/// `__warden PROGRAM…`: a process namespace, and its first process.
///
/// # Errors
/// As unshare(2).
pub fn guard(words: &[String]) -> Result<ExitCode> {
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    let (uid, gid) = (geteuid(), getegid());
    if !uid.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).or_call("unshare", "the warden's namespaces")?;
    if !uid.is_root() {
        let maps = [("setgroups", "deny".into()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))];
        for (file, text) in maps {
            std::fs::write(format!("/proc/self/{file}"), text).or_call("write", file)?;
        }
    }
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).or_call("prctl", "PR_SET_PDEATHSIG")?;
    let status = Command::new("/proc/self/exe").arg("__warden-init").args(words).status();
    let status = status.or_call("execve", "__warden-init")?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(137)).unwrap_or(1)))
}

/// `__warden-init PROGRAM…`: ends with the program, or when nobody can write to our input any more.
///
/// # Errors
/// As mount(2), execve(2).
pub fn init(words: &[String]) -> Result<ExitCode> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).or_call("prctl", "PR_SET_PDEATHSIG")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).or_call("mount", "/ as private")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).or_call("mount", "proc on /proc")?;
    let Some((program, arguments)) = words.split_first() else { return Ok(ExitCode::FAILURE) };
    let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn().or_call("execve", program)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while matches!(std::io::stdin().read(&mut nothing), Ok(1..)) {}
        let _ = kill(pid, Signal::SIGTERM); // it may want to tidy up
        std::thread::sleep(Duration::from_secs(2));
        std::process::exit(0);
    });
    let status = child.wait().or_call("waitpid", program)?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
