//! A root with an open door: what a shell in it reaches by a relative path.

use super::root;
use crate::check::{Check, Verdict, same, that};
use crate::lab::{Lab, Output, WORK};

pub const CHECKS: [Check; 3] = [
    Check::new("nothing outside is reached by a relative path", reach).beside("the command runs in the root").points(2),
    Check::new("it stands in /", stand),
    Check::new("the command runs in the root", honest),
];

/// Runs a shell's script in a root, by the learner's program, from a directory deep down.
fn shell(lab: &Lab, path: &str, script: &str, word: &str) -> Result<Output, crate::Failure> {
    root(&lab.work().join("a/root"), &["sh", "cat"])?;
    lab.file("a/b/c/other", "")?;
    lab.sh("cd a/b/c && exec \"$PROGRAM\" \"$@\"", &[path, "sh", "-c", script, word])
}

/// What it has said, or what it complained of if that was all.
fn said(done: &Output) -> &str {
    if done.stdout.trim().is_empty() { done.stderr.trim() } else { done.stdout.trim() }
}

fn reach(lab: &Lab) -> Verdict {
    let (name, secret) = (lab.nonce(), lab.nonce());
    lab.file(&format!("a/{name}"), format!("{secret}\n"))?;
    let script = r#"
        for up in . .. ../.. ../../.. ../../../..; do
            for path in "$up/$0" "$up/a/$0" "$up/lab/work/a/$0"; do
                if cat "$path" 2>&-; then echo "read as $path"; exit; fi
            done
        done
        echo nothing"#;
    let done = shell(lab, &format!("{WORK}/a/root"), script, &name)?;
    let what = format!("a shell in the root looks for {WORK}/a/{name}, which lies outside of it, by relative paths");
    let seen = said(&done);
    let note = "the program is standing outside its root. chroot moves the root of a process and nothing else; and \
                before chroot `/` is still the host's";
    that(!done.stdout.contains(&secret), &what, "nothing", seen).map_err(|failure| failure.note(note))
}

fn stand(lab: &Lab) -> Verdict {
    let done = shell(lab, &format!("{WORK}/a/root"), "unset PWD; pwd -P", "-")?;
    let seen = said(&done);
    let note = "inside the new root the path of that root means something else; and getcwd(2) says (unreachable), or \
                fails, where a process stands outside its root";
    same("`pwd -P` in the new root", "/", seen).map_err(|failure| failure.note(note))
}

fn honest(lab: &Lab) -> Verdict {
    let (word, code) = (lab.nonce(), lab.number(2, 250));
    lab.file("a/marker", "outside\n")?;
    let script = format!("read line < /marker; echo \"$line $0\"; exit {code}");
    root(&lab.work().join("a/root"), &["sh", "cat"])?;
    lab.file("a/root/marker", "inside\n")?;
    lab.file("a/b/c/other", "")?;
    for path in [format!("{WORK}/a/root"), "../../root".into()] {
        let arguments = [path.as_str(), "sh", "-c", &script, &word];
        let done = lab.sh("cd a/b/c && exec \"$PROGRAM\" \"$@\"", &arguments)?;
        let seen = said(&done);
        same(&format!("what /marker and the arguments are, with {path} as the root"), format!("inside {word}"), seen)
            .map_err(|failure| failure.note("inside the new root the path of that root means something else"))?;
        same("the exit code", i64::from(code), i64::from(done.code))?;
    }
    Ok(())
}
