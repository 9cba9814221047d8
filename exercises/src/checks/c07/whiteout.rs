//! Layers applied to a directory, compared as trees.

use super::archive::{Archive, tree};
use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("what a layer adds and replaces", adds),
    Check::new("a whiteout hides what is below", hides),
    Check::new("a whiteout and an entry of the same name in one layer", anew).points(2),
    Check::new("an opaque mark, wherever it stands", opaque).points(2),
];

const STAYS: &str = "A mark speaks of lower layers only: entries of the same layer stay, whether they stand before the mark \
                     or after it.";

/// Two layers for a root of their own.
struct Case {
    what: &'static str,
    layers: [Archive; 2],
    /// The tree that comes of it, in the order of names.
    expected: Vec<String>,
    note: &'static str,
}

/// Applies all cases in one room, each to an empty directory.
fn applied(lab: &Lab, cases: Vec<Case>) -> Verdict {
    let mut results = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        for (layer, archive) in case.layers.into_iter().enumerate() {
            lab.file(&format!("{number}-{layer}.tar"), archive.bytes())?;
        }
        results.push((case.what, case.expected.join("\n"), case.note));
    }
    let script = r#"
        n=0; while [ $n -lt $1 ]; do
            mkdir root-$n
            for layer in 0 1; do
                "$PROGRAM" root-$n < $n-$layer.tar 2> said-$n || { echo $? > code-$n; break; }
            done
            n=$((n+1))
        done"#;
    lab.sh(script, &[&results.len().to_string()])?;
    for (number, (what, expected, note)) in results.into_iter().enumerate() {
        let read = |name: &str| lab.read(format!("{name}-{number}")).unwrap_or_default();
        let code = read("code");
        let seen = tree(&lab.work().join(format!("root-{number}")));
        if !code.is_empty() {
            let said = format!("exit code {}: {}", code.trim(), read("said").trim());
            let note = if code.trim() == "101" { "There is still a todo!() in it, or it panics." } else { note };
            return Err(Failure::wrong(what, "two layers applied, exit code 0", said).note(note));
        }
        if seen != expected {
            return Err(Failure::wrong(format_args!("the directory after {what}"), expected, seen).note(note));
        }
    }
    Ok(())
}

fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).to_vec()
}

fn adds(lab: &Lab) -> Verdict {
    let word = &lab.nonce();
    let below = Archive::default().directory("etc/").file("etc/name", "old").file("etc/kept", word);
    let above = Archive::default().file("./etc/name", word).link("link", "etc/name").file("deep/er/file", word);
    let adds = Case {
        what: "a layer that adds files and replaces one",
        layers: [below, above],
        expected: lines([
            "deep/",
            "deep/er/",
            &format!("deep/er/file = {word}"),
            "etc/",
            &format!("etc/kept = {word}"),
            &format!("etc/name = {word}"),
            "link -> etc/name",
        ]),
        note: "Entries without a mark are added; add() does it.",
    };
    let below = Archive::default().directory("a").file("a/old", "old").file("b", "old");
    let kinds = Case {
        what: "a file in place of a directory, and a directory in place of a file",
        layers: [below, Archive::default().file("a", word).directory("b").file("b/new", word)],
        expected: lines([&format!("a = {word}"), "b/", &format!("b/new = {word}")]),
        note: "add() removes what is in the way.",
    };
    applied(lab, vec![adds, kinds])
}

fn hides(lab: &Lab) -> Verdict {
    let word = &lab.nonce();
    let below = || {
        let archive = Archive::default().directory("a").file("a/name", "old").file(&format!("a/name{word}"), "other");
        archive.file("a/x.wh.name", "no mark").directory("a/dir").file("a/dir/deep/file", "old").file("top", "old")
    };
    let stays = [format!("a/name{word} = other"), "a/x.wh.name = no mark".to_owned()];
    let file = Case {
        what: "a whiteout for one file",
        layers: [below(), Archive::default().file("a/.wh.name", "")],
        expected: [
            lines(["a/", "a/dir/", "a/dir/deep/", "a/dir/deep/file = old"]),
            stays.to_vec(),
            lines(["top = old"]),
        ]
        .concat(),
        note: "It hides one name: others that begin like it stay, only whole names count. The mark itself is not a file of \
               the directory.",
    };
    let directory = Case {
        what: "whiteouts for a directory, and for what is not there",
        layers: [
            below(),
            Archive::default().file("a/.wh.dir", "").file(&format!(".wh.{word}"), "").file(".wh.top", ""),
        ],
        expected: [lines(["a/", "a/name = old"]), stays.to_vec()].concat(),
        note: "A directory goes with all that is in it; and that there is nothing to hide is no error.",
    };
    applied(lab, vec![file, directory])
}

fn anew(lab: &Lab) -> Verdict {
    let word = &lab.nonce();
    let below =
        || Archive::default().file("name", "old").directory("dir").file("dir/old", "old").file("dir/sub/old", "old");
    let before = Case {
        what: "`.wh.name` and then `name`, in one layer",
        layers: [below(), Archive::default().file(".wh.name", "").file("name", word).file(".wh.dir", "")],
        expected: lines([&format!("name = {word}")]),
        note: STAYS,
    };
    let after = Case {
        what: "`name` and then `.wh.name`, in one layer",
        layers: [below(), Archive::default().file("name", word).file(".wh.name", "").file(".wh.dir", "")],
        expected: lines([&format!("name = {word}")]),
        note: STAYS,
    };
    let made = Archive::default().file(".wh.name", "").directory("dir").file("dir/sub/new", word).file(".wh.dir", "");
    let directory = Case {
        what: "`dir/`, `dir/sub/new` and then `.wh.dir`, in one layer",
        layers: [below(), made],
        expected: lines(["dir/", "dir/sub/", &format!("dir/sub/new = {word}")]),
        note: "A directory that was deleted and made anew has what this layer puts into it; what the lower layer had in it \
               is hidden nevertheless, at any depth.",
    };
    applied(lab, vec![before, after, directory])
}

fn opaque(lab: &Lab) -> Verdict {
    let word = &lab.nonce();
    let below = || {
        let archive =
            Archive::default().directory("a").file("a/old", "old").file("a/sub/old", "old").file("a/both", "old");
        archive.link("a/link", "/lab").file(&format!("beside-{word}"), "stays")
    };
    let cases = [0, 1, 2].map(|place| {
        let mut archive = Archive::default().directory("a");
        for step in 0..3 {
            if step == place {
                archive = archive.file("a/.wh..wh..opq", "");
            }
            archive = match step {
                0 => archive.file("a/both", word),
                1 => archive.file("a/sub/new", word),
                _ => archive,
            };
        }
        Case {
            what: ["an opaque mark before the entries", "an opaque mark between them", "an opaque mark behind them"][place],
            layers: [below(), archive],
            expected: lines([
                "a/",
                &format!("a/both = {word}"),
                "a/sub/",
                &format!("a/sub/new = {word}"),
                &format!("beside-{word} = stays"),
            ]),
            note: "An opaque mark hides what lower layers have in the directory, at any depth: entries of the same layer \
                   stay, wherever the mark stands.",
        }
    });
    applied(lab, cases.into())
}
