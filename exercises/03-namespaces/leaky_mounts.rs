//! An engine whose mounts reach the host.
//!
//! `leaky_mounts DIR PROGRAM…` runs a program in a mount namespace of its own, with an empty tmpfs on DIR. So its
//! author thought, and on his machine it was so. On a machine with systemd, where `/` and all below it is *shared*,
//! every mount of the container appears on the host as well, and what the container unmounts is gone from the host.
//!
//! Mend it. Three things shall hold:
//! - what the container mounts or unmounts changes nothing on the host, wherever it happens;
//! - what the host mounts later still arrives in the container, such as a disk that somebody plugs in;
//! - the host's own mounts stay as they are: shared.
//!
//! By hand, after `cargo build -p lab03`: `unshare --map-root-user --mount --propagation shared sh`, and in that shell
//! `mkdir /tmp/d; target/debug/leaky_mounts /tmp/d findmnt /tmp/d; findmnt /tmp/d`. The shell is the host here.
//!
//! Read: the book, chapter 3, "mnt: mounts, and how they spread" and "A shared mount"; mount_namespaces(7).

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use process::{Container, Error, OrCall, Program, Result, Stage};

/// The stage that mounts an empty tmpfs in a mount namespace of the container's own.
struct Scratch {
    directory: PathBuf,
}

impl Stage for Scratch {
    fn name(&self) -> &'static str {
        "scratch"
    }

    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWNS
    }

    fn create_container(&mut self) -> Result<()> {
        let (tmpfs, attributes) = (Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV);
        mount(tmpfs, &self.directory, tmpfs, attributes, Some("mode=755,size=16m"))
            .or_call("mount", format!("tmpfs on {}", self.directory.display()))?;
        Ok(())
    }
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(125)
    })
}

fn run() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let directory = words.next().map(PathBuf::from);
    let directory =
        directory.ok_or_else(|| Error::invalid("no directory").help("leaky_mounts DIR PROGRAM ARGUMENTS…"))?;
    let program = Program::new(words.collect::<Vec<OsString>>(), std::env::vars_os().collect());
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(Scratch { directory })];
    Ok(Container::new(program, stages).run()?.exit.into())
}
