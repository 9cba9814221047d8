//! A volume's first fill, and a link that leads out of the image.
//!
//! A new volume is filled with what the image has at its place. The engine does that on the host, as root, with the
//! image's directory in front of it: `first_fill fill IMAGE PATH VOLUME` copies what IMAGE has at PATH into the empty
//! directory VOLUME. Its author thought of files and directories. An image is made by a stranger, though, and may hold
//! a link.
//!
//! **Break out.** Write [`bait`]. `first_fill bait IMAGE SECRET` lays out an image for the path `/data` (a directory
//! `data` or something of that name), such that a fill brings the file SECRET of the host into the volume. You have not
//! got the file, you only know where it lies; when you make the image it need not even be there yet.
//!
//! **Close the way.** Then mend [`fill`]. Nothing that lies outside of IMAGE may get into the volume, whatever is a
//! link. And what an honest image has must still get there: a link is copied as the link that it is; and where PATH
//! itself leads over links, they mean what they will mean in the container, whose `/` is IMAGE. Debian's `/var/run ->
//! /run` is one.
//!
//! By hand, after `cargo build -p lab05`: `mkdir /tmp/i /tmp/v; target/debug/first_fill bait /tmp/i /etc/hostname;
//! target/debug/first_fill fill /tmp/i /data /tmp/v; grep -r . /tmp/v`.
//!
//! Read: the book, chapter 5, "Volumes and their first fill" and "Break it"; openat2(2), `RESOLVE_IN_ROOT`; symlink(7).

//@ starter
#![allow(unused, reason = "until the gap is filled")]

//@ solution
//@ end
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::fcntl::OFlag;
use process::{Error, OrCall, Result};
use rootfs::{RootDir, fd_path};

/// Lays out an image whose `/data` brings the host's file `secret` into a volume that is filled from it.
fn bait(image: &Path, secret: &Path) -> Result<()> {
    //@ starter
    Ok(())
    //@ solution
    let data = image.join("data");
    fs::create_dir(&data).or_call("mkdir", data.display())?;
    symlink(secret, data.join("bait")).or_call("symlink", data.join("bait").display())
    //@ wrong copies-it
    let data = image.join("data");
    fs::create_dir(&data).or_call("mkdir", data.display())?;
    fs::copy(secret, data.join("bait")).or_call("copy", secret.display())?;
    Ok(())
    //@ end
}

/// Copies what the image has at `path` into the volume.
fn fill(image: &Path, path: &Path, volume: &Path) -> Result<()> {
    //@ starter, wrong copies-it, wrong path-by-hand
    let from = image.join(path.strip_prefix("/").unwrap_or(path));
    copy(&from, volume)
    //@ solution, wrong drops-links
    let from = RootDir::open(image)?.open_at(path, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    copy(&fd_path(&from), volume)
    //@ wrong compares-paths
    let from = image.join(path.strip_prefix("/").unwrap_or(path));
    let from = from.canonicalize().or_call("realpath", from.display())?;
    if !from.starts_with(image) {
        return Err(Error::invalid("the path leads out of the image"));
    }
    copy(&from, volume)
    //@ end
}

/// Copies what is in the directory `from` into the directory `to`.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).or_call("open", from.display())? {
        let source = entry.or_call("getdents64", from.display())?.path();
        let target = to.join(source.file_name().unwrap_or_default());
        //@ starter, wrong copies-it
        let about = source.metadata().or_call("stat", source.display())?;
        if about.is_dir() {
        //@ solution, wrong path-by-hand, wrong compares-paths
        let about = source.symlink_metadata().or_call("lstat", source.display())?;
        if about.is_symlink() {
            let leads_to = source.read_link().or_call("readlink", source.display())?;
            symlink(leads_to, &target).or_call("symlink", target.display())?;
        } else if about.is_dir() {
        //@ wrong drops-links
        let about = source.symlink_metadata().or_call("lstat", source.display())?;
        if about.is_symlink() {
            continue;
        }
        if about.is_dir() {
        //@ end
            fs::create_dir(&target).or_call("mkdir", target.display())?;
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target).or_call("copy", source.display())?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(125)
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match &words[..] {
        [verb, image, secret] if verb == Path::new("bait") => bait(image, secret),
        [verb, image, path, volume] if verb == Path::new("fill") => fill(image, path, volume),
        _ => Err(Error::invalid("what shall be done?")
            .help("first_fill bait IMAGE SECRET, or first_fill fill IMAGE PATH VOLUME")),
    }
}
