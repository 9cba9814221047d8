//! Links `cooper-runtime` statically where that can be done.
//!
//! A driver starts the runtime several times for each container, and the runtime begins anew once (security::sealed).
//! Finding, mapping and relocating shared libraries would be a third of its time and memory (`benches/speed`).
//!
//! Cargo's own way, `-C target-feature=+crt-static`, is for a whole build: also for programs that ask for host names,
//! for which a static C library needs the shared one after all. So the linker is told, for this one program: no shared
//! libraries, and for the names under which Rust asks for them, here is what they mean statically.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What Rust's standard library links, by the names of shared libraries.
const LIBRARIES: [(&str, &str); 7] = [
    ("c", "-l:libc.a -l:libgcc_eh.a"),
    ("m", "-l:libm.a"),
    ("dl", "-l:libdl.a"),
    ("rt", "-l:librt.a"),
    ("util", "-l:libutil.a"),
    ("pthread", "-l:libpthread.a"),
    ("gcc_s", "-l:libgcc_eh.a -l:libgcc.a"),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let same_machine = variable("HOST") == variable("TARGET");
    let glibc = variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if !(same_machine && glibc && has_static_libraries()) {
        return; // then it is linked like any other program
    }
    let directory = PathBuf::from(variable("OUT_DIR")).join("static");
    std::fs::create_dir_all(&directory).expect("OUT_DIR can be written");
    for (name, instead) in LIBRARIES {
        let script = directory.join(format!("lib{name}.so"));
        std::fs::write(script, format!("GROUP ( {instead} )\n")).expect("OUT_DIR can be written");
    }
    for argument in ["-static", "-no-pie", &format!("-L{}", directory.display())] {
        println!("cargo:rustc-link-arg-bin=cooper-runtime={argument}");
    }
}

/// Debian has them in libc6-dev and libgcc-12-dev, which any linker needs; elsewhere they are packages of their own.
fn has_static_libraries() -> bool {
    let there = |(_, instead): &(&str, &str)| {
        let names = instead.split_whitespace().filter_map(|word| word.strip_prefix("-l:"));
        names.into_iter().all(|name| {
            let output = Command::new("cc").arg(format!("-print-file-name={name}")).output();
            // What it does not find, it prints as it was asked.
            output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
        })
    };
    LIBRARIES.iter().all(there)
}
