//! What chapter 4 needs from the machine.

use nix::unistd::geteuid;
use process::doctor::Check;

use crate::controller::{DROP_IN, UNIFIED, names};
use crate::place::Place;
use crate::{Controller, Hierarchy, systemd};

/// Checks that cgroup v2 is there, that groups can be made, and which controllers they would have.
pub fn doctor() -> Vec<Check> {
    systemd::delegate();
    let mut checks = vec![unified()];
    match Place::find() {
        Ok(place) => checks.extend([Check::works(4, "groups", place.base.display().to_string()), controllers(&place)]),
        Err(error) => {
            checks.push(Check::missing(4, "groups", error.what(), error.way_out().unwrap_or_default()));
        }
    }
    checks.push(pressure());
    checks
}

fn unified() -> Check {
    let what = "cgroup v2";
    match Hierarchy::find() {
        Ok(found) if found.is_hybrid() => {
            let held: Vec<_> = Controller::ALL.into_iter().filter(|&one| found.v1_mount(one).is_some()).collect();
            let found = format!("at {}, but cgroup v1 holds {}", found.mount.display(), names(&held));
            Check::limited(4, what, found, UNIFIED)
        }
        Ok(found) => Check::works(4, what, format!("at {}", found.mount.display())),
        Err(error) => Check::missing(4, what, error.what(), error.way_out().unwrap_or_default()),
    }
}

fn controllers(place: &Place) -> Check {
    let what = "cgroup controllers";
    let have = place.available();
    let lacking: Vec<_> = Controller::ALL.into_iter().filter(|one| !have.contains(one)).collect();
    if lacking.is_empty() {
        return Check::works(4, what, names(&have));
    }
    let found = format!("{}; not {}", names(&have), names(&lacking));
    let mend = match place.hierarchy.is_hybrid() {
        true => UNIFIED.to_owned(),
        false if geteuid().is_root() && !namespaces::rootless::is_rootless() => {
            "a kernel with them, or the kernel parameter cgroup_enable=memory".to_owned()
        }
        false => DROP_IN.to_owned(),
    };
    let check = if have.is_empty() { Check::missing } else { Check::limited };
    check(4, what, found, mend)
}

fn pressure() -> Check {
    let what = "pressure (PSI)";
    // Switched off, the file is there but cannot be read.
    match std::fs::read_to_string("/proc/pressure/memory") {
        Ok(_) => Check::works(4, what, "measured"),
        Err(_) => {
            Check::limited(4, what, "not measured: `stats` leaves it out", "boot with the kernel parameter psi=1")
        }
    }
}
