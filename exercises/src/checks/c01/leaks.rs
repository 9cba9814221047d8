//! What an engine leaves open: the program's descriptors, as /proc shows them.

use std::fs;

use super::{WAITS, waiting};
use crate::check::{Check, Failure, Verdict, same};
use crate::lab::{Lab, Running, WORK};

pub const CHECKS: [Check; 3] = [
    Check::new("no descriptor of the engine's", own).points(2),
    Check::new("none that the engine was given", inherited).points(2),
    Check::new("the engine tells the end", end),
];

const EXPECTED: &str = "0, 1, 2";

fn own(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    let mut running = lab.start(&[WORK, "sh", "-c", WAITS, &word])?;
    look(&mut running, &word, None)
}

fn inherited(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    let number = lab.number(5, 9).to_string();
    let script = "n=$1; shift; eval \"exec $n< /etc/passwd\"; exec \"$PROGRAM\" \"$@\"";
    let mut running = lab.start_sh(script, &[&number, WORK, "sh", "-c", WAITS, &word])?;
    look(&mut running, &word, Some(&number))
}

fn look(running: &mut Running, word: &str, given: Option<&str>) -> Verdict {
    let process = waiting(running, word)
        .map_err(|failure| failure.note("did the program have its standard output? 0, 1 and 2 must stay open"))?;
    let entries = fs::read_dir(format!("/proc/{}/fd", process.pid))
        .map_err(|error| Failure::Machine(format!("/proc/PID/fd: {error}")))?;
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    let text = |number: &u32| number.to_string();
    if numbers.iter().map(text).collect::<Vec<_>>().join(", ") == EXPECTED {
        return Ok(());
    }
    let shown = numbers.iter().map(|number| {
        let target = fs::read_link(format!("/proc/{}/fd/{number}", process.pid)).unwrap_or_default();
        if *number < 3 { number.to_string() } else { format!("{number} -> {}", target.display()) }
    });
    let seen = shown.collect::<Vec<_>>().join(", ");
    let note = match given.filter(|given| numbers.iter().any(|number| number.to_string() == **given)) {
        Some(given) => format!("descriptor {given} is not the engine's own: the engine's caller had left it open"),
        None => {
            "the others are what the engine itself has opened: they were not marked close-on-exec when it executed \
                 the program"
                .to_owned()
        }
    };
    Err(Failure::wrong("the program's descriptors, in /proc/PID/fd", EXPECTED, seen).note(note))
}

fn end(lab: &Lab) -> Verdict {
    let code = lab.number(2, 250);
    let done = lab.run(&[WORK, "sh", "-c", &format!("echo said; exit {code}")])?;
    let said = Failure::wrong("what the program `echo said` wrote to its standard output", "said", done.stdout.trim());
    if done.stdout.trim() != "said" {
        return Err(said.note("0, 1 and 2 must stay open in the program"));
    }
    let kept = lab.read("exit").unwrap_or_default();
    let note =
        "the engine's own descriptors must stay open in the engine: close-on-exec marks, and closes nothing here";
    let what = format!("the file `exit` in the engine's directory, after `exit {code}`");
    same(&what, code.to_string(), kept.trim()).map_err(|failure| failure.note(note))?;
    same("the engine's exit code", i64::from(code), i64::from(done.code))
}
