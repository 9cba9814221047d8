//! What the virtual machine shall not compile, because it is slow: the variants of the exercises that are proven there.
//!
//! The vm lane asks each test program for its tests before it boots the machine; that is when they are compiled. A
//! program counts only with the very source that it was made of beside it; else the machine compiles it after all.

use std::fs;
use std::path::{Path, PathBuf};

use exercises::Exercise;
use exercises::compile::Libraries;
use exercises::source::Variant;
use harness::Outcome;

use crate::proof;

/// Does it need control groups, which this machine may not have?
pub fn is_for_vm(exercise: &Exercise) -> bool {
    exercise.about.needs.iter().any(|need| need == "cgroup2")
}

/// Compiles all variants for the machine. One that does not compile is left to the machine, which tells why.
pub fn compile(all: &[Exercise]) {
    let mut libraries: Option<(String, Libraries)> = None;
    for exercise in all.iter().filter(|exercise| is_for_vm(exercise)) {
        if libraries.as_ref().is_none_or(|(lab, _)| *lab != exercise.lab()) {
            libraries = Libraries::build(exercise).ok().map(|found| (exercise.lab(), found));
        }
        let Some((_, libraries)) = &libraries else { continue };
        for variant in exercise.variants() {
            let program = place(exercise, &variant);
            let _ = fs::remove_file(&program);
            let made = program.parent().map(fs::create_dir_all).is_some_and(|made| made.is_ok());
            if made && proof::compile(libraries, exercise, &variant, &program).is_err() {
                let _ = fs::remove_file(program.with_extension("rs"));
            }
        }
    }
}

/// The program of this variant, if it lies there; false if it is still to be compiled.
pub fn take(exercise: &Exercise, variant: &Variant, program: &Path) -> Outcome<bool> {
    let found = place(exercise, variant);
    let source = fs::read_to_string(found.with_extension("rs")).unwrap_or_default();
    if !is_for_vm(exercise) || !found.exists() || source != exercise.source.render(variant) {
        return Ok(false);
    }
    fs::copy(&found, program)?;
    Ok(true)
}

/// Where it lies: `target/debug/exercises-vm/NAME-VARIANT`.
fn place(exercise: &Exercise, variant: &Variant) -> PathBuf {
    let which = match variant {
        Variant::Starter => "starter",
        Variant::Solution => "solution",
        Variant::Wrong(name) => name,
    };
    let tool = Path::new(env!("CARGO_BIN_EXE_exercises"));
    tool.with_file_name("exercises-vm").join(format!("{}-{which}", exercise.name))
}
