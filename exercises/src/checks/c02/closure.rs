//! A root for one program: it is started in a second room, in what the learner's program has copied.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rootfs::elf::Elf;
use rootfs::loader::Loader;

use super::header;
use crate::check::{Check, Failure, Verdict, that};
use crate::lab::{Lab, WORK};

pub const CHECKS: [Check; 4] = [
    Check::new("a program runs in its root", one).points(2),
    Check::new("the libraries of the libraries", deep).points(2),
    Check::new("a script", script).points(2),
    Check::new("what is missing is told", missing).beside("a program runs in its root"),
];

/// Programs that this machine may have, some of whose libraries need others.
const DEEP: [&str; 6] = ["/bin/ls", "/usr/bin/findmnt", "/bin/tar", "/bin/sed", "/usr/bin/id", "/bin/mount"];

/// Has the program copied, and gives the files of the new root.
fn pack(lab: &Lab, program: &str) -> Result<BTreeSet<PathBuf>, Failure> {
    let done = lab.run(&[program, &format!("{WORK}/root")])?;
    let what = format!("the exit code of `closure {program} {WORK}/root`");
    let seen = format!("{}: {}", done.code, done.stderr.trim());
    let note = if program.starts_with(WORK) {
        "its first line names a program; a script is no ELF file"
    } else {
        "what it complained of stands after the exit code"
    };
    that(done.code == 0, &what, "0", seen).map_err(|failure| failure.note(note))?;
    let mut files = BTreeSet::new();
    list(&lab.work().join("root"), &mut files);
    Ok(files)
}

/// All files below a directory; no link is followed.
fn list(dir: &Path, files: &mut BTreeSet<PathBuf>) {
    if !fs::symlink_metadata(dir).is_ok_and(|about| about.is_dir()) {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list(&entry.path(), files),
            _ => drop(files.insert(entry.path())),
        }
    }
}

/// Runs a program in the root, in a room in which nothing of the first one's mounts is left.
fn runs(lab: &Lab, words: &[&str], expected: &str, note: &str) -> Verdict {
    let done = lab.sh("exec chroot root \"$@\"", words)?;
    let what = format!("`{}` in the root", words.join(" "));
    let seen = format!("exit code {}: {}{}", done.code, done.stdout.trim(), done.stderr.trim());
    let wanted = if expected.is_empty() { "exit code 0".into() } else { format!("it says {expected}") };
    that(done.code == 0 && done.stdout.contains(expected), &what, wanted, seen).map_err(|failure| failure.note(note))
}

fn one(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    let files = pack(lab, "/bin/cat")?;
    lab.file("root/hello", &word)?;
    let note =
        "\"No such file or directory\" for a program that is there: the kernel did not find its loader, PT_INTERP";
    runs(lab, &["/bin/cat", "/hello"], &word, note)?;
    let most = 4 * needs(Path::new("/bin/cat"))?.len() + 8;
    let seen = format!("{} files", files.len());
    that(files.len() <= most, "files in the root of /bin/cat", format!("a handful, at most {most}"), seen)
        .map_err(|failure| failure.note("the root shall have what the program needs, and nothing else"))
}

fn deep(lab: &Lab) -> Verdict {
    let found = DEEP.iter().find(|program| is_deep(Path::new(program)));
    let program = found.ok_or_else(|| Failure::Machine(format!("none of {DEEP:?} needs libraries of libraries")))?;
    pack(lab, program)?;
    let copy = lab.read(Path::new("root").join(program.trim_start_matches('/')));
    let original = fs::read(program).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok();
    let what = format!("the file {program} in the root");
    that(copy.is_some() && copy == original, &what, "a copy of this machine's", "another, or none")?;
    runs(lab, &[program, "--version"], "", "libraries need libraries: each that is copied names others itself")
}

/// Does a library of it need one that the program does not name itself?
fn is_deep(program: &Path) -> bool {
    let Ok(own) = fs::read(program).map_err(|_| ()).and_then(|bytes| Elf::parse(&bytes).map_err(|_| ())) else {
        return false;
    };
    let of_all = needs(program).unwrap_or_default();
    let read = |path: &PathBuf| Elf::parse(&fs::read(path).ok()?).ok();
    let first = of_all.iter().filter(|path| own.needed.iter().any(|name| path.ends_with(name)));
    let second = first.filter_map(read).flat_map(|library| library.needed);
    second.into_iter().any(|name| {
        let is_loader = own.interpreter.as_ref().is_some_and(|loader| loader.ends_with(&name));
        !own.needed.contains(&name) && !is_loader
    })
}

fn needs(program: &Path) -> Result<Vec<PathBuf>, Failure> {
    let needs = Loader::new(Path::new("/etc/ld.so.conf")).needs(program);
    let needs = needs.map_err(|error| Failure::Machine(format!("{}: {error}", program.display())))?;
    Ok(needs.into_iter().map(|needed| needed.path).collect())
}

fn script(lab: &Lab) -> Verdict {
    for line in ["#!/bin/sh", "#!/usr/bin/env sh"] {
        let (name, word) = (lab.nonce(), lab.nonce());
        lab.file(&name, format!("{line}\necho {word}\n"))?;
        fs::set_permissions(lab.work().join(&name), fs::Permissions::from_mode(0o755))
            .map_err(|error| Failure::Machine(format!("chmod: {error}")))?;
        let program = format!("{WORK}/{name}");
        pack(lab, &program)?;
        let note = format!(
            "the script begins with {line}: its first line names a program, which has a loader and libraries too{}",
            if line.contains("env") { "; and env looks for another program" } else { "" }
        );
        runs(lab, &[&program], &word, &note)?;
        let _ = fs::remove_dir_all(lab.work().join("root"));
    }
    Ok(())
}

fn missing(lab: &Lab) -> Verdict {
    let name = format!("lib{}.so.1", lab.nonce());
    let shell = fs::read("/bin/sh").ok().and_then(|bytes| Elf::parse(&bytes).ok());
    let loader = shell.and_then(|elf| elf.interpreter).unwrap_or_else(|| "/bin/sh".into());
    lab.file("needy", header::program(&loader.display().to_string(), &[&name], ""))?;
    let done = lab.run(&[&format!("{WORK}/needy"), &format!("{WORK}/root")])?;
    let seen = format!("{}: {}", done.code, done.stderr.trim());
    let ended = !matches!(done.code, 0 | 101);
    that(
        ended,
        &format!("the exit code for a program that needs {name}, which is nowhere"),
        "an error, such as 1",
        seen,
    )
    .map_err(|failure| failure.note("a root that lacks something must not look complete"))
}
