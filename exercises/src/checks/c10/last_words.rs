//! The last words of a container: the supervisor is stopped until the command has ended, so that it finds both at once.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::check::{Check, Failure, Verdict, same, that};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("the exit code, and a log of much output", honest),
    Check::new("the last output is in the log", last).points(2),
    Check::new("nobody waits for what is left behind", left_behind).points(2),
    Check::new("a command that says nothing", silent),
];

fn log(lab: &Lab) -> String {
    lab.read("log").unwrap_or_default()
}

fn honest(lab: &Lab) -> Verdict {
    let (code, lines) = (lab.number(2, 200), lab.number(40_000, 50_000));
    // The end comes when all has been read: this is the easy case.
    let script = format!("seq {lines}; while ! test -e go; do sleep 0.01; done; exit {code}");
    let mut running = lab.start(&["log", "sh", "-c", &script])?;
    let what = format!("{lines} lines in the log");
    running.wait_for(&what, |_| (log(lab).lines().count() == lines as usize).then_some(()))?;
    lab.file("go", "")?;
    let done = running.finish()?;
    same(&format!("the exit code of `last_words log sh -c '{script}'`"), i64::from(code), i64::from(done.code))?;
    same("lines in the log", lines as usize, log(lab).lines().count())
}

fn last(lab: &Lab) -> Verdict {
    let (word, lines) = (lab.nonce(), lab.number(3_000, 6_000));
    // Less than a pipe holds, more than a read takes. The word in the arguments is for us, to find it.
    let script = format!("echo begins; while ! test -e go; do sleep 0.01; done; seq {lines}; echo {word}");
    let mut running = lab.start(&["log", "sh", "-c", &script, &word])?;
    let command = running.process_with(&word)?;
    running.wait_for("the first line in the log", |_| log(lab).contains("begins").then_some(()))?;
    running.signal(Signal::SIGSTOP);
    running.wait_for("a stopped supervisor", |running| {
        let all = running.processes();
        let supervisor = all.iter().find(|process| process.pid == command.parent)?;
        supervisor.status("State").filter(|state| state.starts_with('T'))
    })?;
    lab.file("go", "")?;
    running.wait_for("the end of the command", |_| {
        command.status("State").is_none_or(|state| state.starts_with('Z')).then_some(())
    })?;
    running.signal(Signal::SIGCONT);
    let done = running.finish()?;
    same("the exit code", 0, done.code)?;
    let text = log(lab);
    let count = text.lines().count();
    let what = format!("the last line of the log, after a command that ended with `seq {lines}; echo {word}`");
    let seen = format!("{:?}, after {count} lines of {}", text.lines().last().unwrap_or_default(), lines + 2);
    that(text.ends_with(&format!("{word}\n")), &what, format!("{word:?}"), seen).map_err(|failure| {
        failure.note(if count <= 1 {
            "The command had ended, its output was still in the pipe, and the supervisor found both at once."
        } else {
            "A part of it is there: a pipe holds 64 KiB, and it takes as many reads as it takes to empty it."
        })
    })
}

fn left_behind(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    let script = format!("sleep 1000 & echo {word}");
    let mut running = lab.start(&["log", "sh", "-c", &script])?;
    let start = Instant::now();
    let late = running.wait_for("", |_| (start.elapsed() > Duration::from_secs(8)).then_some(()));
    match late {
        Ok(()) => {
            return Err(Failure::wrong(
                format!("the supervisor of `sh -c '{script}'`, whose `sleep` holds the pipe open"),
                "it ends when the command has ended",
                "it still waited after eight seconds",
            )
            .note("The command is the one process that is waited for. Take what is in the pipe, and no more."));
        }
        Err(machine @ Failure::Machine(_)) => return Err(machine),
        Err(Failure::Wrong { .. }) => {} // it has ended
    }
    let done = running.finish()?;
    same("the exit code", 0, done.code)
}

fn silent(lab: &Lab) -> Verdict {
    let code = lab.number(2, 200);
    let done = lab.run(&["log", "sh", "-c", &format!("exit {code}")])?;
    same(&format!("the exit code of `last_words log sh -c 'exit {code}'`"), i64::from(code), i64::from(done.code))?;
    same("the log", "", log(lab).as_str())
}
