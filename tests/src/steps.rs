//! Finding the programs of the chapters: cargo tells a test only those of its own package.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use crate::{Outcome, isolate, needs};

/// The chapters there are. Chapter 8 has its place, and is to come.
pub const STEPS: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 9, 10];

/// The program of chapter `number`, built by cargo if it is missing or older than its sources.
///
/// `cargo test` of the workspace has built them all; `cargo test -p` of one package may not have.
///
/// # Errors
/// It does not compile; or, in the virtual machine, it is not there.
pub fn step(number: u8) -> Outcome<PathBuf> {
    static KNOWN: Mutex<Option<HashMap<u8, PathBuf>>> = Mutex::new(None);
    let mut known = KNOWN.lock().expect("nobody panics with it");
    let known = known.get_or_insert_with(HashMap::new);
    if let Some(program) = known.get(&number) {
        return Ok(program.clone());
    }
    let name = format!("step{number:02}");
    let program = target_dir()?.join(&name);
    if needs::inside_vm() {
        if !program.exists() {
            return Err(format!("{} is missing: `cargo build` outside the virtual machine", program.display()).into());
        }
    } else if !is_fresh(&program) {
        build(&name)?;
    }
    known.insert(number, program.clone());
    Ok(program)
}

/// Where cargo puts programs: `target/debug`, seen from this test program in `target/debug/deps`.
///
/// # Errors
/// This program lies nowhere.
pub fn target_dir() -> Outcome<PathBuf> {
    let exe = std::env::current_exe()?;
    let dir = exe.parent().and_then(Path::parent);
    Ok(dir.ok_or_else(|| format!("{} is not in cargo's target directory", exe.display()))?.to_owned())
}

/// Is the program newer than every file that it was made from? Cargo lists them in a file beside it.
fn is_fresh(program: &Path) -> bool {
    let modified = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let Some(built) = modified(program) else {
        return false;
    };
    let list = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let Some((_, sources)) = list.trim_end().split_once(": ") else {
        return false;
    };
    // A space within a name is escaped as make wants it.
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources.split(' ').map(|source| PathBuf::from(source.replace('\0', " ")));
    sources.all(|source| modified(&source).is_some_and(|changed| changed <= built))
}

fn build(name: &str) -> Outcome {
    let dir = target_dir()?;
    let mut cargo = isolate::host_command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", name, "--bin", name]);
    cargo.arg("--target-dir").arg(dir.parent().unwrap_or(&dir));
    if dir.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    let output = cargo.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("cargo build {name}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
