//! Out of a chroot, and the hole closed: the learner's attack in a chroot of ours, our attack in the learner's root.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::root;
use crate::check::{Check, Failure, Verdict, same, that};
use crate::lab::{Lab, Output, WORK};

pub const CHECKS: [Check; 3] = [
    Check::new("out: a file of the host is read", out).points(2),
    Check::new("in: there is no way out", closed).beside("in: the command runs in the root, as root").points(3),
    Check::new("in: the command runs in the root, as root", honest),
];

/// A root with a shell, an inner root to move the root to, and the learner's program; outside of it a secret.
struct Scene<'a> {
    lab: &'a Lab,
    /// The secret's path in the room.
    path: String,
    secret: String,
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab) -> Result<Self, Failure> {
        let (name, secret) = (lab.nonce(), lab.nonce());
        root(&lab.work().join("root"), &["sh", "cat", "id", "nsenter"])?;
        root(&lab.work().join("root/srv/inner"), &["sh", "cat"])?;
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(lab.work().join("root"), open)
            .map_err(|error| Failure::Machine(format!("chmod: {error}")))?;
        lab.file(&name, format!("{secret}\n"))?;
        Ok(Self { lab, path: format!("{WORK}/{name}"), secret })
    }

    /// Runs a script; the learner's program is in the root as well.
    fn sh(&self, script: &str) -> Result<Output, Failure> {
        self.lab.sh(&format!("cp \"$PROGRAM\" root/climb && {script}"), &[&self.path])
    }

    fn is_out(&self, done: &Output) -> bool {
        done.stdout.contains(&self.secret)
    }
}

fn out(lab: &Lab) -> Verdict {
    let scene = Scene::new(lab)?;
    let done = scene.sh("exec chroot root /climb out \"$1\"")?;
    let seen = format!("{}{}", done.stdout.trim(), done.stderr.trim());
    let note = "`..` ends at the root of the process, if a walk meets it. The working directory must be above the root \
                before you go up";
    that(scene.is_out(&done), "`climb out FILE` in a chroot; FILE lies outside", "the file's text", seen)
        .map_err(|failure| failure.note(note))
}

fn closed(lab: &Lab) -> Verdict {
    let scene = Scene::new(lab)?;
    let attacks = [
        (
            "cat of /..",
            "cat \"/..$0\" \"/../../..$0\"",
            "`/..` of the new root leads to the old one, which is still mounted",
        ),
        (
            "the root moved below the working directory, then cat of ../../..",
            "nsenter --root=/srv/inner --wd=/ sh -c 'cat \"../../../../../../..$0\"' \"$0\"",
            "the root was moved to /srv/inner, a directory that was there already, with the working directory above it. \
             As long as something lies above the root, that way is open",
        ),
        ("your own way out", "/climb out \"$0\"", "what your part one does works in your part two"),
    ];
    // All in one room: each says what it has read.
    let tries: Vec<_> = attacks.iter().map(|(_, attack, _)| attack.replace('\'', "'\\''")).collect();
    let tries = tries.iter().map(|attack| {
        format!("echo \"== $(\"$PROGRAM\" in root sh -c '{attack}' \"$1\" 2> /dev/null | tr '\\n' ' ')\"; ")
    });
    let done = scene.sh(&tries.collect::<String>())?;
    let said: Vec<_> = done.stdout.split("== ").skip(1).collect();
    for ((name, _, note), said) in attacks.iter().zip(&said) {
        let what = format!("a file of the host, read by who is inside: {name}");
        that(!said.contains(&scene.secret), &what, "it is not reached", "its text")
            .map_err(|failure| failure.note(note))?;
    }
    same("attacks that were made", attacks.len(), said.len())
}

fn honest(lab: &Lab) -> Verdict {
    let scene = Scene::new(lab)?;
    let (word, code) = (lab.nonce(), lab.number(2, 250));
    lab.file("root/marker", "inside")?;
    let script = format!(
        "exec \"$PROGRAM\" in root sh -c 'read line < marker; : > /made; echo \"$line $0 $(pwd -P) $(id -u)\"; \
         exit {code}' {word}"
    );
    let done = scene.sh(&script)?;
    let seen = format!("{}{}", done.stdout.trim(), done.stderr.trim());
    let note = "the root must be there as before: to be read, and to be written, with the command in its `/`";
    same("what `marker`, the argument, `pwd -P` and `id -u` are in the root", format!("inside {word} / 0"), seen)
        .map_err(|failure| failure.note(note))?;
    same("the exit code", i64::from(code), i64::from(done.code))
}
