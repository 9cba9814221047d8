//! The vm lane: boots the second kernel once and runs in it what the chapters' tests left to it.
//!
//! Every such test is reported here under its own name; one that the machine did not run is a failure.
//! `COOPER_VM_RUNNER` is the command that runs another under the second kernel: `$COOPER_VM_RUNNER -- CMD…`;
//! if it is not set, `tests/vm/run`. `COOPER_VM_PACKAGES` names the packages to test, the whole workspace if not set.

mod machine;
mod plan;

use std::sync::{Arc, Mutex};

use harness::{Event, Failed, Lane, Outcome};
use libtest_mimic::{Arguments, Completion, Trial};

use machine::Machine;
use plan::Plan;

fn main() {
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    let trials = match unavailable() {
        Some(reason) => vec![skip(reason)],
        None => plan(&args).map_or_else(|failed| vec![Trial::test("what to run", || Err(failed))], trials),
    };
    libtest_mimic::run(&args, trials).exit()
}

/// Why no second kernel is booted, if so.
fn unavailable() -> Option<(String, bool)> {
    if harness::has_cgroup_v2() {
        return Some(("this machine has cgroup v2 itself: the tests ran where they are".into(), false));
    }
    let own_runner = std::env::var_os("COOPER_VM_RUNNER").is_some();
    let programs = ["apt-get", "busybox", "depmod", "dpkg-deb", "qemu-system-x86_64"];
    let missing = programs.into_iter().find(|name| harness::find_program(name).is_none());
    let missing = missing.filter(|_| !own_runner)?;
    Some((harness::lacks(missing)?, harness::required(Lane::Vm)))
}

fn skip((reason, is_failure): (String, bool)) -> Trial {
    Trial::ignorable_test("the second kernel", move || {
        if is_failure { Err(Failed::from(reason)) } else { Ok(Completion::ignored_with(reason)) }
    })
}

/// What the command line selects.
fn plan(args: &Arguments) -> Outcome<Plan> {
    let mut plan = plan::plan()?;
    let selected = |title| !args.is_filtered_out(&Trial::test(title, || Ok(())));
    for program in &mut plan.programs {
        let title = |test: &String| program.title(test);
        let tests = program.tests.iter().filter(|test| selected(title(test))).cloned().collect();
        program.tests = tests;
    }
    plan.programs.retain(|program| !program.tests.is_empty());
    if !args.list {
        plan.build_steps()?;
    }
    Ok(plan)
}

/// One trial for each test; the first that runs boots the machine.
fn trials(Plan { programs }: Plan) -> Vec<Trial> {
    let all: Vec<_> =
        programs.iter().flat_map(|program| program.tests.iter().map(|test| program.title(test))).collect();
    let machine = Arc::new(Mutex::new(Machine::new(programs)));
    let trial = |title: String| {
        let machine = machine.clone();
        Trial::ignorable_test(title.clone(), move || {
            let mut machine = machine.lock().map_err(|_| "an earlier test panicked")?;
            match machine.result_of(&title)? {
                Event::Skipped(reason) => Ok(Completion::ignored_with(reason)),
                Event::Failed(message) => Err(message.into()),
                _ => Ok(Completion::Completed),
            }
        })
    };
    all.into_iter().map(trial).collect()
}
