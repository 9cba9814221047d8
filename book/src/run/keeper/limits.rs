//! Limits that need no control group: the keeper looks at all processes of its namespace, which are all in the sandbox.

use std::fs;

/// How much memory they may hold together, in bytes.
const MEMORY: u64 = 1 << 30;

/// How many there may be.
const PROCESSES: usize = 500;

/// Which limit is exceeded, if one is.
pub fn exceeded() -> Option<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        entries.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
    let (mut count, mut pages) = (0, 0);
    for process in processes {
        count += 1;
        // Resident pages that are the process's own: the third field less the shared ones, the fourth (proc_pid_statm(5)).
        let statm = fs::read_to_string(process.path().join("statm")).unwrap_or_default();
        let mut fields = statm.split(' ').skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
        let (resident, shared) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
        pages += resident.saturating_sub(shared);
    }
    if count > PROCESSES {
        return Some(format!("it made more than {PROCESSES} processes"));
    }
    (pages * 4096 > MEMORY).then(|| format!("it took more than {} MiB of memory", MEMORY >> 20))
}
