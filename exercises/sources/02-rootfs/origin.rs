//! Where the loader looks.
//!
//! A program that brings its own libraries names their directory relative to itself: `$ORIGIN/../lib` in its
//! DT_RUNPATH. This program does the loader's search: `origin FILE` reads an ELF file and says where each library that
//! it needs would be found. What is missing is the list of directories. These are the rules, from ld.so(8):
//!
//! - First come the directories of LD_LIBRARY_PATH, then those of the file's DT_RUNPATH.
//! - LD_LIBRARY_PATH is a list with `:` or `;` between its entries. An empty entry is the current directory. A variable
//!   that is set and empty has no entries. (The entries of DT_RUNPATH you get one by one.)
//! - `$ORIGIN` and `${ORIGIN}`, wherever they stand in an entry of either list, mean the directory that holds the file:
//!   the file itself, not a link to it, and whatever the current directory is.
//!
//! The system's own directories, which would come last, are left out here.
//!
//! Try: `cargo build -p lab02`, then `target/debug/origin FILE`, with a program of
//! `cc main.c -Wl,-rpath,'$ORIGIN/lib' -Llib -lexample`, or any other of which `readelf -d` shows a RUNPATH. (`cargo run`
//! sets LD_LIBRARY_PATH; you would see its directories first.)
//!
//! Read: the book, chapter 2, "Where libraries lie"; ld.so(8), "Dynamic string tokens".

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rootfs::elf::Elf;

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: origin FILE");
        return ExitCode::from(2);
    };
    let bytes = std::fs::read(&file).expect("a file that can be read");
    let elf = Elf::parse(&bytes).expect("an ELF file");
    let runpath: Vec<_> = elf.runpath.iter().map(|entry| entry.to_string_lossy().into_owned()).collect();
    let variable = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let directories = directories(&file, &variable, &runpath);
    for name in &elf.needed {
        let found = directories.iter().map(|directory| directory.join(name)).find(|path| path.is_file());
        let found = found.map_or("not found".into(), |path| path.display().to_string());
        println!("{} => {found}", name.display());
    }
    ExitCode::SUCCESS
}

/// The directories in which the libraries of `file` are looked for, in order.
fn directories(file: &Path, library_path: &str, runpath: &[String]) -> Vec<PathBuf> {
    //@ starter
    todo!("the directories of {library_path:?}, then of {runpath:?}, for {file:?}")
    //@ solution, wrong no-braces, wrong runpath-first, wrong only-colons
    let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    //@ wrong as-given
    let real = file.to_owned();
    //@ wrong only-absolute
    let real = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    //@ end
    //@ solution
    let origin = real.parent().unwrap_or(Path::new("/")).display().to_string();
    //@ end
    //@ solution
    let expand = |entry: &str| PathBuf::from(entry.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin));
    //@ wrong no-braces
    let expand = |entry: &str| PathBuf::from(entry.replace("$ORIGIN", &origin));
    //@ end
    //@ solution
    let variable = library_path.split([':', ';']).filter(|_| !library_path.is_empty());
    //@ wrong only-colons
    let variable = library_path.split(':').filter(|_| !library_path.is_empty());
    //@ end
    //@ solution
    variable.chain(runpath.iter().map(String::as_str)).map(expand).collect()
    //@ wrong runpath-first
    runpath.iter().map(String::as_str).chain(variable).map(expand).collect()
    //@ end
}
