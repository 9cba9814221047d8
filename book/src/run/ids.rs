//! The ids of an ordinary user's sandbox: as many as the user may have.
//!
//! With a range in /etc/subuid the sandbox has a root, the reader, and a range that the reader may hand out in turn, so
//! rootless containers work in it as outside. Without one, the reader is all that there is (user_namespaces(7)).

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use harness::find_program;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, User, getegid, geteuid, setgroups, setresgid, setresuid};
use process::OrCall;

use crate::Result;
use crate::run::mounts::{READER, SUBIDS};

/// Makes a user namespace (with the others that `flags` name) and fills its maps; `true` if it has a range.
///
/// # Errors
/// As unshare(2): this machine forbids it to ordinary users.
pub fn enter(flags: CloneFlags) -> Result<bool> {
    let (uid, gid) = (geteuid(), getegid());
    let helper = helper(uid);
    unshare(flags | CloneFlags::CLONE_NEWUSER).or_call("unshare", "the sandbox's namespaces")?;
    if helper.is_some_and(map_by) {
        let (root, group) = (Uid::from_raw(0), Gid::from_raw(0));
        setgroups(&[]).or_call("setgroups", "")?;
        setresgid(group, group, group).or_call("setresgid", "0")?;
        setresuid(root, root, root).or_call("setresuid", "0")?;
        // Who has changed ids is closed to others; what we start must find our descriptors (PR_SET_DUMPABLE, prctl(2)).
        nix::sys::prctl::set_dumpable(true).or_call("prctl", "PR_SET_DUMPABLE")?;
        return Ok(true);
    }
    let maps = [("setgroups", "deny".into()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))];
    for (file, text) in maps {
        fs::write(format!("/proc/self/{file}"), text).or_call("write", format!("/proc/self/{file}"))?;
    }
    Ok(false)
}

/// A process outside that will map the range by newuidmap(1) and newgidmap(1), once it is told to.
fn helper(uid: Uid) -> Option<Child> {
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name).unwrap_or_default();
    let (uids, gids) = (range("/etc/subuid", &name, uid)?, range("/etc/subgid", &name, uid)?);
    let (newuidmap, newgidmap) = (find_program("newuidmap")?, find_program("newgidmap")?);
    let map = |start: u32, own: u32| {
        let (first, count) = SUBIDS;
        format!("0 {} 1 {READER} {own} 1 {first} {start} {}", start + count - 1, count - 1)
    };
    let (pid, gid) = (std::process::id(), getegid().as_raw());
    let (uids, gids) = (map(uids, uid.as_raw()), map(gids, gid));
    let script =
        format!("read -r go && {} {pid} {uids} && exec {} {pid} {gids}", newuidmap.display(), newgidmap.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().ok()
}

fn map_by(mut helper: Child) -> bool {
    let told = helper.stdin.take().is_some_and(|mut stdin| stdin.write_all(b"go\n").is_ok());
    helper.wait().is_ok_and(|status| status.success() && told)
}

/// The start of a range that is long enough.
fn range(file: &str, name: &str, uid: Uid) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let (start, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        ((owner == name || owner == uid.to_string()) && count >= SUBIDS.1).then_some(start)
    })
}

/// Is this a user namespace with a range, and not the machine's own?
pub fn is_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !map.contains("4294967295"))
}

/// newuidmap(1) and newgidmap(1) as this namespace's root has them: set-user-ID bits of the machine's root are none here.
///
/// # Errors
/// As open(2), chmod(2).
pub fn own_helpers(scratch: &Path, bind: impl Fn(&Path, &Path) -> Result<()>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for name in ["newuidmap", "newgidmap"] {
        let Some(program) = find_program(name) else { continue };
        let copy = scratch.join(name);
        fs::copy(&program, &copy).or_call("copy", program.display())?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).or_call("chmod", copy.display())?;
        bind(&copy, &program)?;
    }
    Ok(())
}
