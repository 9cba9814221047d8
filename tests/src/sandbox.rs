//! A place for one test: directories of its own, and commands that use them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::{Outcome, Run, User, step};

/// Directories of one test, removed on drop, and commands that keep the engine's things in them.
#[derive(Debug)]
pub struct Sandbox {
    dir: TempDir,
    user: Option<User>,
}

impl Sandbox {
    /// A sandbox whose commands run as whoever runs the tests, with `COOPER_DATA` and `COOPER_RUN` in it.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new() -> Outcome<Self> {
        let dir = tempfile::Builder::new().prefix("cooper-test-").tempdir()?;
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Self { dir, user: None })
    }

    /// A sandbox whose commands run as an ordinary [`User`], the engine's things where XDG puts them.
    ///
    /// # Errors
    /// As [`User::new`].
    pub fn ordinary() -> Outcome<Self> {
        let mut sandbox = Self::new()?;
        sandbox.user = Some(User::new()?);
        sandbox.own(sandbox.path())?;
        Ok(sandbox)
    }

    /// Its directory, empty at first, outside of the engine's own.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The ordinary user of [`ordinary`](Self::ordinary).
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Where the engine keeps what outlives a reboot.
    pub fn data(&self) -> PathBuf {
        let home = self.user.as_ref().map(|user| user.home().join(".local/share/cooper"));
        home.unwrap_or_else(|| self.path().join("data"))
    }

    /// Where the engine keeps what does not.
    pub fn run_dir(&self) -> PathBuf {
        let home = self.user.as_ref().map(|user| user.runtime_dir().join("cooper"));
        home.unwrap_or_else(|| self.path().join("run"))
    }

    /// A new directory in it, the user's own.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn dir(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.path().join(name);
        fs::create_dir_all(&path)?;
        self.own(&path)?;
        Ok(path)
    }

    /// A new file in it with this text, the user's own; directories above it are made.
    ///
    /// # Errors
    /// As open(2) and mkdir(2).
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> Outcome<PathBuf> {
        let path = self.path().join(name);
        for above in Path::new(name).ancestors().skip(1).filter_map(Path::to_str).filter(|name| !name.is_empty()) {
            self.dir(above)?;
        }
        fs::write(&path, text)?;
        self.own(&path)?;
        Ok(path)
    }

    /// The program of chapter `number`: `step(4)` is `step04`.
    pub fn step(&self, number: u8) -> Run {
        match step(number) {
            Ok(program) => self.program(program),
            Err(failed) => Run::failed(failed.message().unwrap_or_default().to_owned()),
        }
    }

    /// Any other program, by path or by name.
    pub fn program(&self, program: impl AsRef<Path>) -> Run {
        let program = program.as_ref();
        let Some(user) = &self.user else {
            let mut command = Command::new(program);
            command.env("COOPER_DATA", self.data()).env("COOPER_RUN", self.run_dir());
            return Run::new(command);
        };
        match user.command(program) {
            Ok(command) => Run::new(command),
            Err(failed) => Run::failed(failed.message().unwrap_or_default().to_owned()),
        }
    }

    fn own(&self, path: &Path) -> Outcome {
        Ok(self.user.as_ref().map_or(Ok(()), |user| user.give(path))?)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        remove(self.dir.path());
    }
}

/// Removes a directory also where parts of it belong to the user's subordinate ids.
pub(crate) fn remove(dir: &Path) {
    let closed = fs::remove_dir_all(dir).is_err() && dir.exists();
    if closed && !geteuid().is_root() {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-auto", "--map-root-user", "rm", "-rf"]).arg(dir);
        let _ = unshare.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
