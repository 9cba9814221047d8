//! The directory of all containers, `--root`: one directory a container, which exists as long as the container does.
//!
//! /run is a tmpfs: what lies there is lost with the machine, so nothing is synced. What a killed process must not
//! tear is written to a temporary name and renamed.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
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

/// All containers of one root directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

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

impl Store {
    /// The containers below `root`, which need not exist.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where the containers are if nobody says otherwise: the user's runtime directory for an ordinary user, and for
    /// one who is root in a user namespace only.
    pub fn default_root() -> PathBuf {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        match runtime {
            Some(runtime) if !nix::unistd::geteuid().is_root() || is_mapped() => {
                Path::new(&runtime).join("cooper-runtime")
            }
            _ => "/run/cooper-runtime".into(),
        }
    }

    /// A new container's directory, held.
    ///
    /// # Errors
    /// A bad id; "container with given ID already exists".
    pub fn create(&self, id: &str) -> Result<Held> {
        check(id)?;
        let path = self.root.join(id);
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        let mut made = builder.create(&path);
        if made.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            let above = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.root);
            above.or_call("mkdir", self.root.display()).map_err(|error| error.help("--root names another place"))?;
            made = builder.create(&path);
        }
        match made {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(errors::exists()),
            made => made.or_call("mkdir", path.display())?,
        }
        Entry { path }.hold()
    }

    /// A container's directory.
    ///
    /// # Errors
    /// A bad id; "container does not exist".
    pub fn find(&self, id: &str) -> Result<Entry> {
        check(id)?;
        let path = self.root.join(id);
        if path.is_dir() { Ok(Entry { path }) } else { Err(errors::missing()) }
    }

    /// All containers' directories, sorted by id.
    ///
    /// # Errors
    /// As opendir(3); that there is no root directory yet is no error.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.or_call("open", self.root.display())?,
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        paths.sort();
        Ok(paths.into_iter().map(|path| Entry { path }).collect())
    }
}

impl Entry {
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

/// runc's rule: `^[\w+.-]+$`, and neither `.` nor `..`.
fn check(id: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if !id.is_empty() && id.len() <= 255 && id != "." && id != ".." && id.bytes().all(plain) {
        Ok(())
    } else {
        Err(errors::bad_id())
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

/// Are we in a user namespace that maps less than everything?
pub(super) fn is_mapped() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let words: Vec<_> = map.split_whitespace().collect();
    words != ["0", "0", "4294967295"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_file_names() {
        for good in ["a", "web_1", "a+b-c.d", ".hidden", "0"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../a", "a b", "ü", "a\n", &"x".repeat(256)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_is_given_once_and_free_after_removal() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("deep/root"));
        assert!(store.list().unwrap().is_empty());
        let held = store.create("a").unwrap();
        assert_eq!(store.create("a").unwrap_err().what(), "container with given ID already exists");
        assert_eq!(store.find("a").unwrap().look().unwrap().1, Status::Creating);
        drop(held);
        assert_eq!(store.find("a").unwrap().look().unwrap().1, Status::Stopped);
        assert_eq!(store.list().unwrap().len(), 1);
        store.find("a").unwrap().hold().unwrap().remove().unwrap();
        assert_eq!(store.find("a").unwrap_err().what(), "container does not exist");
        store.create("a").unwrap();
    }

    #[test]
    fn who_waits_for_a_container_that_is_removed_learns_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().into());
        let held = store.create("a").unwrap();
        let waiting = store.find("a").unwrap();
        let waiter = std::thread::spawn(move || waiting.hold().map(drop).unwrap_err().what().to_owned());
        std::thread::sleep(Duration::from_millis(20));
        held.remove().unwrap();
        assert_eq!(waiter.join().unwrap(), "container does not exist");
    }
}
