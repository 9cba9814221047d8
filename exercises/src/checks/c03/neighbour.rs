//! A key is taken out of a neighbour through /proc; then the engine's containers must be safe from that.

use crate::Failure;
use crate::check::{Check, Verdict, same, that};
use crate::lab::{Lab, Output};

pub const CHECKS: [Check; 4] = [
    Check::new("the attack finds the neighbour's key", attack).points(2),
    Check::new("the engine's containers do not", closed).points(2),
    Check::new("an honest program finds itself in /proc", honest),
    Check::new("the other namespaces are still its own", apart),
];

/// A container with a key that comes from standard input, so that nobody's arguments or variables have it.
const NEIGHBOUR: &str = r#"
mkfifo /tmp/up /tmp/key
unshare --mount --uts --ipc --net /bin/sh -c '
    mount -t tmpfs neighbour /run && cat /tmp/key > /run/key && echo up > /tmp/up && exec sleep 300
' &
read -r key; echo "$key" > /tmp/key; key=
read -r line < /tmp/up
"#;

/// What our own attack is: as many ways as a shell has.
const SEARCH: &str = "for process in /proc/[0-9]*; do cat $process/root/run/key; done 2> /tmp/errors; echo searched";

/// Runs a script beside a neighbour with that key.
fn beside(lab: &Lab, key: &str, script: &str, args: &[&str]) -> Result<Output, Failure> {
    let mut running = lab.start_sh(&format!("{NEIGHBOUR}{script}"), args)?;
    running.say(&format!("{key}\n"));
    running.finish()
}

fn attack(lab: &Lab) -> Verdict {
    let key = lab.nonce();
    // A container as the engine made it before it was mended; a few processes stand between it and the neighbour.
    let script = r#"sleep 300 & sleep 300 & unshare --mount --uts --ipc --net "$PROGRAM" steal"#;
    let done = beside(lab, &key, script, &[])?;
    let what = "what `neighbour steal` says, in a container that shares the PID namespace with its neighbour";
    let seen = if done.stdout.trim().is_empty() { done.stderr.trim() } else { done.stdout.trim() };
    that(done.stdout.trim() == key, what, key, seen).map_err(|failure| {
        failure.note(
            "The key lies on a mount that your container does not have, so /run/key is not it. But the neighbour's \
             process is in your /proc, by any number, and /proc/PID/root is what that process has as its root.",
        )
    })
}

fn closed(lab: &Lab) -> Verdict {
    let key = lab.nonce();
    let done = beside(lab, &key, r#""$PROGRAM" run sh -c "$1""#, &[SEARCH])?;
    let what = format!(
        "what a program in a container of this engine finds with `{}`",
        SEARCH.split(" 2>").next().unwrap_or(SEARCH)
    );
    let found = done.stdout.contains(&key);
    if !found && !done.stdout.contains("searched") {
        let seen = format!("exit code {}: {}", done.code, done.stderr.trim());
        return Err(Failure::wrong("a program in a container of this engine", "it runs", seen));
    }
    let seen = if found { "the neighbour's key" } else { "no key" };
    that(!found, &what, "no key", seen).map_err(|failure| {
        failure.note(
            "The container still sees the neighbour's processes, and may look into them. With CLONE_NEWPID it has process \
             numbers of its own; but an instance of /proc shows the namespace of whoever mounted it, so the new namespace \
             needs a new one.",
        )
    })
}

fn honest(lab: &Lab) -> Verdict {
    let (word, code) = (lab.nonce(), lab.number(2, 100));
    let script = r#"grep -q "$1" /proc/$$/cmdline && grep -q "$1" /proc/self/cmdline && exit "$2""#;
    let done = lab.run(&["run", "sh", "-c", script, "sh", &word, &code.to_string()])?;
    let what = "the exit code of a program in a container, which looks for itself in /proc/NUMBER and /proc/self";
    same(what, i64::from(code), i64::from(done.code)).map_err(|failure| {
        failure.note(
            "An honest program needs /proc: ps, top and many a runtime read it. It has to be there, and to show the \
             container's own processes by their own numbers.",
        )
    })
}

fn apart(lab: &Lab) -> Verdict {
    let kinds = ["mnt", "uts", "ipc", "net"];
    let links = kinds.map(|kind| format!("readlink /proc/self/ns/{kind};")).concat();
    let done = lab.sh(&format!("{links} \"$PROGRAM\" run sh -c '{links}'"), &[])?;
    let lines: Vec<_> = done.stdout.lines().collect();
    let (host, container) = lines.split_at(lines.len().min(kinds.len()));
    let shared: Vec<_> = container.iter().filter(|link| host.contains(link)).copied().collect();
    let what = "the namespaces of the container: mnt, uts, ipc and net";
    let seen = if container.len() < kinds.len() {
        done.stderr.trim().to_owned()
    } else {
        format!("shared: {}", shared.join(" "))
    };
    that(container.len() == kinds.len() && shared.is_empty(), what, "none is the host's", seen)
}
