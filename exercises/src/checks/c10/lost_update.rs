//! Two commands, one state file: the learner's attack on the old way, and ours on the new one.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::check::{Check, Failure, Verdict, that};
use crate::lab::{Lab, Process};

pub const CHECKS: [Check; 4] = [
    Check::new("part one: an update is lost", attack).points(2),
    Check::new("part two: what is set is in the file", honest),
    Check::new("part two: a command in the middle of another one", interleaved).points(2),
    Check::new("part two: a reader has the whole file", reader)
        .beside("part two: what is set is in the file")
        .points(2),
];

type State = BTreeMap<String, String>;

fn text(lab: &Lab, file: &str) -> String {
    lab.read(file).unwrap_or_default()
}

/// What the file has now.
fn state(lab: &Lab, file: &str) -> Result<State, Failure> {
    let text = text(lab, file);
    serde_json::from_str(&text)
        .map_err(|error| Failure::wrong("the state file", "keys and values as JSON", format!("{error}: {text:?}")))
}

fn begin(lab: &Lab) -> Result<String, Failure> {
    let old = lab.nonce();
    lab.file("state.json", format!("{{ \"old\": {old:?} }}\n"))?;
    // The room's root is nobody outside.
    let all = Permissions::from_mode(0o666);
    std::fs::set_permissions(lab.work().join("state.json"), all)
        .map_err(|error| Failure::Machine(format!("chmod: {error}")))?;
    Ok(old)
}

/// Has the file these, and nothing lost?
fn has(state: &State, wanted: &[(&str, &str)], what: &str, note: &str) -> Verdict {
    let lost: Vec<_> = wanted.iter().filter(|(key, value)| state.get(*key).is_none_or(|seen| seen != value)).collect();
    let lost: Vec<_> = lost.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    let seen = || format!("{} is lost; the file has {state:?}", lost.join(", "));
    that(lost.is_empty(), what, "every update is in the file", seen()).map_err(|failure| failure.note(note))
}

fn attack(lab: &Lab) -> Verdict {
    for _ in 0..2 {
        let old = begin(lab)?;
        let (one, two) = (lab.nonce(), lab.nonce());
        let done = lab.run(&["attack", "state.json", &one, &two])?;
        let what = "the file after `lost_update attack state.json ONE TWO`";
        that(done.code == 0, what, "exit code 0", format!("exit code {}: {}", done.code, done.stderr.trim()))?;
        let state = state(lab, "state.json")?;
        let is = |key: &str, value: &String| state.get(key) == Some(value);
        let (first, second) = (is("one", &one), is("two", &two));
        let untouched = state.len() == 2 && is("old", &old);
        that(
            first != second && untouched,
            what,
            "of `one` and `two` just one is there, with its value, beside `old`",
            format!("{state:?}"),
        )
        .map_err(|failure| {
            failure.note(if first && second {
                "Both updates are there: the second command had read what the first one wrote. Hold one of them \
                 between its read and its write."
            } else {
                "It must be the work of both commands: one of them sets `one` to ONE, the other `two` to TWO, and one \
                 of these is overwritten."
            })
        })?;
    }
    Ok(())
}

fn honest(lab: &Lab) -> Verdict {
    let (old, value, asked) = (begin(lab)?, lab.nonce(), lab.nonce());
    let script = r#"$PROGRAM set state.json key "$1" && echo "$2" | $PROGRAM set state.json asked -"#;
    let done = lab.sh(script, &[&value, &asked])?;
    let what = "`lost_update set state.json key VALUE`, then the same with `-`";
    that(done.code == 0, what, "exit code 0", done.stderr.trim())?;
    has(
        &state(lab, "state.json")?,
        &[("old", &old), ("key", &value), ("asked", &asked)],
        what,
        "These came one after the other.",
    )
}

