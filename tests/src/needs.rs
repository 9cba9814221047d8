//! What a test needs, whether it is there, and whether its absence is a failure.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

/// Where a test can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Everywhere.
    User,
    /// As root.
    Root,
    /// As root, with all controllers of cgroup v2.
    Vm,
}

impl Lane {
    /// As `COOPER_REQUIRE` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Root => "root",
            Self::Vm => "vm",
        }
    }
}

/// Why a test does not run here.
pub(crate) struct Missing {
    /// In words.
    pub reason: String,
    /// Has `COOPER_REQUIRE` its lane?
    pub is_failure: bool,
}

/// Must the tests of this lane run?
pub fn required(lane: Lane) -> bool {
    let list = std::env::var("COOPER_REQUIRE").unwrap_or_default();
    list.split(',').any(|name| name.trim() == lane.name())
}

/// Is this the inside of the virtual machine?
pub(crate) fn inside_vm() -> bool {
    std::env::var_os("COOPER_LANE").is_some_and(|lane| lane == "vm")
}

/// What keeps a test of this lane from running here, if anything.
pub(crate) fn missing(lane: Lane, needs: &[&str]) -> Option<Missing> {
    let is_failure = required(lane) || (inside_vm() && required(Lane::Vm));
    match lane {
        Lane::User => {}
        Lane::Root if geteuid().is_root() => {}
        Lane::Root => return Some(Missing { reason: "needs root".into(), is_failure }),
        Lane::Vm if inside_vm() || (geteuid().is_root() && has_cgroup_v2()) => {}
        // Never a failure: what is left to the virtual machine is counted there.
        Lane::Vm => {
            return Some(Missing { reason: "left to the vm lane (tests/tests/vm)".into(), is_failure: false });
        }
    }
    // The user lane is everybody's: where any lane is required, so are its programs.
    let is_failure = is_failure || std::env::var_os("COOPER_REQUIRE").is_some_and(|list| !list.is_empty());
    needs.iter().find_map(|need| lacks(need)).map(|reason| Missing { reason, is_failure })
}

/// Why this need is not met, if it is not: `needs the program nft: apt-get install nftables`.
pub fn lacks(need: &str) -> Option<String> {
    match need {
        "userns" => (!can_make_userns()).then(|| "needs user namespaces for ordinary users".into()),
        "subuid" => {
            (!geteuid().is_root() && !has_subuid()).then(|| "needs a range in /etc/subuid for this user".into())
        }
        // Root's suite makes one that is open to all.
        "tun" => (!geteuid().is_root() && !tun_is_open()).then(|| "needs /dev/net/tun open to all".into()),
        program => find_program(program).is_none().then(|| format!("needs the program {program}{}", package(program))),
    }
}

/// `: apt-get install PACKAGE`, for what tests/packages.txt knows.
fn package(program: &str) -> String {
    let list = include_str!("../packages.txt").lines().filter_map(|line| {
        let line = line.split('#').next()?;
        let mut words = line.split_whitespace();
        Some((words.next()?, words.collect::<Vec<_>>()))
    });
    let mut found = list.filter(|(_, programs)| programs.contains(&program));
    found.next().map(|(package, _)| format!(": apt-get install {package}")).unwrap_or_default()
}

/// Where the program lies: in PATH, or in the directories of system programs that an ordinary user's PATH lacks.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut files = std::env::split_paths(&path).chain(system).map(|dir| dir.join(name));
    files.find(|file| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
}

/// Are all controllers that the engine uses handed out by the unified hierarchy, and is it ours to change?
pub fn has_cgroup_v2() -> bool {
    let list = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let has = |name| list.split_whitespace().any(|controller| controller == name);
    ["cpu", "cpuset", "io", "memory", "pids"].into_iter().all(has) && is_writable("/sys/fs/cgroup/cgroup.procs")
}

fn is_writable(path: &str) -> bool {
    nix::unistd::access(Path::new(path), nix::unistd::AccessFlags::W_OK).is_ok()
}

fn can_make_userns() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    unshare.status().is_ok_and(|status| status.success())
}

fn has_subuid() -> bool {
    let uid = geteuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name).unwrap_or_default();
    let file = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    let mut owners = file.lines().filter_map(|line| line.split(':').next());
    owners.any(|owner| owner == name || owner == uid.to_string())
}

fn tun_is_open() -> bool {
    Path::new("/dev/net/tun").metadata().is_ok_and(|meta| meta.mode() & 0o006 == 0o006)
}
