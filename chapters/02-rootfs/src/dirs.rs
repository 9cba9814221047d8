//! Where the engine keeps its things: the system's directories for root, XDG's for an ordinary user.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The two places (hier(7); XDG Base Directory Specification).
#[derive(Debug, Clone)]
pub struct Dirs {
    /// What must outlive a reboot: images, layers, containers, volumes.
    pub data: PathBuf,
    /// What must not: who runs, which addresses are taken.
    pub run: PathBuf,
}

/// The directories of this process. Decided on the first call, before a user namespace makes everybody root.
///
/// `COOPER_DATA` and `COOPER_RUN` choose others; relative ones count from where the command was given.
pub fn dirs() -> &'static Dirs {
    static DIRS: OnceLock<Dirs> = OnceLock::new();
    DIRS.get_or_init(|| {
        let root = nix::unistd::geteuid().is_root();
        Dirs {
            data: chosen("COOPER_DATA").unwrap_or_else(|| if root { "/var/lib/cooper".into() } else { user_data() }),
            run: chosen("COOPER_RUN").unwrap_or_else(|| if root { "/run/cooper".into() } else { user_run() }),
        }
    })
}

fn user_data() -> PathBuf {
    let home = || from_env("HOME", ".local/share/cooper");
    from_env("XDG_DATA_HOME", "cooper").or_else(home).unwrap_or_else(|| user_run().join("data"))
}

fn user_run() -> PathBuf {
    let fallback = || Path::new("/tmp").join(format!("cooper-{}", nix::unistd::geteuid()));
    from_env("XDG_RUNTIME_DIR", "cooper").unwrap_or_else(fallback)
}

/// What the user chose; an empty variable is none.
fn chosen(name: &str) -> Option<PathBuf> {
    std::path::absolute(std::env::var_os(name)?).ok()
}

/// An absolute path from the environment; the XDG specification has relative ones ignored.
fn from_env(name: &str, below: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(name)?);
    path.is_absolute().then(|| path.join(below))
}
