//! An ordinary user for the tests, whoever runs them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::Outcome;

/// The account that a suite of root adds in its own mount namespace.
pub(crate) const NAME: &str = "cooper-test";
/// Its user id.
pub(crate) const UID: u32 = 4711;
/// Its group id.
pub(crate) const GID: u32 = 4711;
/// Its subordinate ids: the first and how many, for users and groups alike.
pub(crate) const SUBIDS: (u32, u32) = (300_000, 65_536);

/// An ordinary user with a home and a runtime directory of its own, removed on drop.
///
/// When root runs the tests, it is an account of uid 4711 with a range of subordinate ids, which exists only within
/// the suite's mount namespace; where there is cgroup v2 it has a delegated subtree. Otherwise it is who runs them.
#[derive(Debug)]
pub struct User {
    home: TempDir,
    /// The cgroup that is its to manage; its commands run in `shell` beneath.
    delegated: Option<PathBuf>,
}

impl User {
    /// Makes its directories, and its cgroup where that is possible.
    ///
    /// # Errors
    /// Whatever keeps the directories from being made. As root outside a [`Suite`](crate::Suite): no such account.
    pub fn new() -> Outcome<Self> {
        let home = tempfile::Builder::new().prefix("cooper-user-").tempdir()?;
        let mut user = Self { home, delegated: None };
        for dir in [user.home().to_owned(), user.runtime_dir()] {
            fs::create_dir_all(&dir)?;
            fs::set_permissions(&dir, PermissionsExt::from_mode(0o700))?;
            user.give(&dir)?;
        }
        if !geteuid().is_root() {
            return Ok(user);
        }
        if nix::unistd::User::from_name(NAME)?.is_none() {
            return Err("User::new() as root works in a Suite, which adds the account".into());
        }
        user.delegated = delegate()?;
        Ok(user)
    }

    /// Its user id.
    pub fn uid(&self) -> u32 {
        if geteuid().is_root() { UID } else { geteuid().as_raw() }
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its `XDG_RUNTIME_DIR`.
    pub fn runtime_dir(&self) -> PathBuf {
        self.home().join(".run")
    }

    /// The cgroup that is delegated to it, if there is cgroup v2 and the tests run as root.
    pub fn delegated(&self) -> Option<&Path> {
        self.delegated.as_deref()
    }

    /// Makes it the owner of this file or directory.
    ///
    /// # Errors
    /// As chown(2).
    pub fn give(&self, path: &Path) -> io::Result<()> {
        if geteuid().is_root() { chown(path, Some(UID), Some(GID)) } else { Ok(()) }
    }

    /// A command that it runs, with nothing of our environment. A program where it cannot reach is copied.
    ///
    /// # Errors
    /// No such program.
    pub fn command(&self, program: impl AsRef<Path>) -> Outcome<Command> {
        let program = program.as_ref();
        if !geteuid().is_root() {
            let mut command = Command::new(program);
            self.environment(&mut command);
            return Ok(command);
        }
        let program = reachable(program)?;
        let mut command = Command::new("sh");
        let enter = "if [ -n \"$1\" ]; then echo $$ > \"$1/shell/cgroup.procs\" || exit 125; fi; shift; exec \"$@\"";
        command.args(["-c", enter, "sh"]).arg(self.delegated.as_deref().unwrap_or(Path::new("")));
        command.args([
            "setpriv",
            &format!("--reuid={UID}"),
            &format!("--regid={GID}"),
            "--clear-groups",
            "--inh-caps=-all",
            "--",
        ]);
        command.arg(program);
        self.environment(&mut command);
        Ok(command)
    }

    fn environment(&self, command: &mut Command) {
        command.env_clear().current_dir(self.home());
        command.env("HOME", self.home()).env("XDG_RUNTIME_DIR", self.runtime_dir());
        let name = if geteuid().is_root() { NAME.to_owned() } else { std::env::var("USER").unwrap_or_default() };
        command.env("USER", &name).env("LOGNAME", name);
        // newuidmap lies in /usr/bin, ip and nft in /usr/sbin, which some give to root only.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin").env("LANG", "C.UTF-8");
    }
}

impl Drop for User {
    fn drop(&mut self) {
        crate::sandbox::remove(self.home.path());
        if let Some(delegated) = &self.delegated {
            // Only what we made: what the engine left beneath keeps it there, for the hygiene check to show.
            let _ = fs::remove_dir(delegated.join("shell"));
            let _ = fs::remove_dir(delegated);
        }
    }
}

/// A cgroup handed to the account as systemd does (cgroups(7), "Cgroups delegation"); `None` without cgroup v2.
fn delegate() -> io::Result<Option<PathBuf>> {
    let root = Path::new("/sys/fs/cgroup");
    let Ok(controllers) = fs::read_to_string(root.join("cgroup.controllers")) else {
        return Ok(None);
    };
    let all = controllers.split_whitespace().map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ");
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let top = root.join(format!("cooper-test-{}-{count}.slice", std::process::id()));
    fs::write(root.join("cgroup.subtree_control"), &all)?;
    let shell = top.join("shell");
    fs::create_dir_all(&shell)?;
    fs::write(top.join("cgroup.subtree_control"), &all)?;
    for dir in [&top, &shell] {
        for path in
            [dir.clone(), dir.join("cgroup.procs"), dir.join("cgroup.subtree_control"), dir.join("cgroup.threads")]
        {
            chown(&path, Some(UID), Some(GID))?;
        }
    }
    Ok(Some(top))
}

/// This program, or a copy of it if a directory above it is closed to others, as /root is.
fn reachable(program: &Path) -> io::Result<PathBuf> {
    static COPIES: Mutex<Option<(TempDir, HashMap<PathBuf, PathBuf>)>> = Mutex::new(None);
    let open = |dir: &Path| dir.metadata().is_ok_and(|meta| meta.mode() & 0o001 != 0);
    if !program.is_absolute() || program.ancestors().skip(1).all(open) {
        return Ok(program.to_owned());
    }
    let mut copies = COPIES.lock().expect("nobody panics with it");
    if copies.is_none() {
        let dir = tempfile::tempdir()?;
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755))?;
        *copies = Some((dir, HashMap::new()));
    }
    let (dir, known) = copies.as_mut().expect("made above");
    if let Some(copy) = known.get(program) {
        return Ok(copy.clone());
    }
    let copy = dir.path().join(program.file_name().unwrap_or_default());
    fs::copy(program, &copy)?;
    known.insert(program.to_owned(), copy.clone());
    Ok(copy)
}
