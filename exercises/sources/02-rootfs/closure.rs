//! A root for one program.
//!
//! `closure PROGRAM DIR` copies a program into a directory, with everything that it needs in order to run there, and
//! with nothing else. The copying is written; what is missing is `needs`: which files are they?
//!
//! - For an ELF file: its loader (PT_INTERP), the libraries that it names (DT_NEEDED), and the libraries that those
//!   name, and so on. A library is looked for in `directories`; one for another kind of machine is passed over
//!   (`Elf::abi`). DT_RUNPATH is left out here; it is the exercise `origin`.
//! - For a script: the program in its first line, and what that needs. `#!/usr/bin/env NAME` needs two programs.
//!
//! A library or a program that is nowhere is an error: a root that lacks something must not look complete. `Elf::parse`
//! and `rootfs::script::parse` do the reading, `rootfs::programs::find` looks a program up. That the chapter's own
//! `Loader` answers all of this in one call is true; you learn more without it.
//!
//! Try: `cargo run -q -p lab02 --bin closure -- /bin/ls /tmp/one`, `find /tmp/one -type f`, and, as root,
//! `chroot /tmp/one /bin/ls -R /`.
//!
//! Read: the book, chapter 2, "A program is not one file" and "Where libraries lie"; ld.so(8); execve(2), scripts.

use std::collections::BTreeSet;
//@ solution
use std::ffi::OsStr;
//@ end
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

//@ starter
use process::{OrCall, Result};
use rootfs::elf::{Abi, Elf};
use rootfs::ldconf;
//@ solution
use process::{Error, OrCall, Result};
use rootfs::elf::{Abi, Elf};
use rootfs::{ldconf, programs, script};
//@ end

fn main() -> ExitCode {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [program, dir] = words.as_slice() else {
        eprintln!("usage: closure PROGRAM DIR");
        return ExitCode::from(2);
    };
    match pack(program, dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("closure: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Copies the program and what it needs to the same paths below `dir`.
fn pack(program: &Path, dir: &Path) -> Result<()> {
    let program = std::path::absolute(program).or_call("getcwd", "")?;
    let mut files = needs(&program)?;
    files.insert(program);
    for file in files {
        let to = dir.join(file.strip_prefix("/").unwrap_or(&file));
        fs::create_dir_all(to.parent().unwrap_or(dir)).or_call("mkdir", to.display())?;
        fs::copy(&file, &to).or_call("copy", file.display())?;
    }
    Ok(())
}

/// Where libraries for this kind of machine lie, in order.
fn directories(abi: Abi) -> impl Iterator<Item = PathBuf> {
    ldconf::defaults(abi).into_iter().chain(ldconf::directories(Path::new("/etc/ld.so.conf")))
}

/// All files that the program needs besides itself, by their absolute paths.
fn needs(program: &Path) -> Result<BTreeSet<PathBuf>> {
    //@ starter
    let bytes = fs::read(program).or_call("read", program.display())?;
    let elf = Elf::parse(&bytes)?;
    let places: Vec<_> = directories(elf.abi).collect();
    todo!("{:?} and {:?}, which lie in {places:?}, and what those need", elf.interpreter, elf.needed)
    //@ solution
    let mut needs = BTreeSet::new();
    let mut unread = vec![program.to_owned()];
    while let Some(path) = unread.pop() {
        for named in named_by(&path)? {
            if needs.insert(named.clone()) {
                unread.push(named);
            }
        }
    }
    Ok(needs)
    //@ wrong no-further
    Ok(named_by(program)?.into_iter().collect())
    //@ end
}
//@ solution

/// The files that this one names itself.
fn named_by(path: &Path) -> Result<Vec<PathBuf>> {
    let bytes = fs::read(path).or_call("read", path.display())?;
    //@ end
    //@ solution
    if let Some(script) = script::parse(&bytes) {
        let nowhere = |name: &OsStr| Error::not_found(format!("{} is nowhere", name.display()));
        let command = script.command.map(|name| programs::find(&name).ok_or_else(|| nowhere(&name)));
        return std::iter::once(Ok(script.interpreter)).chain(command).collect();
    }
    //@ wrong only-the-line
    if let Some(script) = script::parse(&bytes) {
        return Ok(vec![script.interpreter]);
    }
    //@ wrong no-scripts
    if !bytes.starts_with(Elf::MAGIC) {
        return Ok(Vec::new());
    }
    //@ end
    //@ solution
    let elf = Elf::parse(&bytes).map_err(|error| error.at(path.display()))?;
    //@ end
    //@ solution
    let mut named = Vec::from_iter(elf.interpreter.clone());
    //@ wrong no-loader
    let mut named = Vec::new();
    //@ end
    //@ solution
    for name in &elf.needed {
        let found = find(name, elf.abi);
        named.push(found.ok_or_else(|| Error::not_found(format!("library {} is nowhere", name.display())))?);
    }
    //@ wrong in-silence
    named.extend(elf.needed.iter().filter_map(|name| find(name, elf.abi)));
    //@ end
    //@ solution
    Ok(named)
}

/// A library by its name.
fn find(name: &OsStr, abi: Abi) -> Option<PathBuf> {
    let is_of_abi = |bytes: Vec<u8>| Elf::parse(&bytes).is_ok_and(|library| library.abi == abi);
    directories(abi).map(|directory| directory.join(name)).find(|path| fs::read(path).is_ok_and(is_of_abi))
}
//@ end