/// One command is held where it asks; another one comes. Then, twenty at once.
fn interleaved(lab: &Lab) -> Verdict {
    let (old, one, two) = (begin(lab)?, lab.nonce(), lab.nonce());
    let script = r#"
        $PROGRAM set state.json one - & first=$!
        while ! test -e asked; do sleep 0.01; done
        $PROGRAM set state.json two "$1" & echo second $!
        wait $first; wait"#;
    // The first one's input is the script's own, which a shell gives to nobody behind `&`: unless it is named.
    let script = script.replace("one - &", "one - <&3 &");
    let mut running = lab.start_sh(&format!("exec 3<&0\n{script}"), &[&two])?;
    running.wait_for("the question of `lost_update set state.json one -`", |running| {
        running.stdout().contains("one?").then_some(())
    })?;
    lab.file("asked", "")?;
    // Now the second one comes to its end, or it waits for the first: that shows in /proc/locks, or it takes its time.
    let start = Instant::now();
    running.wait_for("the second command", |running| {
        let said = running.stdout();
        let number = said.lines().find_map(|line| line.strip_prefix("second "))?;
        let is_it = |process: &Process| {
            process.status("NSpid").is_some_and(|numbers| numbers.split_whitespace().last() == Some(number))
        };
        let second = running.processes().into_iter().find(is_it);
        // A shell that waits may collect it at once.
        let goes_on = second.is_some_and(|second| {
            !second.status("State").is_some_and(|state| state.starts_with('Z')) && !waits_for_lock(second.pid)
        });
        (!goes_on || start.elapsed() > Duration::from_secs(4)).then_some(())
    })?;
    running.say(&format!("{one}\n"));
    running.finish()?;
    let what =
        "the file after `set … one -` was asked for its value, `set … two VALUE` came, and then `one` got its value";
    let note = "The second command read the file while the first was between its read and its write. A lock helps if \
                it is taken before the read, and if both lock the same file: one that no rename replaces.";
    has(&state(lab, "state.json")?, &[("old", &old), ("one", &one), ("two", &two)], what, note)?;

    let values: Vec<_> = (0..20).map(|index| (format!("k{index}"), lab.nonce())).collect();
    let words: Vec<_> = values.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]).collect();
    // A directory that is made there: what the first room left belongs to us again, not to the second one's root.
    let script = "mkdir again && cd again && echo '{}' > state.json || exit 99
        while test $# -gt 0; do $PROGRAM set state.json $1 $2 & shift 2; done; wait";
    let done = lab.sh(script, &words)?;
    let wanted: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let note = format!("Who wants to write while another one does has to wait. {}", done.stderr.trim());
    has(&state(lab, "again/state.json")?, &wanted, "the file after twenty `set` at once", &note)
}

/// Is this process held by a lock of somebody else's (proc_locks(5))?
fn waits_for_lock(pid: i32) -> bool {
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let pid = pid.to_string();
    locks.lines().any(|line| line.contains("->") && line.split_whitespace().any(|word| word == pid))
}

/// Who has opened the file reads what it was then, whole, whatever is written meanwhile.
fn reader(lab: &Lab) -> Verdict {
    begin(lab)?;
    let before = text(lab, "state.json");
    let open = File::open(lab.work().join("state.json"));
    let mut open = open.map_err(|error| Failure::Machine(format!("open the state: {error}")))?;
    let done = lab.run(&["set", "state.json", "key", &lab.nonce()])?;
    that(done.code == 0, "`lost_update set state.json key VALUE`", "exit code 0", done.stderr.trim())?;
    let mut seen = String::new();
    let read = open.read_to_string(&mut seen).map(|_| seen).unwrap_or_else(|error| error.to_string());
    let what = "what a reader reads who had opened the file before `set` wrote";
    that(read == before, what, format!("{before:?}, which was there then"), format!("{read:?}")).map_err(|failure| {
        failure.note(
            "The same file was written again, and for a moment it is empty or half. A new file that takes the name by \
             a rename leaves the old one whole to who has it open.",
        )
    })
}
