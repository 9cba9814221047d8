//! What a page's shell sees: this machine read-only, a scratch home with the repository in it, an account of its own.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use namespaces::mount::{Change, RDONLY, mount_setattr};
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chown, sethostname};
use process::OrCall;

use crate::Result;
use crate::run::cgroup;
use crate::run::ids;
use crate::run::programs::{self, CARGO, target_dir};
use crate::run::reader::{LOOP, LOOP_FILE};

/// The ordinary user of the book: what the first account of most machines is.
pub const READER: u32 = 1000;

/// The first of the subordinate ids of that user, and how many there are.
pub const SUBIDS: (u32, u32) = (100_000, 65_536);

/// How much scratch files may take in each place.
const SIZE: &str = "512m";

/// Who the shell is, and where it lives.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// `reader` or `root`.
    pub name: &'static str,
    /// Its home, which is also what the repository lies in.
    pub home: &'static str,
    /// Its number in the sandbox.
    pub uid: u32,
}

impl Account {
    /// The account of `user` or `root`.
    pub fn of(word: &str) -> Self {
        match word {
            "root" => Self { name: "root", home: "/root", uid: 0 },
            _ => Self { name: "reader", home: "/home/reader", uid: READER },
        }
    }

    /// Where the account keeps what does not outlive a session.
    pub fn runtime_dir(self) -> String {
        format!("/run/user/{}", self.uid)
    }
}

/// Lays it all out. `mapped`: do ids other than 0 exist here, so that files can be given to the reader?
///
/// # Errors
/// As mount(2).
pub fn lay(account: Account, root: &Path, mapped: bool) -> Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).or_call("mount", "/ as private")?;
    // A directory that we stand on can be bound whatever comes to lie above it.
    let handles = [root.to_owned(), target_dir()].map(|dir| fs::File::open(&dir).or_call("open", dir.display()));
    let [repository, programs] = handles;
    let (repository, programs) = (repository?, programs?);
    change("/", Change::attributes(RDONLY))?;
    let writable: &[&str] = if account.uid == 0 { &["/dev/pts", "/sys/fs/cgroup"] } else { &["/dev/pts"] };
    for path in writable {
        let _ = change(path, Change { clear: RDONLY, ..Change::default() }); // a machine may lack it
    }
    own_views(account)?;
    let home = PathBuf::from(account.home);
    let bin = home.join(".cargo/bin");
    fs::create_dir_all(&bin).or_call("mkdir", bin.display())?;
    write(&bin.join("cargo"), CARGO, 0o755)?;
    bind_programs(&programs, &bin)?;
    let cooper = home.join("cooper");
    fs::create_dir(&cooper).or_call("mkdir", cooper.display())?;
    bind(&fd_path(&repository), &cooper)?;
    let runtime = PathBuf::from(account.runtime_dir());
    fs::create_dir_all(&runtime).or_call("mkdir", runtime.display())?;
    if mapped {
        for path in [home.as_path(), &home.join(".cargo"), &bin, &runtime] {
            let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.uid));
            chown(path, Some(uid), Some(gid)).or_call("chown", path.display())?;
        }
    }
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).or_call("chmod", runtime.display())?;
    accounts(mapped)?;
    write(Path::new(LOOP_FILE), LOOP, 0o644)?;
    sethostname("cooper").or_call("sethostname", "cooper")
}

