//! "No such file or directory": the file that the learner names is put there, and the program is started again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use process::OrCall;
use rootfs::loader::Loader;

use crate::check::{Check, Failure, Verdict, that};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("kernel", |lab| {
        try_it(lab, &Case { root: "kernel", missing: |path| path.to_string_lossy().contains("/ld-") })
    }),
    Check::new("line", |lab| try_it(lab, &Case { root: "line", missing: |path| path == Path::new("/usr/bin/env") })),
    Check::new("loader", |lab| try_it(lab, &Case { root: "loader", missing: |path| path.ends_with("libc.so.6") })),
];

/// A root, and what it lacks.
struct Case {
    root: &'static str,
    missing: fn(&Path) -> bool,
}

/// The room's root copies the file to where it was named, beside the rest, and runs the program there.
const TRY: &str = "cp -r \"$1\" /tmp/root; mkdir -p \"/tmp/root/${2%/*}\"; cp -L \"$2\" \"/tmp/root/$2\" 2> /dev/null; \
                   exec chroot /tmp/root \"$3\" /hello";

fn try_it(lab: &Lab, case: &Case) -> Verdict {
    let word = lab.nonce();
    let made = make(case, &lab.work().join(case.root), &word);
    let (missing, there) = made.map_err(|error| Failure::Machine(format!("a root for the check: {error}")))?;
    let answer = answer(lab, case.root)?;
    // A name without a path is enough, if it is that of the missing file.
    let named = missing.iter().find(|path| path.file_name().is_some_and(|name| *name == *answer));
    let named = named.cloned().unwrap_or_else(|| PathBuf::from(&answer));
    let note = if there.contains(&named) {
        "the file that you named is there already"
    } else if case.root == "kernel" && answer.contains("libc") {
        "the kernel looks for one file before any library: nobody has asked for a library yet. What does `readelf -l` say?"
    } else if !named.is_absolute() || !named.exists() {
        "this machine has no such file to put there"
    } else {
        "it is still not enough. Who says so: the kernel, the loader, or env?"
    };
    let program = if case.root == "line" { "/bin/hello" } else { "/bin/cat" };
    let done = lab.sh(TRY, &[case.root, &named.to_string_lossy(), program])?;
    let what = format!("the program in the root `{}`, with {answer} put there", case.root);
    let seen = format!("exit code {}: {}{}", done.code, done.stdout.trim(), done.stderr.trim());
    that(done.code == 0 && done.stdout.contains(&word), &what, format!("it says {word}"), seen)
        .map_err(|failure| failure.note(note))
}

fn answer(lab: &Lab, question: &str) -> Result<String, Failure> {
    let done = lab.run(&[])?;
    let mut lines = done.stdout.lines();
    let answer = lines.find_map(|line| line.strip_prefix(question)?.trim_start().strip_prefix('=')).map(str::trim);
    answer.filter(|answer| !matches!(*answer, "" | "?")).map(str::to_owned).ok_or_else(|| {
        let failure = Failure::wrong(format!("your answer to `{question}`"), "a file", "none yet");
        failure.note("`enoent make DIR` makes the three roots for you to look at")
    })
}

/// Makes the root, before anybody else has been there; gives what it left out, and what is there.
fn make(case: &Case, dir: &Path, word: &str) -> process::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let programs: &[&str] = if case.root == "line" { &["/bin/sh", "/usr/bin/env"] } else { &["/bin/cat"] };
    let mut loader = Loader::new(Path::new("/etc/ld.so.conf"));
    let mut files: Vec<PathBuf> = programs.iter().map(PathBuf::from).collect();
    for program in programs {
        files.extend(loader.needs(Path::new(program))?.into_iter().map(|needed| needed.path));
    }
    let (missing, mut there): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| (case.missing)(path));
    for file in &there {
        let to = dir.join(file.strip_prefix("/").unwrap_or(file));
        fs::create_dir_all(to.parent().unwrap_or(dir)).or_call("mkdir", dir.display())?;
        fs::copy(file, &to).or_call("copy", file.display())?;
    }
    fs::write(dir.join("hello"), word).or_call("write", "hello")?;
    let script = dir.join("bin/hello");
    fs::write(&script, format!("#!/usr/bin/env sh\necho {word}\n")).or_call("write", script.display())?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).or_call("chmod", script.display())?;
    there.extend(["/hello", "/bin/hello"].map(PathBuf::from));
    Ok((missing, there))
}
