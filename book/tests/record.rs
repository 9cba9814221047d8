//! The book itself: lint finds nothing to complain of, and every cell of every page says what is recorded.
//!
//! A lane that cannot run here is skipped with its reason by the book's program, as the cells' own suites do; with
//! `COOPER_REQUIRE=root,vm` it fails instead.

use std::time::Duration;

use book::run::{Lane, Place};
use harness::{Outcome, Run, Sandbox, Suite};

/// All cells, and the boot of a virtual machine without hardware's help.
const PATIENCE: Duration = Duration::from_secs(1800);

fn main() {
    Suite::new()
        .user("lint finds nothing", lint)
        .user("every cell says what is recorded", cells)
        .needs(&["userns"])
        .run();
}

fn book(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.program(env!("CARGO_BIN_EXE_book")).args(args).timeout(PATIENCE)
}

fn lint() -> Outcome {
    book(&Sandbox::new()?, &["lint"]).run()?.ok().map(drop)
}

fn cells() -> Outcome {
    if Lane::Vm.place(true) == Ok(Place::Machine) {
        harness::second_kernel()?; // the machine has no way out from within a suite
    }
    let sandbox = Sandbox::new()?;
    let report = sandbox.path().join("report.xml");
    let report = report.to_string_lossy();
    let done = book(&sandbox, &["check", "--junit", &report]).run()?.ok()?;
    // A skip says why, wherever the tests are read.
    done.stdout.lines().filter(|line| line.starts_with("skip")).for_each(|line| println!("{line}"));
    let ran = done.stdout.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(ran > 100, "only {ran} cells ran:\n{}", done.stdout);
    Ok(())
}
