//! A tree of mounts, read-only through and through.

use crate::Failure;
use crate::check::{Check, Verdict, same, that};
use crate::lab::{Lab, Output, Process};

pub const CHECKS: [Check; 4] = [
    Check::new("the top cannot be written", top),
    Check::new("nothing below can be written", below).points(2),
    Check::new("all that is mounted below is seen", seen),
    Check::new("the host can write everywhere", host),
];

/// Three file systems, each mounted in the one before, with the word `$1` in the innermost; and a place for the bind.
const HOST: &str = r#"
word=$1; shift
mkdir /tmp/from /tmp/to && mount -t tmpfs one /tmp/from && mkdir /tmp/from/two && mount -t tmpfs two /tmp/from/two
mkdir /tmp/from/two/three && mount -t tmpfs three /tmp/from/two/three && echo "$word" > /tmp/from/two/three/word
"#;

/// Where those are in the container.
const PLACES: [&str; 3] = ["/tmp/to", "/tmp/to/two", "/tmp/to/two/three"];

/// Runs `container` in a container of the engine, then `host` beside it.
fn run(lab: &Lab, word: &str, container: &str, host: &str) -> Result<Output, Failure> {
    let script = format!("{HOST}\n\"$PROGRAM\" /tmp/from /tmp/to \"$@\" && {{ {host}\n}}");
    lab.sh(&script, &[word, "/bin/sh", "-c", container])
}

fn ran(done: &Output) -> Result<&Output, Failure> {
    let seen = || format!("exit code {}: {}", done.code, done.stderr.trim());
    if done.code == 0 {
        Ok(done)
    } else {
        Err(Failure::wrong("a program in the engine's container", "it runs", seen()))
    }
}

/// Who can write where: `PLACE writable` or `PLACE read-only`.
fn writable(lab: &Lab, places: &[&str]) -> Result<String, Failure> {
    let trial = |place: &&str| {
        format!("if touch {place}/new 2> /dev/null; then echo {place} writable; else echo {place} read-only; fi; ")
    };
    let done = run(lab, "word", &places.iter().map(trial).collect::<String>(), "true")?;
    Ok(ran(&done)?.stdout.trim().to_owned())
}

fn top(lab: &Lab) -> Verdict {
    same("touch(1) at TO", format!("{} read-only", PLACES[0]), writable(lab, &PLACES[..1])?)
}

fn below(lab: &Lab) -> Verdict {
    let expected = PLACES.map(|place| format!("{place} read-only")).join("\n");
    let result = same("touch(1) at TO, and at the mounts below it", expected, writable(lab, &PLACES)?);
    let note = "Read-only is a matter of each mount: a change of one mount is not a change of those below it, also not \
                with MS_REC, which a remount ignores. One call changes a whole tree.";
    result.map_err(|failure| failure.note(note))?;
    // Also what nobody has tried to write to: the kernel's table says it of each mount.
    let word = format!("300.{}", lab.number(1, 999_999));
    let mut running = lab.start_sh(
        &format!("{HOST}\nexec \"$PROGRAM\" /tmp/from /tmp/to \"$@\""),
        &["word", "/bin/sh", "-c", &format!("exec sleep {word}")],
    )?;
    let found = running.wait_for("a container that runs `sleep`", |running| {
        running.processes().into_iter().find(|process| process.argv == ["sleep", &word])
    })?;
    let writable = writable_mounts(&found);
    let seen = format!("rw at {}", writable.join(" "));
    let what = "the options in /proc/PID/mountinfo of the container, for TO and the mounts below it";
    that(writable.is_empty(), what, "ro", seen).map_err(|failure| failure.note(note))
}

/// Those of `PLACES` whose mount is not read-only, from mountinfo.
fn writable_mounts(process: &Process) -> Vec<String> {
    let table = process.read("mountinfo").unwrap_or_default();
    let lines = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let (place, options) = (fields.next()?, fields.next()?);
        (PLACES.contains(&place) && !options.split(',').any(|option| option == "ro")).then(|| place.to_owned())
    });
    lines.collect()
}

fn seen(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    let done = run(lab, &word, "cat /tmp/to/two/three/word || true", "true")?;
    let said = if ran(&done)?.stdout.is_empty() { done.stderr.trim() } else { done.stdout.trim() };
    same("a file in the innermost mount, as the container reads it below TO", word, said.to_owned()).map_err(|failure| {
        failure.note(
            "Where that mount should be there is an empty directory: the bind mount did not bring along what is mounted \
             below its source.",
        )
    })
}

fn host(lab: &Lab) -> Verdict {
    let places = ["/tmp/from", "/tmp/from/two", "/tmp/from/two/three"];
    // The container waits until the host has tried.
    let container = "echo up > /tmp/up; read -r line < /tmp/down";
    let trial = |place: &str| format!("touch {place}/new || echo {place}; ");
    let script = format!(
        "{HOST}\nmkfifo /tmp/up /tmp/down\n{{ \"$PROGRAM\" /tmp/from /tmp/to \"$@\" || echo > /tmp/up; }} &\n\
         read -r line < /tmp/up; test \"$line\" || exit 1; {} echo > /tmp/down; wait",
        places.map(trial).concat()
    );
    let done = lab.sh(&script, &["word", "/bin/sh", "-c", container])?;
    let refused = ran(&done)?.stdout.trim();
    let seen = if refused.is_empty() { "it can" } else { done.stderr.trim() };
    that(refused.is_empty(), "touch(1) on the host, at FROM and below, while the container runs", "it can", seen).map_err(
        |failure| {
            failure.note(
                "The same file system is mounted in both places. A remount without MS_BIND changes not the mount but what \
                 is mounted: the file system itself was made read-only.",
            )
        },
    )
}
