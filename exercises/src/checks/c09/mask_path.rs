//! A mask that no link leads astray: looked at by programs that know nothing of it.

use crate::check::{Check, Failure, Verdict, same, that};
use crate::lab::{Lab, Output};

pub const CHECKS: [Check; 4] = [
    Check::new("a file reads as empty", file),
    Check::new("a directory is empty, and stays so", directory),
    Check::new("a link in the way", link).points(2),
    Check::new("a path that is not there", missing),
];

/// Runs a script in the room whose first line masks something; fails if that fails.
fn masked(lab: &Lab, paths: &str, script: &str) -> Result<Output, Failure> {
    let script = format!("$PROGRAM /lab/work/root {paths} || exit 99\n{script}");
    let done = lab.sh(&script, &[])?;
    if done.code != 99 {
        return Ok(done);
    }
    let failure = Failure::wrong(format!("`mask_path ROOT {paths}`"), "exit code 0", done.stderr.trim());
    Err(match done.stderr.as_str() {
        said if said.contains("not yet implemented") => failure.note("It still has a todo!()."),
        said if said.contains("ENOENT") => failure.note(
            "A path that is not in this root is to be left out, and the next one is looked at: kernels differ in what \
             /proc has.",
        ),
        _ => failure,
    })
}

fn file(lab: &Lab) -> Verdict {
    let (secret, other) = (lab.nonce(), lab.nonce());
    lab.file("root/etc/key", &secret)?;
    lab.file("root/etc/motd", &other)?;
    let done = masked(lab, "/etc/key", "cat root/etc/key; echo \"[$(cat root/etc/motd)]\"")?;
    let what = "`cat` of the masked file, and of its neighbour in []";
    same(what, format!("[{other}]"), done.stdout.trim().to_owned())
}

fn directory(lab: &Lab) -> Verdict {
    lab.file("root/sys/firmware/table", lab.nonce())?;
    let script = "ls -A root/sys/firmware; : 2>/dev/null > root/sys/firmware/new && echo 'a new file'; true";
    let done = masked(lab, "/sys/firmware", script)?;
    let what = "ls of the masked directory, and whether a file can be made in it";
    that(done.stdout.is_empty(), what, "nothing is there, and nothing can be", done.stdout.trim())
}

fn link(lab: &Lab) -> Verdict {
    let (inside, outside, name) = (lab.nonce(), lab.nonce(), lab.nonce());
    lab.file(&format!("root/lab/work/{name}/key"), &inside)?;
    lab.file(&format!("{name}/key"), &outside)?;
    let symlink = |to: String, at: &str| {
        let made = std::os::unix::fs::symlink(to, lab.work().join("root").join(at));
        made.map_err(|error| Failure::Machine(format!("symlink: {error}")))
    };
    symlink(format!("/lab/work/{name}"), "app")?;
    symlink(format!("../../../lab/work/{name}/key"), "last")?;
    for path in ["/app/key", "/last"] {
        let script = format!("cat root/lab/work/{name}/key; echo; cat {name}/key");
        let done = masked(lab, path, &script)?;
        let what = format!(
            "in the root, {path} leads to /lab/work/{name}/key by a link; `mask_path ROOT {path}`, then `cat` of that \
             file inside the root, and of the host's file of that name"
        );
        let seen = done.stdout.trim_end().split_once('\n').unwrap_or((done.stdout.trim(), ""));
        let told = |text: &str| if text.is_empty() { "empty".to_owned() } else { format!("{text:?}") };
        let (ours, hosts) = (told(seen.0), told(seen.1));
        that(
            seen == ("", outside.as_str()),
            &what,
            format!("empty; the host's is {outside:?}"),
            format!("{ours}; the host's is {hosts}"),
        )
        .map_err(|failure| {
            failure.note(if seen.1.is_empty() {
                "You covered the wrong file: a link in an image means a place in that image, whoever follows it."
            } else {
                "What the container finds there is not covered."
            })
        })?;
    }
    Ok(())
}

fn missing(lab: &Lab) -> Verdict {
    lab.file("root/etc/key", lab.nonce())?;
    let script = "cat root/etc/key; test ! -e root/no || echo 'and /no was made'";
    let done = masked(lab, "/no/such/path /etc/key", script)?;
    same("`cat` of the masked file after one that is not there", "", done.stdout.trim())
}
