//! A suite: the tests of one file, each a lane, a name and a function.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::needs::{self, Lane};
use crate::{Event, Outcome, Report, hygiene, hygiene::Snapshot, isolate};

/// The tests of one file. See the [crate's example](crate).
#[derive(Default)]
pub struct Suite {
    tests: Vec<Test>,
}

struct Test {
    name: String,
    lane: Lane,
    needs: Vec<&'static str>,
    run: Box<dyn Fn() -> Outcome + Send>,
}

/// What was skipped and why, for the summary.
type Skipped = Arc<Mutex<Vec<(String, String)>>>;

impl Suite {
    /// An empty suite.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a test that any user can run; it is also run when the tests run as root.
    #[must_use]
    pub fn user(self, name: impl Into<String>, test: impl Fn() -> Outcome + Send + 'static) -> Self {
        self.add(Lane::User, name.into(), test)
    }

    /// Adds a test that only root can run.
    #[must_use]
    pub fn root(self, name: impl Into<String>, test: impl Fn() -> Outcome + Send + 'static) -> Self {
        self.add(Lane::Root, name.into(), test)
    }

    /// Adds a test that needs root and cgroup v2 with all controllers.
    #[must_use]
    pub fn vm(self, name: impl Into<String>, test: impl Fn() -> Outcome + Send + 'static) -> Self {
        self.add(Lane::Vm, name.into(), test)
    }

    /// What the last added test needs besides its lane: programs by name, or one of `userns` (an ordinary user
    /// can make a user namespace), `subuid` (this user has a range in /etc/subuid), `tun` (/dev/net/tun is open to all).
    #[must_use]
    pub fn needs(mut self, what: &[&'static str]) -> Self {
        let test = self.tests.last_mut().expect("needs() follows the test that it is about");
        test.needs.extend(what);
        self
    }

    fn add(mut self, lane: Lane, name: String, test: impl Fn() -> Outcome + Send + 'static) -> Self {
        self.tests.push(Test { name, lane, needs: Vec::new(), run: Box::new(test) });
        self
    }

    /// Runs them; takes the command line of every Rust test program. Does not return.
    pub fn run(self) -> ! {
        if std::env::args().nth(1).as_deref() == Some(VM_LIST) {
            self.list_vm();
        }
        let mut args = Arguments::from_args();
        args.test_threads = Some(1); // each test looks at the whole machine, before and after
        if !args.list {
            isolate::enter().unwrap_or_else(|error| {
                eprintln!("a host of its own for the tests: {error}");
                std::process::exit(101);
            });
        }
        let skipped = Skipped::default();
        let inside = needs::inside_vm();
        let chosen = std::env::var(VM_TESTS).ok();
        let is_chosen = |name: &str| chosen.as_ref().is_none_or(|chosen| chosen.lines().any(|line| line == name));
        let tests = self.tests.into_iter().filter(|test| !inside || test.lane == Lane::Vm && is_chosen(&test.name));
        let trials = tests.map(|test| test.trial(skipped.clone())).collect();
        let conclusion = libtest_mimic::run(&args, trials);
        print_summary(&skipped.lock().expect("no test holds it"));
        hygiene::end_kept();
        let failed = conclusion.has_failed();
        std::process::exit(if failed { 101 } else { 0 })
    }

    /// For the vm lane's runner: the names of its tests, one a line.
    fn list_vm(&self) -> ! {
        for test in self.tests.iter().filter(|test| test.lane == Lane::Vm) {
            println!("{}", test.name);
        }
        std::process::exit(0)
    }
}

/// The option by which `tests/tests/vm` asks a test program for its tests of the vm lane.
pub const VM_LIST: &str = "--vm-list";

/// The variable by which it says which of them to run, one a line.
pub const VM_TESTS: &str = "COOPER_VM_TESTS";

impl Test {
    fn trial(self, skipped: Skipped) -> Trial {
        let name = self.name.clone();
        let kind = self.lane.name();
        Trial::ignorable_test(name, move || {
            report(&self.name, Event::Begin);
            let result = self.run(&skipped);
            let event = match &result {
                Ok(Completion::Completed) => Event::Passed,
                Ok(Completion::Ignored { reason }) => Event::Skipped(reason.clone().unwrap_or_default()),
                Err(failed) => Event::Failed(failed.message().unwrap_or_default().to_owned()),
            };
            report(&self.name, event);
            result
        })
        .with_kind(kind)
    }

    fn run(&self, skipped: &Skipped) -> Result<Completion, Failed> {
        if let Some(missing) = needs::missing(self.lane, &self.needs) {
            if missing.is_failure {
                return Err(format!("{} (COOPER_REQUIRE has {})", missing.reason, self.lane.name()).into());
            }
            skipped.lock().expect("no test holds it").push((self.name.clone(), missing.reason.clone()));
            return Ok(Completion::ignored_with(missing.reason));
        }
        let before = Snapshot::take();
        let outcome = catch_unwind(AssertUnwindSafe(&self.run)).unwrap_or_else(|panic| Err(panic_message(&*panic)));
        let leftovers = before.differences();
        match (outcome, leftovers) {
            (Ok(()), None) => Ok(Completion::Completed),
            (Ok(()), Some(leftovers)) => Err(format!("it left something behind:\n{leftovers}").into()),
            (Err(failed), None) => Err(failed),
            (Err(failed), Some(leftovers)) => {
                let message = failed.message().unwrap_or("failed");
                Err(format!("{message}\nand it left something behind:\n{leftovers}").into())
            }
        }
    }
}

fn report(name: &str, event: Event) {
    if needs::inside_vm() {
        println!("\n{}", Report { name: name.to_owned(), event }); // libtest-mimic has begun a line
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> Failed {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("with something that is no text")).into()
}

/// `skipped 3: needs root (a, b, c)`, one line for each reason.
fn print_summary(skipped: &[(String, String)]) {
    let mut reasons: Vec<&str> = skipped.iter().map(|(_, reason)| reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let names: Vec<_> = skipped.iter().filter(|(_, why)| why == reason).map(|(name, _)| name.as_str()).collect();
        println!("skipped {}: {reason} ({})", names.len(), names.join(", "));
    }
}
