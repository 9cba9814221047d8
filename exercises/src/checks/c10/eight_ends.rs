//! Eight ways to end, made for real by a shell in a room: it tells exit codes as an engine does.

use std::collections::BTreeMap;

use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("ends without a signal", |lab| compare(lab, &["exit-300", "not-there", "not-executable"])),
    Check::new("ends by a signal", |lab| compare(lab, &["killed", "no-reader", "handler"])),
    Check::new("process 1", |lab| compare(lab, &["stopped", "kills-itself"])).points(2),
];

/// The end of this name as a script that prints the code.
fn experiment(name: &str) -> &'static str {
    match name {
        "exit-300" => "sh -c 'exit 300'; echo $?",
        "not-there" => "/no/such/program 2>/dev/null; echo $?",
        "not-executable" => "/etc/passwd 2>/dev/null; echo $?",
        "killed" => "sh -c 'kill -KILL $$' 2>/dev/null; echo $?",
        "no-reader" => "{ { yes 2>/dev/null; echo $? >&3; } | true; } 3>&1",
        "handler" => "sh -c 'trap \"exit 3\" TERM; kill -TERM $$; while :; do :; done'; echo $?",
        "stopped" => {
            // The first process that this shell makes is process 1 of the new namespace.
            "unshare --pid sh -c 'sleep 1000 & kill -TERM $!; sleep 0.05; kill -KILL $!; wait $! 2>/dev/null; echo $?'"
        }
        _ => "unshare --pid --fork sh -c 'kill -KILL $$; exit 5'; echo $?",
    }
}

/// Why it is so.
fn because(name: &str) -> &'static str {
    match name {
        "exit-300" => "An exit code has eight bits: 300 - 256 is left.",
        "not-there" => "127 says that there is no such program.",
        "not-executable" => "126 says that there is such a file, and that it cannot be executed.",
        "killed" => "A signal has no exit code, so its number is told on top of 128. SIGKILL is 9.",
        "no-reader" => "Who writes to a pipe without a reader gets SIGPIPE, which is 13, on top of 128.",
        "handler" => "The signal does not end it: its handler does, by exit, with a code of its own.",
        "stopped" => {
            "Process 1 gets no signal that it has no handler for, so SIGTERM does nothing to it. SIGKILL from outside \
             ends it: 128 + 9."
        }
        _ => "No signal from inside ends process 1, not even SIGKILL, so the shell goes on.",
    }
}

fn compare(lab: &Lab, names: &[&str]) -> Verdict {
    let done = lab.run(&[])?;
    let answers: BTreeMap<_, _> = done.stdout.lines().filter_map(|line| line.split_once(" = ")).collect();
    let script: Vec<_> = names.iter().map(|name| format!("({})", experiment(name))).collect();
    let shown = lab.sh(&script.join("\n"), &[])?;
    let codes: Vec<_> = shown.stdout.lines().map(str::trim).collect();
    if codes.len() != names.len() {
        return Err(Failure::Machine(format!("the experiment: {}{}", shown.stdout, shown.stderr)));
    }
    for (name, code) in names.iter().zip(codes) {
        let answer = answers.get(name).copied().unwrap_or("nothing").trim();
        if answer != code {
            let what = format!("your answer for {name:?}");
            return Err(Failure::wrong(what, format!("what the kernel showed: {code}"), answer).note(because(name)));
        }
    }
    Ok(())
}
