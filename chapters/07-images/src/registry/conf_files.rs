//! Where containers-registries.conf is, and in which order its files count.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use process::{OrCall, Result, explain};

use super::conf::Conf;

const SYSTEM: &str = "/etc/containers";
/// Names the file to read instead of the system's and the user's; Podman's name, and ours before it.
const VARIABLES: [&str; 2] = ["COOPER_REGISTRIES_CONF", "CONTAINERS_REGISTRIES_CONF"];

/// What the files of this machine and this user say together. Read once a process.
pub fn get() -> Result<&'static Conf> {
    static CONF: OnceLock<Result<Conf>> = OnceLock::new();
    CONF.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<Conf> {
    let chosen = VARIABLES.iter().find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
    let mut conf = Conf::default();
    for file in files(chosen.map(PathBuf::from), user().as_deref(), Path::new(SYSTEM)) {
        if let Some(text) = read(&file)? {
            explain!(7, "mirrors, blocks and short names, if any", "read {}", file.display());
            conf.add(&text, &file)?;
        }
    }
    Ok(conf)
}

/// The files, the least weighty first. A chosen one stands alone, so that what it says is all that counts;
/// otherwise the user's own replaces the system's, and drop-ins come after both (the man page, "DESCRIPTION").
fn files(chosen: Option<PathBuf>, user: Option<&Path>, system: &Path) -> Vec<PathBuf> {
    if let Some(chosen) = chosen {
        return vec![chosen];
    }
    let own = user.map(|user| user.join("registries.conf")).filter(|file| file.exists());
    let mut files = vec![own.unwrap_or_else(|| system.join("registries.conf"))];
    for directory in [Some(system), user].into_iter().flatten() {
        files.extend(drop_ins(&directory.join("registries.conf.d")));
    }
    files
}

/// The `.conf` files of a directory, by name. No such directory, no files.
fn drop_ins(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "conf"));
    found.sort();
    found
}

/// `~/.config/containers`, or where XDG_CONFIG_HOME says.
pub fn user() -> Option<PathBuf> {
    config_home().map(|home| home.join("containers"))
}

/// `~/.config`, or XDG_CONFIG_HOME.
pub fn config_home() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))
}

/// The text of a file; none if it is not there, or is another user's, as after sudo.
pub fn read(file: &Path) -> Result<Option<String>> {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match std::fs::read_to_string(file) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        Err(error) if error.kind() == PermissionDenied && !file.starts_with(SYSTEM) => Ok(None),
        text => text.map(Some).or_call("read", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_come_last_and_a_chosen_file_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (system, user) = (dir.path().join("system"), dir.path().join("user"));
        for path in [
            "system/registries.conf.d/b.conf",
            "system/registries.conf.d/a.conf",
            "system/registries.conf.d/README",
            "user/registries.conf",
            "user/registries.conf.d/c.conf",
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names = |files: Vec<PathBuf>| -> Vec<String> {
            files.iter().map(|file| file.strip_prefix(dir.path()).unwrap_or(file).display().to_string()).collect()
        };
        assert_eq!(
            names(files(None, Some(&user), &system)),
            [
                "user/registries.conf",
                "system/registries.conf.d/a.conf",
                "system/registries.conf.d/b.conf",
                "user/registries.conf.d/c.conf"
            ]
        );
        assert_eq!(names(files(None, None, &system))[0], "system/registries.conf");
        assert_eq!(names(files(Some("/x".into()), Some(&user), &system)), ["/x"]);
    }
}
