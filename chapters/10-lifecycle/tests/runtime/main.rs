//! `cooper-runtime` as drivers call it: verbs, states, what it says and what it leaves.

mod around;
mod exec;
mod faults;
mod life;
mod limits;
mod print;
#[allow(unsafe_code)]
mod sys;
mod terminal;
mod world;

use harness::{Outcome, Suite};
use world::World;

type Make = fn() -> Outcome<World>;
type Test = fn(&mut World) -> Outcome;

fn main() {
    let mut suite = Suite::new();
    let both: Vec<(&str, Test)> = [life::TESTS, around::TESTS, exec::TESTS, terminal::TESTS, faults::TESTS].concat();
    for (who, make) in [("root", World::root as Make), ("ordinary", World::ordinary as Make)] {
        for &(name, test) in &both {
            let (name, test) = (format!("{who}: {name}"), move || test(&mut make()?));
            suite = match who {
                "root" => suite.root(name, test).needs(&["busybox"]),
                _ => suite.user(name, test).needs(&["busybox", "userns"]),
            };
        }
    }
    for &(name, test) in life::ROOT.iter().chain(around::ROOT) {
        suite = suite.root(name, move || test(&mut World::root()?)).needs(&["busybox"]);
    }
    for &(name, test) in limits::TESTS {
        suite = suite.vm(name, move || test(&mut World::root()?)).needs(&["busybox"]);
    }
    print::add(suite).run()
}
