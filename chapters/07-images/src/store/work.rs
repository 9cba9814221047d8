//! Work in progress: a directory of its own per pull, locked by whoever works in it.

use std::fs;
use std::path::{Path, PathBuf};

use process::{OrCall, Result};

use super::lock::Lock;
use super::{Store, private};

/// A directory for temporary files, removed when it is dropped, or by the next pull after a crash.
#[derive(Debug)]
pub struct Work {
    path: PathBuf,
    _lock: Lock,
}

impl Store {
    /// A new directory for work in progress. What dead processes left behind is removed first.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn work(&self) -> Result<Work> {
        // The lock keeps others from sweeping the directory between its making and its own lock.
        let _lock = self.lock()?;
        self.sweep_work();
        let path = (0_u32..)
            .map(|number| self.work_directory().join(format!("{}-{number}", std::process::id())))
            .find(|path| !path.exists())
            .unwrap_or_else(|| self.work_directory().join("work"));
        fs::create_dir(&path).or_call("mkdir", path.display())?;
        private(&path)?;
        let lock = Lock::try_directory(&path)?.ok_or_else(|| process::Error::invalid("the new directory is locked"))?;
        Ok(Work { path, _lock: lock })
    }

    /// Removes what is left of pulls that were killed: their locks went with them.
    fn sweep_work(&self) {
        let entries = fs::read_dir(self.work_directory()).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if let Ok(Some(_lock)) = Lock::try_directory(&path) {
                // What cannot be removed now is tried again next time; it is in nobody's way.
                let _ = fs::remove_dir_all(&path);
            }
        }
        // Whoever writes the index has the lock that the caller has: what lies beside it is of a dead one.
        let entries = fs::read_dir(self.layout()).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("index.") && name.ends_with(".tmp") {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

impl Work {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
