//! `__reader`: the last step before the shell. A session, its terminal, and the reader's own id.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, fchown, setgroups, setresgid, setresuid, setsid};
use process::OrCall;

use crate::Result;
use crate::run::mounts::Account;

/// The shell's loop: a command on descriptor 13, its exit code on 14. Nothing of this is left open to the command.
///
/// Without job control the command is in the shell's own process group, which has the terminal; the trap keeps Ctrl-C
/// from ending the shell with it, and does not reach the command (bash resets it there).
pub const LOOP: &str = r#"
exec 13<&2 14>&2 15>&1 16<&0 2>&1
trap : INT QUIT
cd "$HOME/cooper"
unset BASH_ENV OLDPWD
__status=0
__restore() { return "$1"; }
while IFS= read -r -d '' -u 13 __how && IFS= read -r -d '' -u 13 __command; do
  if [ "$__how" = tty ]; then
    __restore "$__status"
    eval "$__command" <&16 >&16 2>&16 13<&- 14>&- 15>&- 16<&-
  else
    __restore "$__status"
    eval "$__command" </dev/null >&15 2>&1 13<&- 14>&- 15>&- 16<&-
  fi
  __status=$?
  printf '%s\0' "$__status" >&14
done
exit 0
"#;

/// Where the loop lies in the sandbox.
pub const LOOP_FILE: &str = "/run/book/shell";

/// `__reader user|root TERMINAL mapped|single`. Standard output and error are the keeper's.
///
/// # Errors
/// As setsid(2), open(2), setresuid(2), execve(2).
pub fn become_reader(words: &[String]) -> Result<ExitCode> {
    let words = super::told(words);
    let [who, terminal, ids] = &words[..] else { return Ok(ExitCode::FAILURE) };
    let account = Account::of(who);
    setsid().or_call("setsid", "")?;
    // The first terminal that the leader of a session opens becomes the session's (pty(7)).
    let tty = open(terminal.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", terminal)?;
    if account.uid != 0 {
        drop_rights(account, ids == "mapped", tty.as_fd())?;
    }
    let mut shell = Command::new("/bin/bash");
    // Read before what it is told to run: so `ps` shows a plain shell, not all of the loop.
    shell.arg0("bash").arg("-s").stdin(tty).env_clear().env("BASH_ENV", LOOP_FILE);
    shell.env(
        "PATH",
        format!("{}/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", account.home),
    );
    shell.envs([("HOME", account.home), ("USER", account.name), ("LOGNAME", account.name), ("SHELL", "/bin/bash")]);
    shell.envs([("LANG", "C.UTF-8"), ("TERM", "xterm-256color"), ("PAGER", "cat")]);
    if account.uid != 0 {
        shell.env("XDG_RUNTIME_DIR", account.runtime_dir());
    }
    Err(shell.exec()).or_call("execve", "/bin/bash")
}

fn drop_rights(account: Account, mapped: bool, tty: std::os::fd::BorrowedFd<'_>) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.uid));
    // A fork bomb ends here; the keeper counts, too.
    let _ = setrlimit(Resource::RLIMIT_NPROC, 2000, 2000);
    if mapped {
        fchown(tty, Some(uid), Some(gid)).or_call("fchown", "the terminal")?;
        setgroups(&[gid]).or_call("setgroups", "")?;
        setresgid(gid, gid, gid).or_call("setresgid", gid)?;
        return setresuid(uid, uid, uid).or_call("setresuid", uid);
    }
    // One id only: root of the sandbox's user namespace becomes the reader of one below it.
    unshare(CloneFlags::CLONE_NEWUSER).or_call("unshare", "NEWUSER")?;
    for (file, text) in [("uid_map", format!("{uid} 0 1")), ("gid_map", format!("{gid} 0 1"))] {
        if file == "gid_map" {
            let _ = fs::write("/proc/self/setgroups", "deny");
        }
        fs::write(format!("/proc/self/{file}"), text).or_call("write", file)?;
    }
    Ok(())
}
