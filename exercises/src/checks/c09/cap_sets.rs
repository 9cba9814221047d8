//! What an exec makes of the five sets: the experiments are made for real, by setpriv(1) in a room.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("root", |lab| compare(lab, &["root", "root-inheritable"])),
    Check::new("another user", |lab| compare(lab, &["user", "user-ambient"])),
    Check::new("a set-user-ID file", |lab| compare(lab, &["set-user-id", "no-new-privs"])),
];

/// The sets in the order of /proc/PID/status.
const SETS: [&str; 5] = ["inheritable", "permitted", "effective", "bounding", "ambient"];

/// Two capabilities, and their bits.
const NAMES: [(&str, u64); 2] = [("chown", 1), ("kill", 1 << 5)];

/// The experiment of this name, as words for a shell.
fn experiment(name: &str) -> &'static str {
    match name {
        "root" => "setpriv --bounding-set=-all,+chown,+kill grep Cap /proc/self/status",
        "root-inheritable" => {
            "setpriv --inh-caps=-all,+chown setpriv --bounding-set=-all,+kill grep Cap /proc/self/status"
        }
        "user" => {
            "setpriv --bounding-set=-all,+chown,+kill --inh-caps=-all --reuid 1000 --regid 1000 --clear-groups \
             grep Cap /proc/self/status"
        }
        "user-ambient" => {
            "setpriv --bounding-set=-all,+chown,+kill --inh-caps=-all,+chown --ambient-caps=+chown --reuid 1000 \
             --regid 1000 --clear-groups grep Cap /proc/self/status"
        }
        "set-user-id" => {
            "setpriv --bounding-set=-all,+chown,+kill --inh-caps=-all --reuid 1000 --regid 1000 --clear-groups \
             /tmp/grep Cap /proc/self/status"
        }
        _ => {
            "setpriv --bounding-set=-all,+chown,+kill --inh-caps=-all --reuid 1000 --regid 1000 --clear-groups \
             --no-new-privs /tmp/grep Cap /proc/self/status"
        }
    }
}

/// Why it is so, for each case.
fn because(name: &str) -> &'static str {
    match name {
        "root" => {
            "Root's exec makes permitted and effective anew: of bounding, and of nothing else here. What it had before \
             does not count."
        }
        "root-inheritable" => "For root all that is inheritable is kept. It comes beside bounding, not through it.",
        "user" => "For another user permitted becomes the ambient set, which is empty. Bounding stays as it is.",
        "user-ambient" => {
            "A capability is ambient only while it is permitted and inheritable, and ambient ones become permitted and \
             effective."
        }
        "set-user-id" => "The exec makes the process root, and it gains what root gains: all of bounding.",
        _ => "With no_new_privs the bit on the file does nothing: this is the exec of a plain program by a plain user.",
    }
}

fn compare(lab: &Lab, names: &[&str]) -> Verdict {
    let done = lab.run(&[])?;
    let answers: BTreeMap<_, _> = done.stdout.lines().filter_map(|line| line.split_once(" = ")).collect();
    let script: Vec<_> = names.iter().map(|name| format!("echo {name}; {} || exit 99", experiment(name))).collect();
    let script = format!("cp /bin/grep /tmp/grep; chmod u+s /tmp/grep\n{}", script.join("\n"));
    let shown = lab.sh(&script, &[])?;
    let kernel = parse(&shown.stdout);
    if shown.code != 0 || kernel.len() != names.len() {
        return Err(Failure::Machine(format!("the experiment: {}{}", shown.stdout, shown.stderr)));
    }
    for (name, sets) in names.iter().zip(kernel) {
        let answer: Vec<_> = answers.get(name).map(|text| text.split(' ').map(read).collect()).unwrap_or_default();
        if answer != sets {
            let line = |sets: &[BTreeSet<String>]| {
                let set = |(name, set): (&&str, &BTreeSet<String>)| format!("{name} {}", told(set));
                SETS.iter().zip(sets).map(set).collect::<Vec<_>>().join(", ")
            };
            let what = format!("your answer for {name:?} (`{}`)", experiment(name));
            let expected = format!("what the kernel showed: {}", line(&sets));
            return Err(Failure::wrong(what, expected, line(&answer)).note(because(name)));
        }
    }
    Ok(())
}

/// One answer: names, in any order and spelling.
fn read(text: &str) -> BTreeSet<String> {
    let lower = text.to_ascii_lowercase();
    let words = lower.split(',').map(|word| word.trim().trim_start_matches("cap_").to_owned());
    words.filter(|word| !word.is_empty() && word != "none").collect()
}

fn told(set: &BTreeSet<String>) -> String {
    if set.is_empty() { "none".into() } else { set.iter().cloned().collect::<Vec<_>>().join(",") }
}

/// Of the lines `CapInh:` and so on, the five sets of each experiment.
fn parse(text: &str) -> Vec<Vec<BTreeSet<String>>> {
    let bits = |line: &str| u64::from_str_radix(line.strip_prefix("Cap")?.split_whitespace().nth(1)?, 16).ok();
    let names = |bits: u64| {
        let named = NAMES.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| (*name).to_owned());
        let others = bits & !NAMES.iter().map(|(_, bit)| bit).sum::<u64>();
        named.chain((others != 0).then(|| format!("{others:#x}"))).collect()
    };
    let sets: Vec<BTreeSet<String>> = text.lines().filter_map(bits).map(names).collect();
    sets.chunks(SETS.len()).map(<[_]>::to_vec).collect()
}
