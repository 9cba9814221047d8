//! "No such file or directory", and the file is there.
//!
//! `enoent make DIR` makes three roots in DIR. In each a program is started, and the answer is "No such file or
//! directory". Each time exactly one file is missing, and it is not the program. Find out which, by reading and
//! thinking, and write your answers between the quotes.
//!
//! Try: `cargo run -q -p lab02 --bin enoent -- make /tmp/three`, then, as root (or after `unshare -r`),
//! `chroot /tmp/three/kernel /bin/cat /hello`, `chroot /tmp/three/line /bin/hello`, and
//! `chroot /tmp/three/loader /bin/cat /hello`. Tools that help: find, head, readelf -l, readelf -d.
//!
//! `cargo run -p exercises -- run enoent` puts the file that you name into the root, and tries again.
//!
//! Read: the book, chapter 2, "A program is not one file"; execve(2), ENOENT.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use process::{Error, OrCall, Result};
use rootfs::loader::Loader;

/// Which file is missing?
const ANSWERS: [(&str, &str); 3] = [
    // In the root `kernel`, `/bin/cat` is there with all of its libraries. The absolute path of what is not.
    ("kernel", "?"),
    // In the root `line`, the script `/bin/hello` is there, and `/bin/sh` runs. The absolute path of what is missing.
    ("line", "?"),
    // In the root `loader`, `/bin/cat` begins to run, and ends at once. The name of what is missing, without a path.
    ("loader", "?"),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [] => ANSWERS.iter().for_each(|(question, answer)| println!("{question} = {answer}")),
        [make, dir] if make == "make" => {
            let dir = Path::new(dir);
            root(&dir.join("kernel"), &["/bin/cat"], |path| path.to_string_lossy().contains("/ld-"))?;
            root(&dir.join("line"), &["/bin/sh", "/usr/bin/env"], |path| path == Path::new("/usr/bin/env"))?;
            root(&dir.join("loader"), &["/bin/cat"], |path| path.ends_with("libc.so.6"))?;
        }
        _ => return Err(Error::invalid("that is no command").help("enoent, or enoent make DIR")),
    }
    Ok(())
}

/// A root with programs and all that they need, but for one file.
fn root(dir: &Path, programs: &[&str], missing: impl Fn(&Path) -> bool) -> Result<()> {
    let mut loader = Loader::new(Path::new("/etc/ld.so.conf"));
    let mut files: Vec<PathBuf> = programs.iter().map(PathBuf::from).collect();
    for program in programs {
        files.extend(loader.needs(Path::new(program))?.into_iter().map(|needed| needed.path));
    }
    for file in files.into_iter().filter(|file| !missing(file)) {
        let to = dir.join(file.strip_prefix("/").unwrap_or(&file));
        fs::create_dir_all(to.parent().unwrap_or(dir)).or_call("mkdir", dir.display())?;
        fs::copy(&file, &to).or_call("copy", to.display())?;
    }
    fs::write(dir.join("hello"), "hello\n").or_call("write", "hello")?;
    let script = dir.join("bin/hello");
    fs::write(&script, "#!/usr/bin/env sh\necho hello\n").or_call("write", script.display())?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).or_call("chmod", script.display())
}
