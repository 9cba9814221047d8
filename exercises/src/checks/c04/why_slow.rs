//! Why is it slow? The answers are compared with what follows from the files.

use std::collections::BTreeMap;

use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 2] = [
    Check::new("what holds it up", |lab| compare(lab, &CAUSES)).points(3),
    Check::new("the numbers", |lab| compare(lab, &NUMBERS)).points(2),
];

/// A question, its answer, and why.
type Known = (&'static str, &'static str, &'static str);

const CAUSES: [Known; 5] = [
    ("shop", "cpu-limit", "In 597 of 600 periods the quota was used up, and everybody in the group had to wait."),
    (
        "search",
        "memory-limit",
        "48211 times the group ran into memory.max and had to take back pages. Those that were dropped are read again \
         from the disk: that is where its waiting for io comes from.",
    ),
    (
        "report",
        "neighbours",
        "nr_throttled 0: it never met its ceiling. It waits for a processor all the same, so others have them, and its \
         weight of 35 is a small share.",
    ),
    ("backup", "disk", "It hardly uses a processor, meets no limit, and waits for io nearly all the time."),
    (
        "proxy",
        "nothing",
        "No pressure of any kind. Its memory is full of inactive_file, cached files that go when room is needed: `max` \
         in memory.events is 0.",
    ),
];

const NUMBERS: [Known; 2] = [
    ("shop-runs", "12500", "The quota of 50000 is for all threads together: four use it up in a quarter of the time."),
    ("proxy-uses", "31", "536612864 - 503316480 bytes: memory.current without inactive_file."),
];

fn compare(lab: &Lab, known: &[Known]) -> Verdict {
    let done = lab.run(&[])?;
    let answers: BTreeMap<_, _> = done.stdout.lines().filter_map(|line| line.split_once(" = ")).collect();
    for (question, answer, why) in known {
        let given = answers.get(question).map_or_else(String::new, |given| given.trim().to_lowercase());
        if given != *answer {
            let what = format!("your answer for {question:?}");
            return Err(Failure::wrong(what, "another answer", given).note(why));
        }
    }
    Ok(())
}
