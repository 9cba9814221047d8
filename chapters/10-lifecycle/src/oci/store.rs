//! The directory of all containers, `--root`: one directory a container, which exists as long as the container does.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use process::{OrCall, Result};

use super::entry::{Entry, Held};
use super::errors;

/// All containers of one root directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
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
        Entry::new(path).hold()
    }

    /// A container's directory.
    ///
    /// # Errors
    /// A bad id; "container does not exist".
    pub fn find(&self, id: &str) -> Result<Entry> {
        check(id)?;
        let path = self.root.join(id);
        if path.is_dir() { Ok(Entry::new(path)) } else { Err(errors::missing()) }
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
        Ok(paths.into_iter().map(Entry::new).collect())
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

/// Are we in a user namespace that maps less than everything?
pub(super) fn is_mapped() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let words: Vec<_> = map.split_whitespace().collect();
    words != ["0", "0", "4294967295"]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::oci::state::Status;

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
