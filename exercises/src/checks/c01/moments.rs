//! Moments of a fork and an exec: each experiment is made, then the answer is compared.

use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 5] = [
    Check::new("state", state),
    Check::new("code", code),
    Check::new("number", number),
    Check::new("parent", parent),
    Check::new("ignored", ignored),
];

/// Makes the experiment, and compares what it said last with the answer.
fn compare(lab: &Lab, question: &str, experiment: &str, note: &str) -> Verdict {
    let done = lab.sh(&format!("\"$PROGRAM\"; echo; {experiment}"), &[])?;
    let lines = || done.stdout.lines().map(str::trim);
    let shown = lines().next_back().unwrap_or_default();
    let answer = lines().find_map(|line| line.strip_prefix(question)?.trim_start().strip_prefix('=')).map(str::trim);
    match answer {
        None | Some("" | "?") => {
            let failure = Failure::wrong(format!("your answer to `{question}`"), "an answer", "none yet");
            Err(failure.note("write it down first; then the experiment is made and shown"))
        }
        Some(answer) if answer.eq_ignore_ascii_case(shown) => Ok(()),
        Some(answer) => {
            let (shown, answer) = (format!("{shown}, as the kernel showed"), format!("{answer}, your answer"));
            Err(Failure::wrong(format!("`{question}`"), shown, answer).note(note))
        }
    }
}

fn state(lab: &Lab) -> Verdict {
    let experiment = r#"
        ends='until read name < /proc/$PPID/comm && [ "$name" = sleep ]; do :; done'
        (sh -c "$ends" & echo $! > child; exec sleep 100) &
        until [ -s child ]; do :; done
        letter() { while read name letter rest; do [ "$name" != State: ] || echo "$letter"; done < "/proc/$(cat child)/status"; }
        until s=$(letter); case $s in R | S | D) false ;; esac; do :; done
        kill $!; echo "$s""#;
    let note = "the line State of /proc/PID/status: it has ended, and stays in the table until its parent waits for it";
    compare(lab, "state", experiment, note)
}

fn code(lab: &Lab) -> Verdict {
    let note = "`sh -c 'exit 300'; echo $?`: the kernel keeps eight bits of it, and 300 is 256 + 44";
    compare(lab, "code", "sh -c 'exit 300'; echo $?", note)
}

fn number(lab: &Lab) -> Verdict {
    let experiment = r#"
        set -- $(sh -c 'echo $$; exec sh -c "echo \$\$"')
        [ "$1" = "$2" ] && echo same || echo new"#;
    compare(lab, "number", experiment, "exec replaces the program of a process, not the process")
}

fn parent(lab: &Lab) -> Verdict {
    let experiment = r#"
        sh -c 'sleep 100 > /dev/null & echo $! > child'
        while read name value rest; do [ "$name" != PPid: ] || echo "$value"; done < "/proc/$(cat child)/status"
        kill "$(cat child)" 2> /dev/null"#;
    let note = "the line PPid of /proc/PID/status: no process inherits its grandchildren, unless it asked for it by \
                PR_SET_CHILD_SUBREAPER";
    compare(lab, "parent", experiment, note)
}

fn ignored(lab: &Lab) -> Verdict {
    let experiment = r#"
        sh -c 'trap "" TERM; exec sleep 100' > /dev/null &
        until read name < /proc/$!/comm && [ "$name" = sleep ]; do :; done
        kill -TERM $!
        # It was ignored when it was sent, or it was not: SIGTERM is bit 14.
        while read name mask; do [ "$name" != SigIgn: ] || set -- "$mask"; done < /proc/$!/status
        case $1 in *[4567cdef]???) echo lives ;; *) echo ends ;; esac
        kill -KILL $!"#;
    let note = "handlers go with the program that they were part of; what is ignored stays ignored over exec";
    compare(lab, "ignored", experiment, note)
}
