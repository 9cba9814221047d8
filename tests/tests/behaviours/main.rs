//! The behaviours of a container, one chapter after the other: step N shows all up to its own, and none of a later one.
//!
//! So each chapter keeps what the earlier ones promised, and each has a reason to be read.

mod bench;
mod probes;

use harness::{Outcome, Suite};

use bench::{Bench, Who};
use probes::BEHAVIOURS;

fn main() {
    let mut suite = Suite::new();
    for step in harness::STEPS {
        for behaviour in BEHAVIOURS {
            suite = behaviour.add(suite, step);
        }
    }
    suite.run()
}

/// Something that can be seen of a container.
struct Behaviour {
    /// What is seen.
    name: &'static str,
    /// The chapter that brings it.
    since: u8,
    /// Where it can be tried.
    lane: harness::Lane,
    /// Programs that the probe needs.
    needs: &'static [&'static str],
    /// Can an ordinary user see it too? From chapter 3 on, which does without root.
    ordinary: bool,
    /// Looks for it in a container of the bench.
    shows: fn(&Bench) -> Outcome<bool>,
}

impl Behaviour {
    /// Adds the tests of one step: as root, and as an ordinary user where that is possible.
    fn add(&'static self, suite: Suite, step: u8) -> Suite {
        let expected = if step >= self.since { "shows" } else { "does not show" };
        let name = format!("step{step:02} {expected}: {}", self.name);
        let suite = match self.lane {
            // Chapter 2's chroot is root's alone: an ordinary user would prove nothing about it.
            harness::Lane::Vm => suite.vm(name.clone(), move || self.check(step, Who::Tester)),
            harness::Lane::User if step == 1 => suite.user(name.clone(), move || self.check(step, Who::Tester)),
            _ => suite.root(name.clone(), move || self.check(step, Who::Tester)),
        };
        let suite = suite.needs(self.needs);
        if !self.ordinary || step < 3 {
            return suite;
        }
        let name = format!("{name}, to an ordinary user");
        let check = move || self.check(step, Who::Ordinary);
        let suite = if self.lane == harness::Lane::Vm { suite.vm(name, check) } else { suite.user(name, check) };
        suite.needs(self.needs).needs(&["newuidmap", "subuid", "userns"])
    }

    fn check(&self, step: u8, who: Who) -> Outcome {
        let bench = Bench::new(step, who)?;
        let shown = (self.shows)(&bench)?;
        if shown == (step >= self.since) {
            return Ok(());
        }
        let how = if shown { "shows already" } else { "does not show" };
        Err(format!("step {step} {how} what chapter {} brings: {}\n{}", self.since, self.name, bench.told()).into())
    }
}
