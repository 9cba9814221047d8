//! `process`: the program, and the user who runs it (config.md, "Process").

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use ::process::{Error, OrCall, Program, Result, Stage, explain};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, fstat, makedev, umask};
use nix::unistd::{Gid, Uid, fchown, setgroups, setresgid, setresuid};
use oci_spec::runtime::{Process, User};
use rootfs::RootDir;

use super::bundle::{invalid, twice};
use super::{attributes, sys};

/// How much of /etc/passwd is read, in bytes.
const LONGEST: u64 = 16 << 20;
/// The mask that a container has if config.json does not say.
const UMASK: u32 = 0o022;

/// The program of `process`, with `keep_fds` descriptors behind the standard ones.
pub fn program(process: &Process, keep_fds: u32) -> Program {
    let mut env: Vec<(OsString, OsString)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    // Of a variable that stands there twice the last counts, as it does for runc.
    for entry in process.env().iter().flatten().rev() {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        if seen.insert(name) {
            env.push((name.into(), value.into()));
        }
    }
    env.reverse();
    let mut program = Program::new(process.args().iter().flatten(), env);
    program.cwd = Some(super::bundle::inside(process.cwd()));
    program.keep_fds = keep_fds;
    program
}

/// A process that can be.
///
/// # Errors
/// [`Kind::Invalid`](::process::Kind::Invalid) for what is missing or makes no sense.
pub fn check(process: &Process) -> Result<()> {
    if process.args().as_ref().is_none_or(|args| args.is_empty()) {
        return Err(invalid("process.args is empty").help("name the program and its arguments"));
    }
    if !process.cwd().is_absolute() {
        return Err(invalid(&format!("process.cwd {:?} is not absolute", process.cwd())));
    }
    for entry in process.env().iter().flatten() {
        if entry.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            return Err(invalid(&format!("process.env: environment variable {entry:?} missing '='")));
        }
        if entry.contains('\0') {
            return Err(invalid(&format!("process.env: {entry:?} holds a NUL byte")));
        }
    }
    if let Some(kind) = twice(process.rlimits().iter().flatten().map(|limit| limit.typ() as u8)) {
        let kind = process.rlimits().iter().flatten().find(|limit| limit.typ() as u8 == kind);
        return Err(invalid(&format!(
            "process.rlimits: {} stands there twice",
            kind.map_or(String::new(), |limit| limit.typ().to_string())
        )));
    }
    if let Some(limit) = process.rlimits().iter().flatten().find(|limit| limit.soft() > limit.hard()) {
        return Err(invalid(&format!(
            "process.rlimits: {}: soft {} is more than hard {}",
            limit.typ(),
            limit.soft(),
            limit.hard()
        )));
    }
    if process.oom_score_adj().is_some_and(|score| !(-1000..=1000).contains(&score)) {
        return Err(invalid("process.oomScoreAdj must be from -1000 to 1000"));
    }
    if process.user().umask().is_some_and(|mask| mask > 0o777) {
        return Err(invalid("process.user.umask has more than the nine permission bits"));
    }
    if process.user().uid() == u32::MAX || process.user().gid() == u32::MAX {
        return Err(invalid("process.user: 4294967295 is no id: to the kernel it means \"as before\""));
    }
    attributes::of(process).map(drop)
}

/// The stage that becomes the user, by number.
pub struct Identity {
    user: User,
}

impl Identity {
    /// Becomes `user`.
    pub fn new(user: &User) -> Self {
        Self { user: user.clone() }
    }
}

impl Stage for Identity {
    fn name(&self) -> &'static str {
        "user"
    }

    fn start_container(&mut self, program: &mut Program) -> Result<()> {
        let (uid, gid) = (Uid::from_raw(self.user.uid()), Gid::from_raw(self.user.gid()));
        if program.var("HOME").is_none_or(|home| home.is_empty()) {
            program.set_var("HOME", home(self.user.uid()));
        }
        sys::standard().into_iter().try_for_each(|fd| give(fd, uid))?;
        let unknown = |error: Error| match error.errno() {
            Some(Errno::EINVAL) => error.help("this user namespace does not know the id: see linux.uidMappings"),
            _ => error,
        };
        let groups: Vec<_> = self.user.additional_gids().iter().flatten().copied().map(Gid::from_raw).collect();
        set_groups(&groups).map_err(unknown)?;
        setresgid(gid, gid, gid).or_call("setresgid", gid).map_err(unknown)?;
        setresuid(uid, uid, uid).or_call("setresuid", uid).map_err(unknown)?;
        explain!(1, "no way back to the old user", "setresuid({uid}) and setresgid({gid})");
        let mask = self.user.umask().unwrap_or(UMASK);
        umask(Mode::from_bits_truncate(mask));
        explain!(1, "which permissions new files do not get", "umask({mask:03o})");
        Ok(())
    }
}

