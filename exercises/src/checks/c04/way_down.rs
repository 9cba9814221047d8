//! The way down to a group: read from the files of the groups by programs that know nothing of it.

use crate::check::{Check, Failure, Verdict, same, that};
use crate::lab::{Lab, Output};

pub const CHECKS: [Check; 3] = [
    Check::new("the last group has its controllers", controllers).points(2),
    Check::new("the limit arrives", limit),
    Check::new("processes can live there", lives).points(2),
];

/// Has the program make a way that nobody knows beforehand, and runs a script behind it; `$way` is the last group.
fn walk(lab: &Lab, limit: u32, script: &str) -> Result<Output, Failure> {
    let way: Vec<_> = (0..lab.number(2, 4)).map(|_| lab.nonce()).collect();
    let way = way.join("/");
    let script = format!("way=/sys/fs/cgroup/$1; $PROGRAM $1 $2 || exit 99\n{script}");
    let done = lab.sh(&script, &[&way, &limit.to_string()])?;
    if done.code != 99 {
        return Ok(done);
    }
    let failure = Failure::wrong(format!("`way_down {way} {limit}`"), "exit code 0", done.stderr.trim());
    Err(match done.stderr.as_str() {
        said if said.contains("not yet implemented") => failure.note("It still has a todo!()."),
        said if said.contains("EBUSY") => failure.note(
            "A group with processes cannot hand controllers down. All of them must go into a leaf: this program, the \
             shell that started it, and process 1 of the container.",
        ),
        said if said.contains("pids.max") => {
            failure.note("The last group has no such file: nobody above it has handed the controller down.")
        }
        _ => failure,
    })
}

fn controllers(lab: &Lab) -> Verdict {
    let done = walk(lab, 10, "cat $way/cgroup.controllers")?;
    let seen: Vec<_> = done.stdout.split_whitespace().collect();
    let has = seen.contains(&"memory") && seen.contains(&"pids");
    that(has, "cgroup.controllers of the last group", "memory pids", done.stdout.trim())
}

fn limit(lab: &Lab) -> Verdict {
    let limit = lab.number(10, 90);
    let done = walk(lab, limit, "cat $way/pids.max")?;
    same("pids.max of the last group", limit.to_string(), done.stdout.trim().to_owned())
}

fn lives(lab: &Lab) -> Verdict {
    let script = "sh -c 'echo $$ > '$way'/cgroup.procs && cat /proc/self/cgroup'; echo $way";
    let done = walk(lab, 20, script)?;
    let mut lines = done.stdout.lines();
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let (seen, wanted) = (first.trim_start_matches("0::"), second.trim_start_matches("/sys/fs/cgroup"));
    let what = "the group of a process that has written its number into cgroup.procs of the last group";
    that(seen == wanted && !wanted.is_empty(), what, wanted, format!("{seen} {}", done.stderr.trim())).map_err(
        |failure| failure.note("A group that hands controllers down takes no process. Does the last one do that?"),
    )
}
