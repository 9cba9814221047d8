//! The programs that a small system is made of, and where this machine has them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a root holds if nobody says otherwise; what a machine lacks is left out, and told.
///
/// Nothing that runs with another user's rights (su, sudo), and no language but the shell's and awk's.
const DEFAULT: &[&str] = &[
    "sh bash",
    // The coreutils package.
    "[ arch b2sum base32 base64 basename cat chgrp chmod chown chroot cksum comm cp csplit cut date dd df dir",
    "dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join link ln",
    "logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pr printenv printf",
    "pwd readlink realpath rm rmdir seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split",
    "stat stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink uptime",
    "users vdir wc who whoami yes",
    // Processes, the network, mounts and namespaces.
    "ps top free kill pgrep pkill",
    "ip ping ss hostname",
    "mount umount findmnt mountpoint unshare nsenter capsh setpriv",
    // Text and archives.
    "grep sed awk find xargs tar gzip gunzip less more vi clear getent",
];

/// The names of the default set.
pub fn default_set() -> impl Iterator<Item = &'static str> {
    DEFAULT.iter().flat_map(|line| line.split(' '))
}

/// Where programs lie in a root: the PATH that a container starts with.
pub fn standard_path() -> Vec<PathBuf> {
    let env = process::cli::clean_env();
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    std::env::split_paths(&path.unwrap_or_default()).collect()
}

/// The program `name`: a path as it is, a name by the standard directories first, then by our own PATH.
///
/// The order keeps a root free of what somebody has put before the system's programs.
pub fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok().filter(|path| is_program(path));
    }
    let own = std::env::var_os("PATH").unwrap_or_default();
    let directories = standard_path().into_iter().chain(std::env::split_paths(&own));
    let mut paths = directories.filter(|directory| directory.is_absolute()).map(|directory| directory.join(name));
    paths.find(|path| is_program(path))
}

/// The directory in which a program from `path` needs a link, to be found inside by its name.
pub fn alias(path: &Path) -> Option<PathBuf> {
    let standard = path.parent().is_some_and(|parent| standard_path().iter().any(|one| one == parent));
    (!standard).then(|| "/usr/local/bin".into())
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_found_and_a_directory_is_no_program() {
        assert!(find(OsStr::new("sh")).unwrap().is_absolute());
        assert_eq!(find(OsStr::new("/bin/sh")).unwrap(), Path::new("/bin/sh"));
        assert_eq!(find(OsStr::new("/etc")), None);
        assert_eq!(find(OsStr::new("/etc/passwd")), None);
        assert_eq!(find(OsStr::new("")), None);
        assert_eq!(find(OsStr::new("no-such-program-anywhere")), None);
    }

    #[test]
    fn nothing_stands_twice_in_the_list() {
        let once: std::collections::BTreeSet<_> = default_set().collect();
        assert_eq!(once.len(), default_set().count());
    }
}
