//! A learner's work: a directory, of which nothing but the known files is read, by handle and through no link.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result};

use crate::Exercise;

/// The most that a learner's file may be.
const MOST: u64 = 256 << 10;

/// A submission's directory.
#[derive(Debug)]
pub struct Submission {
    /// What it is called in reports.
    pub name: String,
    /// As it was given.
    pub path: PathBuf,
    dir: OwnedFd,
    /// Where the chapters are, from there.
    below: &'static str,
}

/// A learner's file.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Its text.
    Text(Vec<u8>),
    /// There is none that can be taken, and why.
    Refused(String),
}

/// Of a file that was not handed in.
pub const MISSING: &str = "there is no such file in the submission";

impl Submission {
    /// Opens a clone of the repository, a directory with `exercises/NN-name/`, or that `exercises` itself.
    ///
    /// # Errors
    /// There is no such directory, or none of the chapters in it.
    pub fn open(path: &Path, chapters: &[String]) -> Result<Self> {
        let name = path.canonicalize().or_call("open", path.display())?;
        let name = name.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(path, flags, Mode::empty()).or_call("open", path.display())?;
        let has =
            |below: &str| chapters.iter().any(|chapter| beneath(&dir, &format!("{below}{chapter}"), flags).is_ok());
        let below = ["exercises/", ""].into_iter().find(|below| has(below));
        let below = below.ok_or_else(|| {
            Error::not_found(format!("{}: no exercises in it", path.display()))
                .help("a submission has exercises/01-process/ and so on, or is such a directory of exercises")
        })?;
        Ok(Self { name, path: path.to_owned(), dir, below })
    }

    /// The learner's file of this exercise.
    ///
    /// # Errors
    /// This machine cannot read it.
    pub fn take(&self, exercise: &Exercise) -> Result<Taken> {
        let path = format!("{}{}/{}.rs", self.below, exercise.chapter, exercise.name);
        let refused = |why: &str| Ok(Taken::Refused(format!("{path}: {why}")));
        // A pipe must not block the one who opens it, and a terminal not become his.
        let file = match beneath(&self.dir, &path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return refused(MISSING),
            Err(Errno::ELOOP | Errno::EXDEV) => return refused("it is a link, or behind one: links are not followed"),
            Err(Errno::ENXIO | Errno::ENODEV) => return refused("it is no regular file"),
            Err(errno) => return Err(Error::call("openat2", format!("{}/{path}", self.path.display()), errno)),
        };
        let meta = file.metadata().or_call("fstat", &path)?;
        if !meta.is_file() {
            return refused("it is no regular file");
        }
        let mut text = Vec::new();
        file.take(MOST + 1).read_to_end(&mut text).or_call("read", &path)?;
        if text.len() as u64 > MOST {
            return refused(&format!("it is larger than {} KiB", MOST >> 10));
        }
        Ok(Taken::Text(text))
    }
}

/// openat2(2): not out of the directory, and through no link, whatever is changed there meanwhile.
fn beneath(dir: &OwnedFd, path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
    loop {
        match openat2(dir, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            done => return done,
        }
    }
}
