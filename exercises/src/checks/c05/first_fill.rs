//! An image whose links lead out of it, and the first fill of a volume from it.

use crate::Failure;
use crate::check::{Check, Verdict, same, that};
use crate::lab::{Lab, Output};

pub const CHECKS: [Check; 4] = [
    Check::new("the attack brings the secret into a volume", attack).points(2),
    Check::new("no link in the directory leads out", inside).points(2),
    Check::new("no link on the way to the directory leads out", on_the_way).points(2),
    Check::new("what an honest image has gets there", honest).points(2),
];

/// An image, a volume, and a directory of the host with a secret, all in the room's /tmp. `secret` writes the file.
const PLACES: &str = r#"
cd /tmp && mkdir image volume host && word=$1
secret() { echo "$word" > host/secret; }
"#;

fn run(lab: &Lab, script: &str, word: &str) -> Result<Output, Failure> {
    lab.sh(&format!("{PLACES}{script}"), &[word])
}

fn said(done: &Output) -> String {
    let said = [done.stdout.trim(), done.stderr.trim()].join(" ");
    if said.trim().is_empty() { format!("exit code {}", done.code) } else { said.trim().to_owned() }
}

fn attack(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    // The fill as it was before it was mended, by a program that follows links too; PATH is /data, by hand.
    let script = r#"
        "$PROGRAM" bait /tmp/image /tmp/host/secret || exit
        secret
        cp -rL image/data/. volume || exit
        grep -rhx "$word" volume || { echo "in the volume: $(ls -A volume)"; exit 1; }
    "#;
    let done = run(lab, script, &word)?;
    let what =
        "a volume that an open fill (`cp -rL IMAGE/data/. VOLUME`) has filled from the image of `first_fill bait`";
    that(done.code == 0 && done.stdout.trim() == word, what, &word, said(&done)).map_err(|failure| {
        failure.note(
            "You have not got the file, and need not: the engine reads it for you, if the image says where it is and \
             the engine follows.",
        )
    })
}

/// Fills volumes from images, each made by a script; looks in each volume for the secret, and for a plain file that the
/// image has at that place.
fn search(lab: &Lab, images: &[&str], what: &str, note: &str) -> Verdict {
    let word = lab.nonce();
    let trial = |image: &&str| {
        format!(
            "rm -rf image volume; mkdir image volume; {image}\n\
             timeout 5 \"$PROGRAM\" fill /tmp/image /data /tmp/volume > said 2>&1\n\
             if test \"$(find volume -type f -exec grep -l \"$word\" {{}} +)\"; then echo the secret of the host\n\
             elif grep -qx plain volume/plain; then echo the plain file; else echo \"nothing: $(cat said)\"; fi\n"
        )
    };
    let done = run(lab, &format!("secret\n{}", images.iter().map(trial).collect::<String>()), &word)?;
    let expected = images.iter().map(|_| "the plain file").collect::<Vec<_>>().join("\n");
    same(what, expected, done.stdout.trim().to_owned()).map_err(|failure| failure.note(note))
}

fn inside(lab: &Lab) -> Verdict {
    let images = [
        "mkdir image/data && echo plain > image/data/plain && ln -s /tmp/host/secret image/data/absolute",
        "mkdir -p image/data/d && echo plain > image/data/plain && ln -s ../../../host/secret image/data/d/relative",
        "mkdir image/data && echo plain > image/data/plain && ln -s /tmp/host image/data/directory",
    ];
    let what = "what got into the volume, from three directories with a plain file and a link to something of the host";
    let note = "Reading by a path follows the link that stands there; lstat(2) tells that it is one. A link is copied \
                as the link that it is.";
    search(lab, &images, what, note)
}

fn on_the_way(lab: &Lab) -> Verdict {
    let images = [
        "ln -s /tmp/host image/data && mkdir -p image/tmp/host && echo plain > image/tmp/host/plain",
        "mkdir image/x image/host && echo plain > image/host/plain && ln -s ../../host image/x/y; ln -s x/y image/data",
    ];
    let what =
        "what got into the volume, from two images whose /data is a link; in the container it leads to a plain file";
    let note = "Also the links in PATH are followed by whoever opens it: the engine does that on the host, where `/` \
                is the host's, and `..` leads past the image. In the container they lead elsewhere.";
    search(lab, &images, what, note)
}

fn honest(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    // Two volumes: one from a plain directory, one over links that are meant for the container's root.
    let script = r#"
        mkdir -p image/data/deep/er image/srv/real
        echo "$word" > image/data/deep/er/file; echo "$word" > image/srv/real/file
        ln -s deep/er/file image/data/near; ln -s /no/such/file image/data/far; ln -s /srv image/link
        "$PROGRAM" fill /tmp/image /data /tmp/volume || exit
        mkdir second && "$PROGRAM" fill /tmp/image /link/real /tmp/second || exit
        cat volume/deep/er/file second/file; readlink volume/near volume/far
        true
    "#;
    let done = run(lab, script, &word)?;
    let expected = format!("{word}\n{word}\ndeep/er/file\n/no/such/file");
    let what =
        "two volumes: /data/deep/er/file, and over the link /link -> /srv, /link/real/file; where two links lead";
    that(done.code == 0 && done.stdout.trim() == expected, what, &expected, said(&done)).map_err(|failure| {
        failure.note(
            "A link in the directory is copied as the link that it is, also if it leads nowhere. A link in PATH is \
             followed as the container will follow it: its `/` is the image.",
        )
    })
}
