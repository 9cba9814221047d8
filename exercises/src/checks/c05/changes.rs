//! An overlay is written to, and the learner's program tells from its upper directory what happened.

use super::overlay::on_overlay;
use crate::Failure;
use crate::check::{Check, Verdict, that};
use crate::lab::Lab;

pub const CHECKS: [Check; 5] = [
    Check::new("what is added and changed", added).points(2),
    Check::new("what is deleted", deleted),
    Check::new("directories that were made again", again).points(2),
    Check::new("directories in those", deeper),
    Check::new("what was only copied up", copied),
];

/// Makes a layer with `before`, changes it with `during`, and compares what the program prints with `expected`. `W`
/// stands for a word that nobody knows before.
fn compare(lab: &Lab, before: &str, during: &str, expected: &[&str], note: &str) -> Verdict {
    let word = lab.nonce();
    let [before, during] = [before, during].map(|script| script.replace('W', &word));
    let after = r#""$PROGRAM" "$PWD/lower" "$PWD/upper""#;
    let done = on_overlay(lab, &before, &during, after, &[])?;
    let mut expected: Vec<_> = expected.iter().map(|line| line.replace('W', &word)).collect();
    let mut seen: Vec<_> = done.stdout.lines().map(str::to_owned).collect();
    expected.sort();
    seen.sort();
    if done.code == 0 && seen == expected {
        return Ok(());
    }
    let what =
        format!("`changes LOWER UPPER`, after: {}", during.lines().map(str::trim).collect::<Vec<_>>().join("; "));
    if done.code == 101 {
        let said =
            done.stderr.lines().find(|line| line.contains("not yet implemented")).map(|_| "`todo!()` is still there");
        let failure = Failure::wrong(what, expected.join("\n"), said.unwrap_or_else(|| done.stderr.trim()));
        return Err(failure.note("The program panicked."));
    }
    let missing: Vec<_> =
        expected.iter().filter(|line| !seen.contains(line)).map(|line| format!("missing  {line}")).collect();
    let more: Vec<_> =
        seen.iter().filter(|line| !expected.contains(line)).take(8).map(|line| format!("too much {line}")).collect();
    let mut told = [missing, more].concat();
    if done.code != 0 {
        told.push(format!("exit code {}: {}", done.code, done.stderr.trim()));
    }
    that(false, &what, expected.join("\n"), told.join("\n")).map_err(|failure| failure.note(note))
}

fn added(lab: &Lab) -> Verdict {
    compare(
        lab,
        "mkdir etc quiet; echo old > etc/W; echo old > etc/mode; echo old > etc/same; echo old > quiet/file",
        "echo more >> etc/W
         chmod 600 etc/mode
         mkdir -p new/W; echo new > new/W/file
         mkdir -p /tmp/outside/W; ln -s /tmp/outside new/link",
        &["C /etc", "C /etc/W", "C /etc/mode", "A /new", "A /new/W", "A /new/W/file", "A /new/link"],
        "A directory that the layer has is changed if there is a line for something in it. What the layer does not \
         have is added, with all that is in it; and a link is not followed: it is a thing of its own.",
    )
}

fn deleted(lab: &Lab) -> Verdict {
    compare(
        lab,
        "mkdir -p etc whole/sub; echo old > etc/W; echo old > etc/kept; echo old > whole/W; echo old > whole/sub/file",
        "rm etc/W
         rm -r whole",
        &["C /etc", "D /etc/W", "D /whole"],
        "A character device 0:0 says that nothing is there any more. What was in a deleted directory is not listed.",
    )
}

/// A layer with a directory that is going to be made again.
const LAYER: &str = "mkdir -p data/sub; echo old > data/W; echo old > data/same; echo old > data/sub/old";

fn again(lab: &Lab) -> Verdict {
    compare(
        lab,
        LAYER,
        "rm -r data; mkdir data; echo new > data/W; echo new > data/new",
        &["C /data", "C /data/W", "D /data/same", "D /data/sub", "A /data/new"],
        "An opaque directory hides what the layer has at its place: the names that it has not itself are deleted. In \
         the room its mark is the attribute user.overlay.opaque.",
    )
}

fn deeper(lab: &Lab) -> Verdict {
    compare(
        lab,
        LAYER,
        "rm -r data; mkdir -p data/sub; echo new > data/sub/W",
        &["C /data", "D /data/W", "D /data/same", "C /data/sub", "A /data/sub/W", "D /data/sub/old"],
        "What is hidden is hidden down to the bottom: a directory in an opaque one has no mark of its own, and what \
         the layer has at its place is just as gone.",
    )
}

fn copied(lab: &Lab) -> Verdict {
    compare(
        lab,
        "mkdir quiet; echo old > quiet/W",
        ": >> quiet/W
         echo new > W",
        &["A /W"],
        "The file was opened for writing, and nothing was written: it was copied up, with its directory, and is what \
         it was. That something stands in the upper directory does not say that it has changed.",
    )
}
