//! What chapter 2 needs from the machine.

use std::ffi::OsStr;

use nix::unistd::geteuid;
use process::doctor::Check;

use crate::programs;

/// The bit of `CAP_SYS_CHROOT` (capabilities(7), linux/capability.h).
const CAP_SYS_CHROOT: u32 = 18;
/// What the examples of the book use most, and the Debian package that has it.
const USED: &[(&str, &str)] = &[
    ("sh", "dash"),
    ("ls", "coreutils"),
    ("ps", "procps"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("mount", "mount"),
    ("hostname", "hostname"),
    ("unshare", "util-linux"),
];

/// Checks whether chroot(2) is allowed, and what a root made here would lack.
pub fn doctor() -> Vec<Check> {
    vec![may_chroot(), enough_programs()]
}

fn may_chroot() -> Check {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if is_effective(&status, CAP_SYS_CHROOT) {
        return Check::works(2, "chroot", "CAP_SYS_CHROOT is there");
    }
    let who = if geteuid().is_root() { "root without CAP_SYS_CHROOT" } else { "an ordinary user" };
    Check::limited(2, "chroot", who, "sudo; or step03 and later, which need no root")
}

/// Is the capability among the effective ones of a /proc/PID/status (proc(5))?
fn is_effective(status: &str, capability: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> capability & 1 == 1)
}

fn enough_programs() -> Check {
    let what = "programs for a root";
    let there = |name: &&str| programs::find(OsStr::new(name)).is_some();
    let (count, all) = (programs::default_set().filter(there).count(), programs::default_set().count());
    let lacking: Vec<_> = USED.iter().filter(|(name, _)| !there(name)).collect();
    if lacking.is_empty() {
        return Check::works(2, what, format!("{count} of {all} are here"));
    }
    let column = |which: fn(&(&'static str, &'static str)) -> &'static str| {
        lacking.iter().map(|pair| which(pair)).collect::<Vec<_>>().join(" ")
    };
    let (names, packages) = (column(|pair| pair.0), column(|pair| pair.1));
    Check::limited(2, what, format!("without {names}"), format!("sudo apt-get install {packages}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_a_bit() {
        let status = "Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t0000000000040000\n";
        assert!(is_effective(status, CAP_SYS_CHROOT));
        assert!(!is_effective(status, 17) && !is_effective("", 18));
    }
}
