//! A tree of mounts, read-only through and through.

use super::super::c03::watch::Watched;
use crate::Failure;
use crate::check::{Check, Verdict, same};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("the top cannot be written", top),
    Check::new("nothing below can be written", below).points(2),
    Check::new("all that is mounted below is seen", seen),
    Check::new("the host can write everywhere", host),
];

/// Three file systems, each mounted in the one before, with a file in the innermost; and a place for the bind.
const HOST: &str = r#"
mkdir /tmp/from /tmp/to && mount -t tmpfs one /tmp/from && mkdir /tmp/from/two && mount -t tmpfs two /tmp/from/two
mkdir /tmp/from/two/three && mount -t tmpfs three /tmp/from/two/three && cp /lab/work/word /tmp/from/two/three/word
"#;

/// Where those are in the container.
const PLACES: [&str; 3] = ["/tmp/to", "/tmp/to/two", "/tmp/to/two/three"];

/// The engine at work; the shell beside it goes on with `look`. `inside` runs a command among the container's mounts.
fn start(lab: &Lab, word: &str, look: &str) -> Result<Watched, Failure> {
    lab.file("word", format!("{word}\n"))?;
    let number = format!("300.{}", lab.number(1, 999_999));
    let look = format!("inside() {{ nsenter --target \"$pid\" --mount \"$@\"; }}\n{look}");
    Watched::start(lab, HOST, &look, &["/tmp/from", "/tmp/to", "sleep", &number], &number)
}

/// Which of the places can be written, by touch(1): `PLACE writable` or `PLACE read-only`.
fn writable(lab: &Lab, enter: &str, places: &[&str]) -> Result<String, Failure> {
    let trial = |place: &&str| {
        format!(
            "if {enter} touch {place}/new 2> /dev/null; then echo {place} writable; else echo {place} read-only; fi\n"
        )
    };
    let lines = start(lab, "word", &places.iter().map(trial).collect::<String>())?.look()?;
    Ok(lines.join("\n"))
}

fn top(lab: &Lab) -> Verdict {
    same("touch(1) in the container, at TO", format!("{} read-only", PLACES[0]), writable(lab, "inside", &PLACES[..1])?)
}

fn below(lab: &Lab) -> Verdict {
    let note = "Read-only is a matter of each mount: a change of one mount is not a change of those below it, also not \
                with MS_REC, which a remount ignores. One call changes a whole tree.";
    let expected = PLACES.map(|place| format!("{place} read-only")).join("\n");
    let result =
        same("touch(1) in the container, at TO and the mounts below it", expected, writable(lab, "inside", &PLACES)?);
    result.map_err(|failure| failure.note(note))
}

fn seen(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    let lines = start(lab, &word, "inside cat /tmp/to/two/three/word 2>&1")?.look()?;
    same("a file in the innermost mount, read in the container below TO", word, lines.join("\n")).map_err(|failure| {
        failure.note(
            "Where that mount should be there is an empty directory: the bind mount did not bring along what is \
             mounted below its source.",
        )
    })
}

fn host(lab: &Lab) -> Verdict {
    let places = PLACES.map(|place| place.replace("/tmp/to", "/tmp/from"));
    let places = places.each_ref().map(String::as_str);
    let expected = places.map(|place| format!("{place} writable")).join("\n");
    let seen = writable(lab, "", &places)?;
    same("touch(1) on the host, at FROM and below, while the container runs", expected, seen).map_err(|failure| {
        failure.note(
            "The same file system is mounted in both places. A remount without MS_BIND changes not the mount but what \
             is mounted: the file system itself was made read-only.",
        )
    })
}
