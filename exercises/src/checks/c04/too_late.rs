//! Into the group too late: what a command has touched before it was ready, and whose bill that is on.

use std::time::{Duration, Instant};

use super::group;
use crate::check::{Check, Failure, Verdict, same, that};
use crate::lab::{Lab, Process, Running};

pub const CHECKS: [Check; 3] = [
    Check::new("the command is in the group `job`, the engine is not", member),
    Check::new("the first memory is on the group's bill", bill).points(2),
    Check::new("the limit holds from the beginning", limit).points(2),
];

const MIB: u64 = 1 << 20;

/// How long an engine may take to move a process.
const MOMENT: Duration = Duration::from_secs(4);

/// Starts the engine with a command that touches memory by these words, says that it is ready, and waits. Gives it when
/// it is in the group `job`.
fn start(lab: &Lab, limit: u64, touch: &str) -> Result<(Running, Process), Failure> {
    let word = lab.nonce();
    let script = format!("{touch}; echo $? > result; : > ready; while :; do sleep 1; done");
    let limit = limit.to_string();
    let mut running = lab.start(&[&limit, "/lab/work/ready", "sh", "-c", &script, &word])?;
    let command = running.process_with(&word)?;
    running.wait_for("the command says that it is ready", |_| lab.work().join("ready").exists().then_some(()))?;
    // An engine may need a moment.
    let start = Instant::now();
    let wanted = || group(&command).ends_with("job");
    running.wait_for("", |_| (wanted() || start.elapsed() >= MOMENT).then_some(()))?;
    let what = "the group of the command, when it has been ready for a while";
    that(wanted(), what, "…/job", group(&command).display())?;
    Ok((running, command))
}

fn member(lab: &Lab) -> Verdict {
    let (running, command) = start(lab, 64 * MIB, "true")?;
    let all = running.processes();
    let engine = all.iter().find(|process| process.pid == command.parent);
    let seen = engine.map(group).unwrap_or_default();
    let what = "the group of the engine, the parent of the command";
    that(!seen.ends_with("job"), what, "any but `job`", seen.display()).map_err(|failure| {
        failure.note("What the engine uses is not the command's bill, nor is its limit the engine's.")
    })
}

fn bill(lab: &Lab) -> Verdict {
    let touch = u64::from(lab.number(6, 10));
    let (_running, command) = start(lab, 64 * MIB, &format!("head -c {touch}M /dev/zero > /dev/shm/memory"))?;
    let file = group(&command).join("memory.current");
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Failure::Machine(format!("read {}: {error}", file.display())))?;
    let current: u64 = text.trim().parse().unwrap_or(0);
    let what = format!("memory.current of the group, after the command has written {touch} MiB to a tmpfs");
    let told = format!("{} KiB", current >> 10);
    that(current >= touch * MIB, &what, format!("{} KiB or more", touch << 10), told).map_err(|failure| {
        failure.note("Memory is billed where its first user is at that moment, and stays there when that one moves.")
    })
}

fn limit(lab: &Lab) -> Verdict {
    let limit = u64::from(lab.number(16, 24));
    // tail keeps a line that does not end, and wants to be the one who is killed, whatever the kernel finds first.
    let touch = "head -c 40M /dev/zero | (echo 1000 > /proc/self/oom_score_adj; exec tail > /dev/null)";
    let running = start(lab, limit * MIB, touch)?;
    let result = lab.read("result").unwrap_or_default();
    drop(running);
    let what = format!("the exit code of `{touch}`, which takes 40 MiB, with a limit of {limit} MiB");
    same(&what, "137", result.trim()).map_err(|failure| {
        failure.note("137 is SIGKILL, by the kernel for want of memory. A limit counts only for who is in the group.")
    })
}
