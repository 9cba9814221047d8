//! A limit on one level: the bomb's processes are counted here, by the number of seconds that they sleep.

use crate::check::{Check, Failure, Verdict, that};
use crate::lab::{Lab, Running};

pub const CHECKS: [Check; 3] = [
    Check::new("part one: forty processes", attack).points(2),
    Check::new("part two: the container may still divide its group", divides),
    Check::new("part two: twenty, and no more", bounded).points(2),
];

fn sleepers(running: &Running, number: &str) -> usize {
    let is_one = |argv: &[String]| argv.len() == 2 && argv[0] == "sleep" && argv[1] == number;
    running.processes().iter().filter(|process| is_one(&process.argv)).count()
}

fn attack(lab: &Lab) -> Verdict {
    let number = lab.number(1000, 9_999_999).to_string();
    let mut running = lab.start(&["open", &number])?;
    let mut most = 0;
    let what = "forty processes of the bomb alive";
    let came = running.wait_for(what, |running| {
        most = most.max(sleepers(running, &number));
        (most >= 40).then_some(())
    });
    came.map_err(|failure| match failure {
        Failure::Wrong { .. } => Failure::wrong(
            "the bomb, after your lines in ATTACK",
            what,
            format!("{most} at most, then the shell ended"),
        )
        .note("Fork was refused: the shell was still in a group with a limit of 20."),
        machine @ Failure::Machine(_) => machine,
    })
}

/// Runs a script in a closed container to its end, which it tells by a file.
fn closed(lab: &Lab, script: &str) -> Result<String, Failure> {
    let done = lab.run(&["closed", script])?;
    let said = format!("{}{}", done.stdout, done.stderr);
    that(
        done.stdout.contains("goes on"),
        "the container that your `close` was called for",
        "it goes on to its end",
        said,
    )?;
    Ok(done.stdout)
}

fn divides(lab: &Lab) -> Verdict {
    let name = lab.nonce();
    let script = format!(
        "mkdir /sys/fs/cgroup/{name} /sys/fs/cgroup/{name}2 && echo made; (sh -c 'echo $$ > \
         /sys/fs/cgroup/{name}/cgroup.procs && cat /proc/self/cgroup'); echo goes on"
    );
    let seen = closed(lab, &script)?;
    let is = seen.contains("made") && seen.contains(&format!("/{name}\n"));
    let what = "the container makes two groups of its own, and a process goes into one of them";
    that(is, what, format!("0::/{name}"), seen.trim())
        .map_err(|failure| failure.note("It was promised to make groups of its own, as many as it likes."))
}

/// Ways to get out of the limit of `main`, each with a bomb behind it; then the container counts what there is.
fn bounded(lab: &Lab) -> Verdict {
    let ways = [
        "mkdir /sys/fs/cgroup/free; echo 0 > /sys/fs/cgroup/free/cgroup.procs",
        "echo max > /sys/fs/cgroup/main/pids.max",
    ];
    for way in ways {
        let number = lab.number(1000, 9_999_999).to_string();
        let bomb = format!("for i in $(seq 40); do sleep {number} & done");
        // The shell of the bomb ends where a fork is refused; what it has started stays. The outer one forks no more
        // then.
        let script = format!(
            "sh -c '{way}; {bomb}' 2>/dev/null
             n=0; for f in /proc/[0-9]*/cmdline; do
                 read -r line < $f; case $line in sleep*) n=$((n+1));; esac
             done 2>/dev/null
             echo \"$n alive\"; echo goes on"
        );
        let seen = closed(lab, &script)?;
        let count: usize = seen.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(usize::MAX);
        let what = format!("processes of a bomb of forty, after `{way}`");
        that(count <= 20, &what, "20 at most, with all that the container has", count).map_err(|failure| {
            failure.note(
                "`main` is the container's own to change, and to leave. What is not: the group that it was given.",
            )
        })?;
    }
    Ok(())
}
