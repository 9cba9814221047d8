//! The vm lane: boots a second kernel and runs in it what the chapters' tests left to it.
//!
//! An emulated machine keeps one processor busy, so there are as many of them as processors, at most two, and each does
//! a part of every program's tests. Every such test is reported here under its own name; one that the machine did not run is a failure.
//! `COOPER_VM_RUNNER` is the command that runs another under the second kernel: `$COOPER_VM_RUNNER -- CMD…`;
//! if it is not set, `tests/vm/run`. `COOPER_VM_PACKAGES` names the packages to test, the whole workspace if not set.

mod machine;
mod plan;

use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;

use harness::{Event, Failed, Lane, Outcome};
use libtest_mimic::{Arguments, Completion, Trial};

use machine::Machine;
use plan::{Plan, Program};

fn main() {
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    let trials = match unavailable() {
        Some(reason) => vec![skip(reason)],
        None => plan(&args).map_or_else(|failed| vec![Trial::test("what to run", || Err(failed))], all_trials),
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

/// One trial for each test; the first that runs boots the machines.
fn all_trials(plan: Plan) -> Vec<Trial> {
    let count = available_parallelism().map_or(1, |count| count.get().min(2));
    let parts = plan.split(count);
    let titles = parts.iter().map(|part| part.iter().flat_map(Program::titles).collect());
    let titles: Vec<Vec<String>> = titles.collect();
    let machines: Arc<Vec<_>> = Arc::new(parts.into_iter().map(|part| Mutex::new(Machine::new(part))).collect());
    let trials = |(number, titles): (usize, Vec<String>)| {
        let machines = machines.clone();
        titles.into_iter().map(move |title| trial(title, machines.clone(), number))
    };
    titles.into_iter().enumerate().flat_map(trials).collect()
}

/// The trial that asks machine `number` for the result of the test `title`.
fn trial(title: String, machines: Arc<Vec<Mutex<Machine>>>, number: usize) -> Trial {
    Trial::ignorable_test(title.clone(), move || {
        // All are booted before the first is waited for.
        for machine in machines.iter() {
            machine.lock().map_err(|_| "an earlier test panicked")?.start()?;
        }
        let mut machine = machines[number].lock().map_err(|_| "an earlier test panicked")?;
        match machine.result_of(&title)? {
            Event::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            Event::Failed(message) => Err(message.into()),
            _ => Ok(Completion::Completed),
        }
    })
}
