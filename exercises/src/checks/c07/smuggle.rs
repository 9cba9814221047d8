//! Archives that lead out of the directory that they are unpacked into.

use super::archive::{Archive, tree};
use crate::check::{Check, Failure, Verdict, same};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("the archive gets out of the naive unpacker", breaks).points(2),
    Check::new("no archive gets out of the careful one", closed).beside("honest archives are unpacked").points(3),
    Check::new("honest archives are unpacked", honest),
];

fn breaks(lab: &Lab) -> Verdict {
    let (name, word) = (lab.nonce(), lab.nonce());
    let script = r#"
        "$PROGRAM" make "/lab/work/outside/$1" "$2" > evil.tar || exit
        mkdir outside root
        "$PROGRAM" naive root < evil.tar"#;
    let done = lab.sh(script, &[&name, &word])?;
    let expected = format!("{name} = {word}");
    let seen = tree(&lab.work().join("outside"));
    if seen == expected {
        return Ok(());
    }
    let seen = format!("{seen}\nexit code {}: {}", done.code, done.stderr.trim());
    let note = match (done.code, done.stderr.contains("leads out")) {
        (101, _) => "There is still a todo!() in it, or it panics.",
        (_, true) => "The naive unpacker refuses names with `..` and absolute ones. A link's target may be anything.",
        _ => "FILE is an absolute path, and may be anywhere. Look at what was made in ROOT.",
    };
    Err(Failure::wrong("the directory outside, after `make` and `naive`", expected, seen).note(note))
}

/// Hostile archives; each is unpacked beside a directory `outside` that holds `secret`.
fn hostile(word: &str) -> [(&'static str, Archive); 8] {
    // The first of them, so directory 0.
    let outside = "/lab/work/0/outside";
    let new = Archive::default;
    [
        ("a link to a directory outside, and a file through it", new().link("d", outside).file("d/secret", word)),
        ("a relative link that leads out, and a file through it", new().link("d", "../outside").file("d/secret", word)),
        (
            "a link to a link, and a new file through both",
            new().link("a", "b").link("b", "../outside").file("a/n", word),
        ),
        ("a directory through a link", new().link("d", "../outside").directory("d/made")),
        ("a link through a link", new().link("d", "../outside").link("d/made", "/")),
        ("a file whose name is a link already", new().link("f", "../outside/secret").file("f", word)),
        (
            "a hard link to a file outside, by way of a link, and then a file of that name",
            new().link("d", "../outside").hard_link("h", "d/secret").file("h", word),
        ),
        ("a hard link made through a link", new().file("f", word).link("d", "../outside").hard_link("d/made", "f")),
    ]
}

/// What most often lets such an archive pass.
fn note(what: &str) -> &'static str {
    if what.contains("hard link to") {
        "A path is followed for a hard link's target too; and a hard link to a file outside is that file, for whoever \
         reads or writes it."
    } else if what.contains("name is a link") {
        "A file is written through a link also if it is the last part of its path."
    } else if what.contains("relative") {
        "Where a link points does not matter, a relative link leads out as well: what matters is whether it is followed."
    } else {
        "Look at every part of a path before something is made there: is one of them a link?"
    }
}

fn closed(lab: &Lab) -> Verdict {
    let (word, secret) = (lab.nonce(), lab.nonce());
    let mut count = 0;
    for (number, (_, archive)) in hostile(&word).into_iter().enumerate() {
        lab.file(&format!("{number}.tar"), archive.bytes())?;
        count = number + 1;
    }
    let script = r#"
        n=0; while [ $n -lt $1 ]; do
            mkdir -p $n/outside $n/root; printf %s "$2" > $n/outside/secret
            "$PROGRAM" careful $n/root < $n.tar 2> $n/said
            n=$((n+1))
        done"#;
    lab.sh(script, &[&count.to_string(), &secret])?;
    for (number, (what, _)) in hostile(&word).into_iter().enumerate() {
        let place = lab.work().join(number.to_string());
        let [outside, root] = ["outside", "root"].map(|name| tree(&place.join(name)));
        same(&format!("the directory outside, after {what}"), format!("secret = {secret}"), outside)
            .map_err(|failure| failure.note(note(what)))?;
        if root.contains(&secret) {
            let what_root = format!("ROOT, after {what}");
            return Err(Failure::wrong(what_root, "not the contents of the file outside", root).note(note(what)));
        }
    }
    // Those that the given code refuses must not come back.
    let up = Archive::default().file("../outside/secret", &word).bytes();
    lab.file("up.tar", up)?;
    lab.sh(r#"mkdir outside root; "$PROGRAM" careful root < up.tar"#, &[])?;
    same("the directory outside, after a name with `..`", "(nothing)".to_owned(), tree(&lab.work().join("outside")))
}

fn honest(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    let archive = Archive::default().directory("usr").directory("usr/lib").file("usr/lib/one", &word);
    let archive = archive.link("lib", "usr/lib").link("usr/sh", "/usr/bin/sh").link("usr/lib/up", "../../top");
    lab.file("honest.tar", archive.file("top", &word).hard_link("usr/second", "usr/lib/one").bytes())?;
    let done = lab.sh(r#"mkdir root; "$PROGRAM" careful root < honest.tar"#, &[])?;
    let expected = [
        "lib -> usr/lib",
        &format!("top = {word}"),
        "usr/",
        "usr/lib/",
        &format!("usr/lib/one = {word}"),
        "usr/lib/up -> ../../top",
        &format!("usr/second = {word}"),
        "usr/sh -> /usr/bin/sh",
    ];
    let seen = tree(&lab.work().join("root"));
    if seen == expected.join("\n") && done.code == 0 {
        return Ok(());
    }
    let seen = format!("{seen}\nexit code {}: {}", done.code, done.stderr.trim());
    let note = "To make a link is harmless, wherever it leads: the links of honest images lead up and to absolute paths, and \
                mean the container's own. To follow one is not harmless.";
    Err(Failure::wrong("ROOT, after an honest archive", expected.join("\n"), seen).note(note))
}
