//! Giving up root.
//!
//! `drop_root UID GID COMMAND…` is started by root, and becomes another user before it executes the command. It believes
//! that it does. Some of root's groups stay with the program, and with them the files that these groups may read. Engines
//! and daemons have had this bug again and again, since none of the calls complains to who does not listen.
//!
//! Mend `become_user`. The program shall have UID as its user, real, effective and saved; GID as its group, in the same
//! three; and no other group. If that cannot be had, the program must not run.
//!
//! Try, as root: `cargo run -q -p lab01 --bin drop_root -- 1234 5678 grep -E '^(Uid|Gid|Groups)' /proc/self/status`
//!
//! Read: the book, chapter 1, "Who it runs as"; setresuid(2); setgroups(2); credentials(7).

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::unistd::{Gid, Uid, setgid, setuid};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [uid, gid, command, rest @ ..] = words.as_slice() else { return usage() };
    let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { return usage() };
    if let Err(errno) = become_user(Uid::from_raw(uid), Gid::from_raw(gid)) {
        eprintln!("drop_root: user {uid}, group {gid}: {errno}");
        return ExitCode::from(125);
    }
    let error = Command::new(command).args(rest).exec();
    eprintln!("drop_root: {command}: {error}");
    ExitCode::from(127)
}

fn usage() -> ExitCode {
    eprintln!("usage: drop_root UID GID COMMAND…, with numbers");
    ExitCode::from(125)
}

/// Becomes this user, with this group and no other, with no way back.
fn become_user(uid: Uid, gid: Gid) -> nix::Result<()> {
    let _ = setuid(uid);
    let _ = setgid(gid);
    Ok(())
}
