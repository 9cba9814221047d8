//! Which test programs have tests of the vm lane: cargo says where the programs are, they say which tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::Outcome;
use serde_json::Value;

/// What the machine shall run.
pub struct Plan {
    /// In this order.
    pub programs: Vec<Program>,
}

/// A test program with tests of the vm lane.
#[derive(Clone)]
pub struct Program {
    /// `step04 memory`: the package and the file.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// The package's directory, where cargo would start it.
    pub dir: PathBuf,
    /// Its tests.
    pub tests: Vec<String>,
}

impl Program {
    /// `step04 memory: a limit arrives in memory.max`.
    pub fn title(&self, test: &str) -> String {
        format!("{}: {test}", self.name)
    }

    /// Of all its tests.
    pub fn titles(&self) -> impl Iterator<Item = String> {
        self.tests.iter().map(|test| self.title(test))
    }
}

impl Plan {
    /// Deals the tests of each program out to `count` machines; one that would have nothing to do is left out.
    pub fn split(self, count: usize) -> Vec<Vec<Program>> {
        let part = |number| {
            let mut programs = self.programs.clone();
            for program in &mut programs {
                program.tests = program.tests.iter().skip(number).step_by(count).cloned().collect();
            }
            programs.retain(|program| !program.tests.is_empty());
            programs
        };
        (0..count).map(part).filter(|part| !part.is_empty()).collect()
    }

    /// Has cargo build the programs of the steps that the tests use, their own and the earlier ones: inside there is
    /// no cargo. The exercises run no step.
    pub fn build_steps(&self) -> Outcome {
        let number = |program: &Program| program.name.strip_prefix("step")?.get(..2)?.parse().ok();
        let with_steps = self.programs.iter().filter(|program| !program.name.starts_with("exercises "));
        let last = with_steps.map(|program| number(program).unwrap_or(u8::MAX)).max();
        let used = harness::STEPS.into_iter().filter(|step| last.is_some_and(|last| *step <= last));
        used.into_iter().try_for_each(|step| harness::step(step).map(drop))
    }
}

/// Asks cargo for all test programs and each of them for its tests.
pub fn plan() -> Outcome<Plan> {
    let messages = build()?;
    let mut programs = Vec::new();
    for message in messages.lines() {
        let message: Value = serde_json::from_str(message)?;
        programs.extend(program(&message));
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Plan { programs })
}

/// Builds them, which `cargo test` of the workspace has already done: then it only tells.
fn build() -> Outcome<String> {
    let dir = harness::target_dir()?;
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.args(["test", "--no-run", "--message-format=json", "--quiet"]);
    match std::env::var("COOPER_VM_PACKAGES") {
        Ok(list) => list.split(',').for_each(|package| {
            cargo.args(["--package", package]);
        }),
        Err(_) => {
            cargo.arg("--workspace");
        }
    }
    cargo.arg("--target-dir").arg(dir.parent().unwrap_or(&dir));
    if dir.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.output()?;
    if !output.status.success() {
        return Err(
            format!("cargo test --no-run: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The program that a message of cargo tells about, if it is one of ours (Cargo's reference, "External tools").
fn program(message: &Value) -> Option<Program> {
    let target = &message["target"];
    if message["reason"] != "compiler-artifact" || !target["kind"].as_array()?.contains(&"test".into()) {
        return None;
    }
    let path = PathBuf::from(message["executable"].as_str()?);
    // A test file with Rust's own harness knows no such option and fails.
    let list = Command::new(&path).arg(harness::VM_LIST).output().ok().filter(|output| output.status.success())?;
    let tests: Vec<_> = String::from_utf8(list.stdout).ok()?.lines().map(str::to_owned).collect();
    let dir = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let name = format!("{} {}", package(message)?, target["name"].as_str()?);
    (!tests.is_empty()).then_some(Program { name, path, dir, tests })
}

/// The package's name in its id, `path+file:///…/chapters/04-cgroups#step04@0.1.0` (cargo-pkgid(1)).
fn package(message: &Value) -> Option<&str> {
    let (path, name) = message["package_id"].as_str()?.rsplit_once('#')?;
    // A package that is called like its directory is not named again: `path+file:///…/exercises#0.1.0`.
    name.split_once('@').map(|(name, _)| name).or_else(|| path.rsplit('/').next())
}
