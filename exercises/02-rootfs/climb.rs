//! Out of a chroot, and the hole closed.
//!
//! Part one: `climb out FILE` is started by root inside a chroot. Write `climb_out`: it makes the top of the tree the
//! root of this process again, so that FILE of the host can be read. A way is in the book; there are others, for
//! example by the descriptor of a directory that was opened before a second chroot.
//!
//! Part two: `climb in ROOT COMMAND…` executes a command in ROOT. It does all that a chroot can do, and your own
//! `climb out` leaves it. Write `enter` anew so that no chroot leads out again. The command must still be root, stand
//! in `/` of ROOT, and find there what ROOT has. The right that the escape needs is hard to take from root; think of
//! what lies above the root, and of chapter 3's pivot_root(2), which changes that. You may make a mount namespace.
//! What a mounted /proc shows of other processes is not asked for here. The calls are in nix::unistd, nix::mount and
//! nix::sched.
//!
//! Try: `cargo run -p step02 -- mkroot /tmp/small sh ls cat`, `cargo build -p lab02`, and
//! `cp target/debug/climb /tmp/small/`. Then, as root, `chroot /tmp/small /climb out /etc/passwd` and
//! `target/debug/climb in /tmp/small /climb out /etc/passwd`: whose users are these? As an ordinary user put `unshare -r`
//! before both.
//!
//! Read: the book, chapter 2, "Break it"; pivot_root(2), `pivot_root(".", ".")`; mount_namespaces(7).

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::unistd::{chdir, chroot};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["out", file] => out(file),
        ["in", root, command, rest @ ..] => {
            enter(Path::new(root)).expect("enter the root");
            let error = Command::new(command).args(rest).exec();
            eprintln!("climb: {command}: {error}");
            ExitCode::from(127)
        }
        _ => {
            eprintln!("usage: climb out FILE | climb in ROOT COMMAND…");
            ExitCode::from(125)
        }
    }
}

fn out(file: &str) -> ExitCode {
    if let Err(errno) = climb_out() {
        eprintln!("climb: no way out: {errno}");
    }
    match std::fs::read_to_string(file) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("climb: {file}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Part one: makes the top of the tree the root of this process.
fn climb_out() -> nix::Result<()> {
    todo!("the root below, the working directory above")
}

/// Part two: makes the directory the root of this process, with no way out.
fn enter(root: &Path) -> nix::Result<()> {
    chroot(root)?;
    chdir("/")
}