/// /proc and /sys of the new namespaces, and scratch where programs expect to write.
fn own_views(account: Account) -> Result<()> {
    let none = None::<&str>;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).or_call("mount", "proc on /proc")?;
    let mut scratch = vec!["/tmp", "/var/tmp", "/home", "/run", "/dev/shm"];
    if account.uid == 0 {
        scratch.extend(["/root", "/var/lib"]);
    }
    for place in scratch {
        if !Path::new(place).is_dir() || fs::symlink_metadata(place).is_ok_and(|meta| meta.is_symlink()) {
            continue;
        }
        let mode = if ["/home", "/run", "/root", "/var/lib"].contains(&place) { "755" } else { "1777" };
        let options = format!("mode={mode},size={SIZE}");
        mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .or_call("mount", format!("tmpfs on {place}"))?;
    }
    // A sysfs shows the links of the network namespace that mounted it; the cgroups below it are taken along.
    let held = Path::new("/run/cgroup");
    fs::create_dir(held).or_call("mkdir", held.display())?;
    let cgroup = Path::new("/sys/fs/cgroup");
    if bind(cgroup, held).is_ok() && mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::MS_RDONLY, none).is_ok() {
        bind(held, cgroup)?;
    }
    // The hierarchy as our cgroup namespace shows it: its root is the session's own group.
    if let Some(place) = cgroup::unified().filter(|_| account.uid == 0) {
        // The same filesystem is not mounted twice on one place, whatever part of it it shows (mount(2), EBUSY).
        let _ = nix::mount::umount2(place, nix::mount::MntFlags::MNT_DETACH);
        mount(Some("cgroup2"), place, Some("cgroup2"), MsFlags::empty(), none).or_call("mount", place.display())?;
    }
    let _ = nix::mount::umount2(held, nix::mount::MntFlags::MNT_DETACH);
    let _ = fs::remove_dir(held);
    Ok(())
}

/// Changes attributes of the mount at `path` and of all below it.
fn change(path: &str, change: Change<'_>) -> Result<()> {
    let place = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", path)?;
    mount_setattr(place.as_fd(), change, true).or_call("mount_setattr", path)
}

/// The programs of the chapters, where `cargo install` would put them.
fn bind_programs(from: &fs::File, bin: &Path) -> Result<()> {
    let from = fd_path(from);
    let entries = fs::read_dir(&from).or_call("read", target_dir().display())?.flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = programs::is_ours(&name);
        if ours && entry.path().is_file() {
            write(&bin.join(&name), "", 0o755)?;
            bind(&entry.path(), &bin.join(&name))?;
        }
    }
    Ok(())
}

/// The account lies in copies over the real files; a range of ids it has only where those ids exist.
fn accounts(mapped: bool) -> Result<()> {
    let (start, length) = (SUBIDS.0, if ids::is_user_namespace() { SUBIDS.1 - 1 } else { SUBIDS.1 });
    let reader = Account::of("user");
    let (name, home, uid) = (reader.name, reader.home, reader.uid);
    let range = if mapped { format!("{name}:{start}:{length}\n") } else { String::new() };
    let files = [
        ("/etc/passwd", format!("{name}:x:{uid}:{uid}:{name}:{home}:/bin/bash\n")),
        ("/etc/group", format!("{name}:x:{uid}:\n")),
        ("/etc/subuid", range.clone()),
        ("/etc/subgid", range),
    ];
    let copies = Path::new("/run/book");
    fs::create_dir(copies).or_call("mkdir", copies.display())?;
    if mapped && ids::is_user_namespace() {
        ids::own_helpers(copies, bind)?;
    }
    for (path, line) in files {
        let Ok(text) = fs::read_to_string(path) else { continue };
        // Another account of that number or name would be taken for the reader.
        let taken = |line: &&str| line.split(':').nth(2) == Some("1000") || line.split(':').next() == Some(name);
        let kept: String = text.lines().filter(|line| !taken(line)).map(|line| format!("{line}\n")).collect();
        let copy = copies.join(path.rsplit('/').next().unwrap_or_default());
        write(&copy, &(kept + &line), 0o644)?;
        bind(&copy, Path::new(path))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    fs::write(path, text).or_call("write", path.display())?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).or_call("chmod", path.display())
}

fn fd_path(file: &fs::File) -> PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn bind(source: &Path, target: &Path) -> Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), target, None::<&str>, flags, None::<&str>)
        .or_call("mount", format!("{} on {}", source.display(), target.display()))
}
