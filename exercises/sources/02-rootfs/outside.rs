//! A root with an open door.
//!
//! `outside ROOT COMMAND…` makes a directory the root of a program. The program is left standing where the engine
//! stood, and that is outside: no path that begins with `/` leads there, but every other path does. Whoever is inside
//! leaves with one `cd`.
//!
//! First get out yourself, with a shell and nothing else. Then mend `enter`: the program shall stand in `/` of its new
//! root. ROOT may be an absolute path or a relative one.
//!
//! Try: `cargo run -p step02 -- mkroot /tmp/small sh ls cat`, then, as root,
//! `cargo run -q -p lab02 --bin outside -- /tmp/small sh`. There compare `ls /` with `ls` and with `ls ..`.
//! As an ordinary user say `unshare -r target/debug/outside /tmp/small sh` after that.
//!
//! Read: the book, chapter 2, "chroot"; chroot(2), the notes.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

//@ starter
use nix::unistd::chroot;
//@ solution
use nix::unistd::{chdir, chroot};
//@ wrong same-path
use nix::unistd::{chdir, chroot, getcwd};
//@ end

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [root, command, rest @ ..] = words.as_slice() else {
        eprintln!("usage: outside ROOT COMMAND…");
        return ExitCode::from(125);
    };
    if let Err(errno) = enter(Path::new(root)) {
        eprintln!("outside: enter {root}: {errno}");
        return ExitCode::from(125);
    }
    let error = Command::new(command).args(rest).exec();
    eprintln!("outside: {command}: {error}");
    ExitCode::from(127)
}

/// Makes the directory the root of this process, and stands in it.
fn enter(root: &Path) -> nix::Result<()> {
    //@ starter
    chroot(root)
    //@ solution
    chroot(root)?;
    chdir("/")
    //@ wrong too-early
    chdir("/")?;
    chroot(root)
    //@ wrong same-path
    let here = getcwd()?;
    chroot(root)?;
    let _ = chdir(&here);
    Ok(())
    //@ wrong not-there
    chroot(root)?;
    chdir(root)
    //@ end
}
