//! What a root has besides programs: the directories of hier(7), a minimal `/etc`, a few device nodes.

use std::ffi::OsStr;
use std::path::Path;

use process::Result;

use crate::recipe::VERSION;
use crate::tree::Tree;

/// Every directory that programs take for granted, with its mode.
const DIRECTORIES: &[(&str, u32)] = &[
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/mnt", 0o755),
    // In these two the system mounts its own views; nothing may be written where they are missing.
    ("/proc", 0o555),
    ("/sys", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/tmp", 0o1777),
    ("/usr/bin", 0o755),
    ("/var/lib", 0o755),
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
];
/// On most machines these are links into /usr by now ("merged /usr"); a new root is as this machine is.
const MERGED: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// The kinds of terminal whose description (terminfo(5)) programs such as top and less read.
const TERMINALS: &[&str] = &[
    "dumb",
    "linux",
    "screen",
    "screen-256color",
    "tmux",
    "tmux-256color",
    "vt100",
    "vt220",
    "xterm",
    "xterm-256color",
];
const TERMINFO: &[&str] = &["/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo"];
/// name, major, minor (the kernel's admin-guide/devices.txt).
const DEVICES: &[(&str, u64, u64)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Makes the directories; where this machine has a link to one, so has the root.
pub fn directories(tree: &mut Tree) -> Result<()> {
    let others = DIRECTORIES.iter().map(|(path, _)| path);
    let linked = |path: &&Path| path.is_symlink() && path.is_dir();
    for path in MERGED.iter().chain(others).map(Path::new).filter(linked) {
        tree.mirror(path)?;
    }
    for &(path, mode) in DIRECTORIES {
        tree.directory(Path::new(path), mode)?;
    }
    Ok(())
}

/// Writes `/etc`: two users, no resolver, and a name for what this root is.
pub fn etc(tree: &mut Tree, shell: &str) -> Result<()> {
    let passwd = format!("root:x:0:0:root:/root:{shell}\nnobody:x:65534:65534:nobody:/:/bin/false\n");
    tree.text("/etc/passwd", &passwd)?;
    tree.text("/etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")?;
    tree.text("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")?;
    tree.text("/etc/hostname", "cooper\n")?;
    tree.text("/etc/resolv.conf", "")?;
    tree.text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")?;
    let host = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    tree.text("/etc/os-release", &os_release(&host))
}

/// The description of the root (os-release(5)), made from the one of this machine.
fn os_release(host: &str) -> String {
    let pretty = field(host, "PRETTY_NAME").unwrap_or("Linux");
    let like = field(host, "ID").unwrap_or("linux");
    format!(
        "PRETTY_NAME=\"Cooper host root, from the programs of {pretty}\"\nNAME=\"Cooper host root\"\n\
         ID=cooper-host\nID_LIKE={like}\nVERSION_ID={VERSION}\n"
    )
}

/// A field of an os-release file, without its quotes; none if it holds what a shell would expand.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty() && !value.contains(['"', '\'', '\\', '`', '$'])).then_some(value)
}

/// Brings the descriptions of the usual terminals, and of ours.
pub fn terminals(tree: &mut Tree) -> Result<()> {
    let own = std::env::var_os("TERM").filter(|term| !term.as_encoded_bytes().contains(&b'/'));
    for name in TERMINALS.iter().map(OsStr::new).chain(own.as_deref()) {
        let Some(&first) = name.as_encoded_bytes().first() else { continue };
        // A directory per first letter, or per its number where letters' case does not count.
        let folders = [char::from(first).to_string(), format!("{first:x}")];
        let paths =
            TERMINFO.iter().flat_map(|base| folders.iter().map(|folder| Path::new(base).join(folder).join(name)));
        for path in paths.filter(|path| std::fs::File::open(path).is_ok()) {
            tree.mirror(&path)?;
        }
    }
    Ok(())
}

/// Makes the nodes without which hardly a shell script runs; false if this user may not.
pub fn devices(tree: &mut Tree) -> Result<bool> {
    for &(name, major, minor) in DEVICES {
        if !tree.device(&format!("/dev/{name}"), major, minor)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_os_release() {
        let text = "NAME=Void\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nID='void'\nBAD=\"$(reboot)\"\nEMPTY=\n";
        assert_eq!(field(text, "PRETTY_NAME"), Some("Debian GNU/Linux 12"));
        assert_eq!(field(text, "NAME"), Some("Void"));
        assert_eq!(field(text, "ID"), Some("void"));
        assert_eq!((field(text, "BAD"), field(text, "EMPTY"), field(text, "NA")), (None, None, None));
        let ours = os_release(text);
        assert!(ours.contains("of Debian GNU/Linux 12\"") && ours.contains("ID_LIKE=void"), "{ours}");
    }
}
