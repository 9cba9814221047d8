//! Files by which the kernel is told what to do for everybody.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use harness::Outcome;

use crate::place::{Case, Place};

const PRIVILEGED: &[&str] = &["--privileged"];
const AGENT: &str = "done|EPERM|EBUSY|EINVAL|ENODEV|ENOENT";

/// Each is opened for writing, or what is in it is written again. `root` may, if it is privileged.
pub fn files(place: &Place) -> Outcome {
    let case = |attack, held, root, ordinary| Case { attack, held, without: PRIVILEGED, root, ordinary };
    place.hold(&[
        case("write-back:/proc/sys/kernel/core_pattern", "EROFS|EACCES", "done", "EACCES|EPERM"),
        case("write-back:/proc/sys/kernel/modprobe", "EROFS|EACCES|ENOENT", "done|ENOENT", "EACCES|EPERM|ENOENT"),
        case("write-back:/proc/sys/vm/panic_on_oom", "EROFS|EACCES", "done", "EACCES|EPERM"),
        case("open-write:/proc/sys/kernel/domainname", "EROFS|EACCES", "done", "done|EACCES"), // its UTS namespace's
        case("open-write:/proc/sysrq-trigger", "EROFS|EACCES|ENOENT", "done|ENOENT", "EACCES|EPERM|ENOENT"),
        case("open-write:/proc/irq/default_smp_affinity", "EROFS|EACCES|ENOENT", "done|ENOENT", "EACCES|EPERM|ENOENT"),
        case("write-back:/sys/kernel/uevent_helper", "EROFS|EACCES|ENOENT", "done|ENOENT", "EACCES|EPERM|EROFS|ENOENT"),
        case("write-back:/sys/bus/platform/drivers_autoprobe", "EROFS|EACCES", "done", "EACCES|EPERM|EROFS"),
        case("open-write:/sys/power/state", "EROFS|EACCES|ENOENT", "done|ENOENT", "EACCES|EPERM|EROFS|ENOENT"),
        case("read:/proc/keys", "0 bytes", "", ""),
        case("read:/proc/timer_list", "0 bytes|ENOENT", "", ""),
        case("read:/proc/kcore", "0 bytes|ENOENT", "", ""),
        case("open-read:/dev/mem", "ENOENT", "", ""),
        // A privileged container reaches a hierarchy that is there (done); a new one is made by nobody who has a cgroup
        // namespace of his own (EPERM).
        case("release_agent", "EPERM", AGENT, "EPERM|EACCES|EBUSY|EINVAL|ENODEV|ENOENT"),
    ])
}

/// What covers a masked file is the null device. If it were the host's own node, root in the container could close it
/// for the host.
pub fn masks(place: &Place) -> Outcome {
    let null = Path::new("/dev/null");
    let before = (null.metadata()?.mode(), null.metadata()?.ctime(), null.metadata()?.ctime_nsec());
    // Nor by standard input, which is one if there is no other: it may be opened by its link again.
    place.tries(&[], &["chmod:/proc/self/fd/0", "chown:/proc/self/fd/0"])?;
    let attacks = ["chmod:/proc/keys", "chown:/proc/keys", "chmod:/proc/timer_list", "write:/proc/keys:text"];
    let ends = place.tries(&[], &attacks)?;
    assert!(ends[..3].iter().all(|end| ["EROFS", "EPERM", "ENOENT"].contains(&end.as_str())), "{ends:?}");
    assert_eq!(ends[3], "done", "what is written there is lost, as in any null device");
    let running = place.idle("one", &[])?;
    place.tries_beside("one", &[], &["chmod:/proc/self/fd/0"])?;
    place.end("one", running)?;
    let after = (null.metadata()?.mode(), null.metadata()?.ctime(), null.metadata()?.ctime_nsec());
    assert_eq!(before, after, "the host's null device was changed");
    // Its own nodes are its own, and their modes too.
    let own = place.tries(&[], &["chmod:/dev/null", "chmod:/dev/tty"])?;
    let wanted = if place.is_ordinary() { "EPERM" } else { "done" };
    assert_eq!(own, [wanted, wanted]);
    let node = place.tries(&["--device", "/dev/fuse"], &["chmod:/dev/fuse"]);
    if Path::new("/dev/fuse").exists() {
        let before = fs::metadata("/dev/fuse")?.ctime_nsec();
        assert!([wanted, "EROFS"].contains(&node?[0].as_str()));
        assert_eq!(before, fs::metadata("/dev/fuse")?.ctime_nsec());
    }
    Ok(())
}

/// cgroup v2: a container sees its own group, and cannot raise its limits nor leave it.
pub fn groups(place: &Place) -> Outcome {
    let case = |attack, held, root| Case { attack, held, without: PRIVILEGED, root, ordinary: "" };
    place.hold(&[
        case("open-write:/sys/fs/cgroup/cgroup.procs", "EROFS|EACCES", "done"),
        case("open-write:/sys/fs/cgroup/memory.max", "EROFS|EACCES", "done"),
        case("open-write:/sys/fs/cgroup/pids.max", "EROFS|EACCES", "done"),
        case("open-write:/sys/fs/cgroup/cgroup.freeze", "EROFS|EACCES", "done"),
        case("mkdir:/sys/fs/cgroup/below", "EROFS|EACCES", ""),
        case("remount:/sys/fs/cgroup", "EPERM", ""),
    ])?;
    // Its namespace has no way up, and no other group in view.
    let said = place.inside(
        &["--memory", "64m"],
        "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/*/; cat /sys/fs/cgroup/memory.max",
    )?;
    assert_eq!(said, "0::/\n67108864\n");
    Ok(())
}
