//! What this machine has for chapter 9.

use process::doctor::Check;

use crate::{CapSet, device_rules, labels, landlock};

/// Capabilities, filters, device rules, and the security modules of the kernel.
pub fn doctor() -> Vec<Check> {
    vec![capabilities(), seccomp(), devices(), modules()]
}

fn capabilities() -> Check {
    let missing = CapSet::docker().minus(CapSet::of_ours());
    if missing.is_empty() {
        return Check::works(9, "capabilities", "all that containers have by default can be given");
    }
    let names: Vec<_> = missing.names().collect();
    Check::limited(9, "capabilities", format!("cannot give {}", names.join(", ")), "run outside of another container")
}

fn seccomp() -> Check {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    if actions.split_whitespace().any(|action| action == "errno") {
        Check::works(9, "seccomp filters", actions.trim())
    } else {
        Check::missing(
            9,
            "seccomp filters",
            "none",
            "a kernel with CONFIG_SECCOMP_FILTER; until then: --security-opt seccomp=unconfined",
        )
    }
}

fn devices() -> Check {
    if layers::in_user_namespace() || !nix::unistd::geteuid().is_root() {
        return Check::works(9, "device rules", "not needed: an ordinary user's containers can make no nodes");
    }
    if device_rules::enforceable() {
        return Check::works(9, "device rules", "a program at the container's control group");
    }
    let mend = "boot with systemd.unified_cgroup_hierarchy=1; until then containers are run without CAP_MKNOD";
    Check::limited(9, "device rules", "no control group to attach them to", mend)
}

fn modules() -> Check {
    let known = [
        ("AppArmor", labels::has_apparmor()),
        ("SELinux", labels::has_selinux()),
        ("Landlock", landlock::check().is_ok()),
    ];
    let there: Vec<_> = known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    if there.is_empty() {
        let mend = "a kernel that has one, named in its parameter `lsm=`; containers work without";
        return Check::limited(9, "security modules", "none of AppArmor, SELinux, Landlock", mend);
    }
    Check::works(9, "security modules", there.join(", "))
}
