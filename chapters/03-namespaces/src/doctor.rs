//! What chapter 3 needs from the machine.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use process::OrCall;
use process::doctor::{Check, in_child};

use crate::idmap::{find_program, subordinate};

/// The oldest kernel with every call that the engine makes: mount_setattr(2) and rootless overlayfs came last.
const KERNEL: (u32, u32) = (5, 12);

/// Checks the kernel, user namespaces and the ranges of ids.
pub fn doctor() -> Vec<Check> {
    let mut checks = vec![kernel(), user_namespaces()];
    if !geteuid().is_root() {
        checks.extend([helpers(), ranges()]);
    }
    checks
}

fn kernel() -> Check {
    let release =
        nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    let mut numbers = release.split(|one: char| !one.is_ascii_digit()).map_while(|number| number.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= KERNEL {
        return Check::works(3, "kernel", release);
    }
    let need = format!("a kernel from {}.{} on: install a newer one from your distribution", KERNEL.0, KERNEL.1);
    Check::missing(3, "kernel", release, need)
}

fn user_namespaces() -> Check {
    let what = "user namespaces";
    if let Some(reason) = forbidden() {
        return Check::missing(3, what, reason.0, reason.1);
    }
    match try_it() {
        true => Check::works(3, what, "made one for a try"),
        false => Check::missing(
            3,
            what,
            "unshare(NEWUSER) and a mount in it were refused",
            "inside another container: give it CAP_SYS_ADMIN, or run step01 and step02, which need none",
        ),
    }
}

/// The switches that distributions have for it, and how to turn them.
fn forbidden() -> Option<(String, String)> {
    let value = |key: &str| std::fs::read_to_string(format!("/proc/sys/{key}")).ok().map(|text| text.trim().to_owned());
    let found = |key: &str, value: &str| format!("{} = {value}", key.replace('/', "."));
    let mend = |key: &str, value: &str| format!("sudo sysctl -w {}={value}", key.replace('/', "."));
    let (limit, debian, ubuntu) = (
        "user/max_user_namespaces",
        "kernel/unprivileged_userns_clone",
        "kernel/apparmor_restrict_unprivileged_userns",
    );
    if value(limit).as_deref() == Some("0") {
        return Some((found(limit, "0"), mend(limit, "15000")));
    }
    if geteuid().is_root() {
        return None;
    }
    if value(debian).as_deref() == Some("0") {
        return Some((found(debian, "0"), mend(debian, "1")));
    }
    if value(ubuntu).as_deref() == Some("1") && !try_it() {
        return Some((
            found(ubuntu, "1"),
            format!("{} (or an AppArmor profile with `userns,` for the program)", mend(ubuntu, "0")),
        ));
    }
    None
}

/// In a child: a user and a mount namespace, and a mount in it, which AppArmor's restriction refuses.
fn try_it() -> bool {
    in_child(|| {
        let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).or_call("unshare", "NEWUSER|NEWNS")?;
        mount(None::<&str>, "/", None::<&str>, slave, None::<&str>).or_call("mount", "rslave on /")
    })
}

fn helpers() -> Check {
    let what = "newuidmap and newgidmap";
    let (Some(uid), Some(gid)) = (find_program("newuidmap"), find_program("newgidmap")) else {
        return Check::limited(3, what, "not installed: one id only inside", "sudo apt-get install uidmap");
    };
    let privileged = |path: &std::path::Path| {
        let capability = has_capability(path);
        std::fs::metadata(path).is_ok_and(|file| file.uid() == 0 && file.permissions().mode() & 0o4000 != 0)
            || capability
    };
    if privileged(&uid) && privileged(&gid) {
        return Check::works(3, what, uid.display().to_string());
    }
    Check::limited(3, what, "there, but not set-user-ID root", "sudo chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap")
}

/// Fedora gives the helpers a file capability instead of the bit; `getcap` needs no privilege.
fn has_capability(path: &std::path::Path) -> bool {
    std::process::Command::new("getcap").arg(path).output().is_ok_and(|output| !output.stdout.is_empty())
}

fn ranges() -> Check {
    let what = "subordinate ids";
    let uid = geteuid();
    let count: u32 = subordinate("/etc/subuid", uid).iter().map(|range| range.1).sum();
    let groups: u32 = subordinate("/etc/subgid", uid).iter().map(|range| range.1).sum();
    if count >= 65_536 && groups >= 65_536 {
        return Check::works(3, what, format!("{count} user ids, {groups} group ids"));
    }
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    Check::limited(
        3,
        what,
        format!("{count} user ids, {groups} group ids: files of other users cannot be unpacked"),
        format!("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"),
    )
}