fn set_groups(groups: &[Gid]) -> Result<()> {
    let shown: Vec<_> = groups.iter().map(|group| group.as_raw()).collect();
    match setgroups(groups) {
        // With a map of a single id, or for an ordinary user, groups can be neither given nor taken away.
        Err(Errno::EPERM) if groups.is_empty() => Ok(()),
        Err(Errno::EPERM) => Err(Error::call("setgroups", format!("{shown:?}"), Errno::EPERM)
            .help("where the kernel denies setgroups (user_namespaces(7)), leave process.user.additionalGids out")),
        done => {
            explain!(1, "supplementary groups", "setgroups({shown:?})");
            done.or_call("setgroups", format!("{shown:?}"))
        }
    }
}

/// Standard input, output and error become the user's, so that it can open them anew by /dev/stdout. All but the null
/// device, which is everybody's, and what cannot be given.
fn give(fd: BorrowedFd<'_>, uid: Uid) -> Result<()> {
    let Ok(about) = fstat(fd) else { return Ok(()) };
    let is_device = SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    if about.st_uid == uid.as_raw() || (is_device && about.st_rdev == makedev(1, 3)) {
        return Ok(());
    }
    match fchown(fd, Some(uid), None) {
        // EINVAL: an owner that this user namespace does not know. The others: not ours to give.
        Err(Errno::EINVAL | Errno::EPERM | Errno::EROFS | Errno::ENOSYS) => Ok(()),
        done => done.or_call("fchown", "a standard stream"),
    }
}

/// The home directory in the root's own /etc/passwd, `/` if it has none for this user.
fn home(uid: u32) -> String {
    let text = passwd();
    let mut entries = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|entry| entry.get(2).and_then(|text| text.parse().ok()) == Some(uid));
    let home = entry.and_then(|entry| entry.get(5).copied()).filter(|home| !home.is_empty());
    home.unwrap_or("/").to_owned()
}

/// It may be anything: no FIFO is waited for, no device read for ever, and no link followed out of the root.
fn passwd() -> String {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let Ok(file) = RootDir::open("/").and_then(|root| root.open_at("etc/passwd", flags)).map(File::from) else {
        return String::new();
    };
    let is_file = file.metadata().is_ok_and(|about| about.is_file());
    let mut bytes = Vec::new();
    let _ = file.take(if is_file { LONGEST } else { 0 }).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(more: &str) -> Process {
        let text = format!(r#"{{"user":{{"uid":0,"gid":0}},"cwd":"/a/../b","args":["sh"]{more}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_last_of_two_variables_counts_and_the_order_stays() {
        let program = program(&process(r#","env":["A=1","B=2","A=3","C="]"#), 2);
        let env: Vec<_> =
            program.env.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect();
        assert_eq!(env, ["B=2", "A=3", "C="]);
        assert_eq!((program.cwd.as_deref(), program.keep_fds), (Some("/b".as_ref()), 2));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for bad in [
            r#","env":["X"]"#,
            r#","env":["=X"]"#,
            r#","rlimits":[{"type":"RLIMIT_CORE","soft":1,"hard":1},{"type":"RLIMIT_CORE","soft":1,"hard":1}]"#,
            r#","rlimits":[{"type":"RLIMIT_CORE","soft":2,"hard":1}]"#,
            r#","oomScoreAdj":2000"#,
        ] {
            assert!(check(&process(bad)).is_err(), "{bad}");
        }
        assert!(check(&process(r#","env":["X=","Y=a=b"]"#)).is_ok());
    }
}
