//! Read-only, but only at the top.
//!
//! `deep_read_only FROM TO PROGRAM…` runs a program in a mount namespace of its own in which the directory FROM is seen
//! at TO, read-only, with everything that is mounted below it. Its author uses the old way: a bind mount, then a
//! remount with `MS_RDONLY`. In a test with one directory it held. But a remount reaches one mount, and what is mounted
//! below it stays writable. For years `docker run -v FROM:TO:ro` was like that.
//!
//! Mend it. Three things shall hold:
//! - nothing at TO or below can be written, however deep the mounts lie in each other;
//! - all that FROM shows is still seen at TO;
//! - on the host everything stays writable.
//!
//! By hand, after `cargo build -p lab05`: `unshare --map-root-user --mount sh`, and in that shell
//! `mkdir -p /tmp/f /tmp/t; mount -t tmpfs a /tmp/f; mkdir /tmp/f/b; mount -t tmpfs b /tmp/f/b`, then
//! `target/debug/deep_read_only /tmp/f /tmp/t touch /tmp/t/b/x`.
//!
//! Read: the book, chapter 5, "Read-only, and how deep"; chapter 3, "Mounts by handle"; mount_setattr(2).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use namespaces::Isolation;
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use process::{Container, Error, OrCall, Program, Result, Stage};

/// The stage that shows a directory of the host at another place, read-only.
struct ReadOnly {
    from: PathBuf,
    to: PathBuf,
}

impl Stage for ReadOnly {
    fn name(&self) -> &'static str {
        "read-only bind mount"
    }

    fn create_container(&mut self) -> Result<()> {
        bind_read_only(&self.from, &self.to)
    }
}

/// Mounts `from` on `to`, where nobody can write to it.
fn bind_read_only(from: &Path, to: &Path) -> Result<()> {
    //@ starter
    let none = None::<&str>;
    mount(Some(from), to, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).or_call("mount", from.display())?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_REC;
    mount(none, to, none, flags, none).or_call("mount", format!("{} read-only", to.display()))
    //@ solution
    use namespaces::mount::{Mount, RDONLY};
    let tree = Mount::tree_at(from, true)?;
    tree.set(RDONLY, true)?;
    let place = std::fs::File::open(to).or_call("open", to.display())?;
    tree.attach(place, &to.display().to_string())
    //@ wrong not-recursive
    use namespaces::mount::{Mount, RDONLY};
    let tree = Mount::tree_at(from, true)?;
    tree.set(RDONLY, false)?;
    let place = std::fs::File::open(to).or_call("open", to.display())?;
    tree.attach(place, &to.display().to_string())
    //@ wrong only-the-top-is-shown
    let none = None::<&str>;
    mount(Some(from), to, none, MsFlags::MS_BIND, none).or_call("mount", from.display())?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, to, none, flags, none).or_call("mount", format!("{} read-only", to.display()))
    //@ wrong whole-file-systems
    let none = None::<&str>;
    mount(Some(from), to, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).or_call("mount", from.display())?;
    let table = std::fs::read_to_string("/proc/self/mountinfo").or_call("read", "/proc/self/mountinfo")?;
    let places = table.lines().filter_map(|line| line.split(' ').nth(4));
    for place in places.filter(|place| Path::new(place).starts_with(to)) {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, place, none, flags, none).or_call("mount", format!("{place} read-only"))?;
    }
    Ok(())
    //@ end
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(125)
    })
}

fn run() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (words.next(), words.next()) else {
        return Err(Error::invalid("two directories are needed").help("deep_read_only FROM TO PROGRAM ARGUMENTS…"));
    };
    let program = Program::new(words.collect::<Vec<OsString>>(), std::env::vars_os().collect());
    let isolation = Isolation { flags: CloneFlags::CLONE_NEWNS, hostname: String::new(), boot_offset: 0 };
    let stages: Vec<Box<dyn Stage>> =
        vec![Box::new(isolation), Box::new(ReadOnly { from: from.into(), to: to.into() })];
    Ok(Container::new(program, stages).run()?.exit.into())
}
