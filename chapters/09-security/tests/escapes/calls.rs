//! System calls: what the filter and the missing capabilities keep from a container.

use harness::Outcome;

use crate::place::{Case, Place};

const FILTER: &[&str] = &["--security-opt", "seccomp=unconfined"];
const ADMIN: &[&str] = &["--cap-add", "SYS_ADMIN"];
const UNFILTERED_ADMIN: &[&str] = &["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"];
const PRIVILEGED: &[&str] = &["--privileged"];

const fn case(
    attack: &'static str,
    held: &'static str,
    without: &'static [&'static str],
    root: &'static str,
    ordinary: &'static str,
) -> Case {
    Case { attack, held, without, root, ordinary }
}

/// By mounts a container would uncover what is masked, or reach another root.
pub fn mounts(place: &Place) -> Outcome {
    place.hold(&[
        case("mount:/mnt", "EPERM", ADMIN, "done", "done"),
        case("mount-proc:/mnt", "EPERM", ADMIN, "done", "done"), // without what is masked
        case("bind:/proc", "EPERM", ADMIN, "done", "done"),
        case("remount:/proc/sys", "EPERM", ADMIN, "done", "done"),
        case("remount:/sys", "EPERM", ADMIN, "done", "done"),
        case("make-shared:/", "EPERM", ADMIN, "done", "done"),
        case("umount:/proc/sys", "EPERM", ADMIN, "done", "done"),
        case("pivot_root", "EPERM", UNFILTERED_ADMIN, "EBUSY|EINVAL", "EBUSY|EINVAL"),
        case("fsopen", "EPERM", ADMIN, "done", "done"),
        case("open_tree", "EPERM", ADMIN, "done", "done"),
        case("move_mount", "EPERM", ADMIN, "EINVAL", "EINVAL"),
        case("mount_setattr", "EPERM", ADMIN, "done", "done"),
    ])?;
    // Without the filter there is still the capability that is not there.
    let attacks = ["mount:/mnt", "remount:/proc/sys", "umount:/proc/sys", "fsopen", "open_tree", "pivot_root"];
    assert_eq!(place.tries(FILTER, &attacks)?, ["EPERM"; 6]);
    Ok(())
}

/// What belongs to the whole machine. In a user namespace a privileged container has no more of it than any.
pub fn machine(place: &Place) -> Outcome {
    place.hold(&[
        case("kexec_load", "EPERM", PRIVILEGED, "EINVAL|ENOSYS", "EPERM|ENOSYS"),
        case("init_module", "EPERM", PRIVILEGED, "EFAULT|ENOEXEC|EINVAL|ENOSYS", "EPERM|ENOSYS"),
        case("reboot", "EPERM", PRIVILEGED, "EINVAL", "EINVAL"), // its own PID namespace at most
        case("swapon", "EPERM", PRIVILEGED, "EINVAL|ENOSYS", "EPERM|EINVAL|ENOSYS"),
        case("acct", "EPERM", PRIVILEGED, "ENOENT|ENOSYS", "EPERM|ENOSYS"),
        case("clock_settime", "EPERM", PRIVILEGED, "EINVAL", "EINVAL"),
        case("syslog", "EPERM", PRIVILEGED, "done", "done|EPERM"),
        #[cfg(target_arch = "x86_64")]
        case("iopl", "EPERM", PRIVILEGED, "done|ENOSYS", "EPERM|ENOSYS"),
        case("sethostname", "EPERM", ADMIN, "done", "done"),
        case("unkillable", "EACCES", PRIVILEGED, "done|EACCES", "EACCES"), // the engine may lack SYS_RESOURCE itself
    ])
}

/// What has been the way into the kernel, and no container needs.
pub fn surface(place: &Place) -> Outcome {
    place.hold(&[
        case("bpf", "EPERM", ADMIN, "done", "EPERM"),
        case("perf_event_open", "EPERM", FILTER, "EFAULT|EACCES|ENOSYS", "EFAULT|EACCES|ENOSYS"),
        case("userfaultfd", "EPERM", FILTER, "done|ENOSYS", "done|ENOSYS"),
        case("io_uring_setup", "EPERM", FILTER, "EFAULT|ENOSYS", "EFAULT|ENOSYS"),
        case("personality", "EPERM", FILTER, "done", "done"),
        case("socket-vsock", "EPERM", FILTER, "done|EAFNOSUPPORT|ENODEV", "done|EAFNOSUPPORT|ENODEV"),
    ])
}

/// In a user namespace of its own a process has every capability: over what that namespace owns.
pub fn user_namespaces(place: &Place) -> Outcome {
    place.hold(&[
        case("unshare-user", "EPERM", FILTER, "done", "done"),
        case("clone-user", "EPERM", FILTER, "done", "done"),
        case("clone3", "ENOSYS", FILTER, "EINVAL", "EINVAL"),
        case("unshare-mount", "EPERM", ADMIN, "done", "done"),
        case("in-user-namespace:mount:/mnt", "EPERM", FILTER, "done", "done"),
        // The attempt that counts: with them, over what was there before.
        case("in-user-namespace:umount:/proc/keys", "EPERM", FILTER, "EINVAL", "EINVAL"),
        case("in-user-namespace:remount:/proc/sys", "EPERM", FILTER, "EPERM", "EPERM"),
        case("in-user-namespace:remount:/sys", "EPERM", FILTER, "EPERM", "EPERM"),
        case("in-user-namespace:mount-proc:/mnt", "EPERM", FILTER, "EPERM", "EPERM"),
        case("in-user-namespace:sethostname", "EPERM", FILTER, "EPERM", "EPERM"),
        case("in-user-namespace:mknod:c:1:11", "EPERM", FILTER, "EPERM", "EPERM"),
        case("in-user-namespace:write-back:/proc/sys/kernel/core_pattern", "EPERM", FILTER, "EROFS", "EROFS|EACCES"),
        case("in-user-namespace:bpf", "EPERM", FILTER, "EPERM|done", "EPERM|done"), // kernel.unprivileged_bpf_disabled
        // A group of v1 and its release_agent (CVE-2022-0492); there may be no such hierarchy, or all are in use.
        case("in-user-namespace:release_agent", "EPERM", FILTER, NO_AGENT, NO_AGENT),
    ])
}

const NO_AGENT: &str = "EPERM|EACCES|EBUSY|EINVAL|ENODEV|ENOENT";
