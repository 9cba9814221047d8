//! What an exercise needs of the machine: a check that cannot be made is skipped, by name and with the reason.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::Exercise;

/// Where a room's programs are.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Why the exercise cannot be checked on this machine.
pub fn missing(exercise: &Exercise) -> Option<String> {
    let missing: Vec<_> = exercise.about.needs.iter().filter_map(|need| lacks(need)).collect();
    (!missing.is_empty()).then(|| format!("this machine has no {}", missing.join(", no ")))
}

fn lacks(need: &str) -> Option<String> {
    match need {
        "cgroup2" => (!has_controllers()).then(|| "cgroup v2 with the controllers memory, cpu, pids and io".into()),
        "subuid" => (!has_ids()).then(|| "range of ids for this user in /etc/subuid".into()),
        program => (!is_there(program)).then(|| format!("program {program}")),
    }
}

fn has_controllers() -> bool {
    let text = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    ["cpu", "io", "memory", "pids"].iter().all(|wanted| text.split_whitespace().any(|word| word == *wanted))
}

fn has_ids() -> bool {
    nix::unistd::geteuid().is_root() || !namespaces::IdMap::of_user().is_single()
}

fn is_there(program: &str) -> bool {
    let runs = |path: &Path| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    PATH.iter().any(|dir| runs(&Path::new(dir).join(program)))
}
