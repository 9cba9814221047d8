//! The directory of one container, and the right to change it.
//!
//! /run is a tmpfs: what lies there is lost with the machine, so nothing is synced. What a killed process must not
//! tear is written to a temporary name and renamed.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use process::{Error, Kind, OrCall, Result};

use super::errors;
use super::state::{State, Status};

/// How long a command waits for another one on the same container.
const PATIENCE: Duration = Duration::from_secs(10);
const STATE: &str = "state.json";
/// config.json as it was at `create`: what is done to the bundle's later "MUST NOT have any effect" (runtime.md).
const CONFIG: &str = "config.json";

/// The directory of one container.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
}

/// The right to change a container, until it is dropped; the kernel drops it with a killed process.
#[derive(Debug)]
pub struct Held {
    /// Whose.
    pub entry: Entry,
    lock: Flock<File>,
}

impl Entry {
    /// The one at `path`.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The container's id.
    pub fn id(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What is known of the container, and where it is in its life. Of one whose creator has not come to write that
    /// down, or never will, only the id is known.
    ///
    /// # Errors
    /// As open(2) and read(2); [`Kind::Corrupt`] if it is no JSON of ours.
    pub fn look(&self) -> Result<(State, Status)> {
        if let Some(state) = self.state()? {
            let status = state.status(&self.path);
            return Ok((state, status));
        }
        let status = if self.is_held() { Status::Creating } else { Status::Stopped };
        Ok((State::unknown(self.id()), status))
    }

    /// What is known of the container, if it was written.
    ///
    /// # Errors
    /// As [`look`](Self::look); "container does not exist" if it was removed meanwhile.
    pub fn state(&self) -> Result<Option<State>> {
        let path = self.path.join(STATE);
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if self.path.is_dir() {
                    Ok(None)
                } else {
                    Err(errors::missing())
                }
            }
            bytes => {
                let corrupt = |error| Error::new(Kind::Corrupt, format!("{}: {error}", path.display()));
                serde_json::from_slice(&bytes.or_call("read", path.display())?).map(Some).map_err(corrupt)
            }
        }
    }

    /// config.json as it was when the container was created: its file.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// The user who owns it.
    pub fn owner(&self) -> String {
        let Ok(about) = fs::metadata(&self.path) else { return String::new() };
        let uid = about.uid().to_string();
        // By the file, not by getpwuid(3): a name for people to read is not worth a directory server's answer.
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let entry = entries.find(|entry| entry.get(2) == Some(&uid.as_str()));
        entry.map_or_else(|| format!("#{uid}"), |entry| entry[0].to_owned())
    }

    /// Where what is known of it is written.
    pub fn state_file(&self) -> PathBuf {
        self.path.join(STATE)
    }

    /// Keeps config.json.
    ///
    /// # Errors
    /// As open(2) and write(2).
    pub fn save_config(&self, bytes: &[u8]) -> Result<()> {
        let path = self.config();
        fs::write(&path, bytes).or_call("write", path.display())
    }

    /// Waits for the right to change the container.
    ///
    /// # Errors
    /// "container does not exist" if it was removed meanwhile; [`Kind::Conflict`] if another command does not end.
    pub fn hold(self) -> Result<Held> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(errors::missing()),
            file => file.or_call("open", self.path.display())?,
        };
        let end = Instant::now() + PATIENCE;
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) if lock.metadata().is_ok_and(|about| about.nlink() == 0) => return Err(errors::missing()),
                Ok(lock) => return Ok(Held { entry: self, lock }),
                Err((same, Errno::EWOULDBLOCK)) if Instant::now() < end => file = same,
                Err((_, Errno::EWOULDBLOCK)) => {
                    let what = format!("container {} is being changed by another command", self.id());
                    return Err(Error::new(Kind::Conflict, what).help("try again when that one has ended"));
                }
                Err((_, errno)) => return Err(Error::call("flock", self.path.display(), errno)),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn is_held(&self) -> bool {
        let Ok(file) = File::open(&self.path) else { return false };
        matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
    }
}

impl Held {
    /// As [`Entry::look`]; whose creator has written nothing and does not hold it any more was killed.
    ///
    /// # Errors
    /// As [`Entry::state`].
    pub fn look(&self) -> Result<(State, Status)> {
        let state = self.entry.state()?.unwrap_or_else(|| State::unknown(self.entry.id()));
        let status = state.status(&self.entry.path);
        Ok((state, status))
    }

    /// The descriptor of the lock. A child has a copy, and would hold the lock as long as it lives (flock(2)).
    pub fn descriptor(&self) -> RawFd {
        self.lock.as_raw_fd()
    }

    /// Lets others change it.
    pub fn release(self) -> Entry {
        self.entry
    }

    /// Removes the container's files; its id is free again.
    ///
    /// # Errors
    /// As unlink(2) and rmdir(2).
    pub fn remove(self) -> Result<()> {
        // The state last: as long as it is there, the next `delete` knows what is left to do.
        for entry in fs::read_dir(&self.entry.path).or_call("open", self.entry.path.display())?.flatten() {
            if entry.file_name() != STATE {
                fs::remove_file(entry.path()).or_call("unlink", entry.path().display())?;
            }
        }
        let state = self.entry.path.join(STATE);
        match fs::remove_file(&state) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            done => done.or_call("unlink", state.display())?,
        }
        let done = fs::remove_dir(&self.entry.path).or_call("rmdir", self.entry.path.display());
        drop(self.lock);
        done
    }
}

/// Writes what is known of a container.
///
/// # Errors
/// As [`replace`].
pub fn save(path: &Path, state: &State) -> Result<()> {
    let bytes = serde_json::to_vec(state).map_err(|error| Error::invalid(format!("{STATE}: {error}")))?;
    replace(path, &bytes)
}

/// Writes a file so that it is there whole or not at all.
///
/// # Errors
/// As open(2), write(2) and rename(2).
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let temporary = path.with_file_name(name);
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o644).open(&temporary);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).or_call("write", temporary.display())?;
    fs::rename(&temporary, path).or_call("rename", path.display())
}
