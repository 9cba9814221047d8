//! A key is taken out of a neighbour through /proc; then the engine's containers must be safe from that.

use super::watch::Watched;
use crate::Failure;
use crate::check::{Check, Verdict, that};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("the attack finds the neighbour's key", attack).points(2),
    Check::new("the engine's containers do not", closed).points(2),
    Check::new("an honest program finds itself in /proc", honest),
    Check::new("the other namespaces are still its own", apart),
];

/// A container with a key in a tmpfs of its own, and in nobody's arguments or variables.
const NEIGHBOUR: &str = r#"
mkfifo /tmp/up
unshare --mount --uts --ipc --net /bin/sh -c '
    mount -t tmpfs neighbour /run && cat /lab/work/key > /run/key && rm /lab/work/key
    echo up > /tmp/up && exec sleep 300
' &
read -r line < /tmp/up
"#;

/// The user namespace is entered only if it is another one: nobody may enter his own once more.
const INSIDE: &str = r#"
user='--user --preserve-credentials'
test "$(readlink /proc/self/ns/user)" != "$(readlink "/proc/$pid/ns/user")" || user=
inside() { nsenter --target "$pid" $user --mount --uts --ipc --net --pid "$@"; }
"#;

/// The engine beside that neighbour; the shell goes on with `look`. `inside` runs a command in the engine's container.
fn start(lab: &Lab, key: &str, look: &str) -> Result<(Watched, String), Failure> {
    lab.file("key", format!("{key}\n"))?;
    let word = format!("300.{}", lab.number(1, 999_999));
    let look = format!("{INSIDE}\n{look}");
    Ok((Watched::start(lab, NEIGHBOUR, &look, &["run", "sleep", &word], &word)?, word))
}

fn attack(lab: &Lab) -> Verdict {
    let key = lab.nonce();
    lab.file("key", format!("{key}\n"))?;
    // A container as the engine made it before it was mended; a few processes stand between it and the neighbour.
    let script = r#"sleep 300 & sleep 300 & unshare --mount --uts --ipc --net "$PROGRAM" steal"#;
    let done = lab.sh(&format!("{NEIGHBOUR}{script}"), &[])?;
    let what = "what `neighbour steal` says, in a container that shares the PID namespace with its neighbour";
    let seen = if done.stdout.trim().is_empty() { done.stderr.trim() } else { done.stdout.trim() };
    that(done.stdout.trim() == key, what, &key, seen).map_err(|failure| {
        failure.note(
            "The key lies on a mount that your container does not have, so /run/key is not it. But the neighbour's \
             process is in your /proc, by any number, and /proc/PID/root is what that process has as its root.",
        )
    })
}

fn closed(lab: &Lab) -> Verdict {
    let key = lab.nonce();
    let look =
        "inside sh -c 'for process in /proc/[0-9]*; do cat $process/root/run/key; done; echo searched' 2> /dev/null";
    let lines = start(lab, &key, look)?.0.look()?;
    let found = lines.contains(&key);
    let searched = lines.iter().any(|line| line == "searched");
    let seen = match (found, searched) {
        (true, _) => "the neighbour's key",
        (false, true) => "no key",
        (false, false) => "no shell can run in this container",
    };
    let what = "`cat /proc/PID/root/run/key` for every process of /proc, in a container of this engine";
    that(!found && searched, what, "no key", seen).map_err(|failure| {
        failure.note(
            "The container still sees the neighbour's processes, and may look into them. With CLONE_NEWPID it has \
             process numbers of its own; but an instance of /proc shows the namespace of whoever mounted it, so the \
             new namespace needs a new one.",
        )
    })
}

fn honest(lab: &Lab) -> Verdict {
    // A shell in the container looks for itself, then for the container's program, by the numbers that they have there.
    let look = r#"inside sh -c 'cd -P /proc/self/ && test "${PWD#/proc/}" = $$ && echo itself'
        inside sh -c 'cat /proc/[0-9]*/cmdline' 2> /dev/null | tr '\0' '\n' | grep -x '300[.][0-9]*' | sort -u"#;
    let (watched, word) = start(lab, "key", look)?;
    let seen = watched.look()?.join("\n");
    let holds = seen.lines().next() == Some("itself") && seen.lines().any(|line| line == word);
    let what =
        format!("/proc in a container: a shell looks for itself, and for the container's program, `sleep {word}`");
    that(holds, &what, format!("itself\n{word}"), if seen.is_empty() { "nothing" } else { &seen }).map_err(|failure| {
        failure.note(
            "An honest program needs /proc: ps, top and many a runtime read it. It has to be there, and to show the \
             container's own processes by their own numbers.",
        )
    })
}

fn apart(lab: &Lab) -> Verdict {
    let (watched, _) = start(lab, "key", "")?;
    let engine = crate::lab::Process { pid: watched.process.parent, ..watched.process.clone() };
    let kinds = ["mnt", "uts", "ipc", "net"];
    let shared: Vec<_> =
        kinds.into_iter().filter(|kind| watched.process.namespace(kind) == engine.namespace(kind)).collect();
    let seen = format!("the engine's own: {}", shared.join(", "));
    that(shared.is_empty(), "the mnt, uts, ipc and net namespaces of the container", "none is the engine's own", seen)
}
