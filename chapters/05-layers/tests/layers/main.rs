//! Chapter 5 from outside and from inside: layers, what is mounted on them, and what is kept.

mod committing;
mod keeping;
mod layering;
mod mounting;
mod volumes;
mod world;

use harness::{Outcome, Sandbox, Suite};
use world::World;

type Make = fn() -> Outcome<Sandbox>;
type Test = fn(&World) -> Outcome;

fn main() {
    let mut suite = Suite::new();
    let both = [layering::TESTS, mounting::TESTS, volumes::TESTS, committing::TESTS, keeping::TESTS].concat();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in both.iter().copied() {
            let (name, test) = (format!("{who}: {name}"), move || test(&World::new(make()?)?));
            suite = if who == "root" { suite.root(name, test) } else { suite.user(name, test).needs(&["userns"]) };
            suite = suite.needs(&["busybox"]);
        }
    }
    for (name, test) in [mounting::ROOT, layering::ROOT].concat() {
        suite = suite.root(name, move || test(&World::new(Sandbox::new()?)?)).needs(&["busybox"]);
    }
    for (name, test) in committing::UMOCI.iter().copied() {
        suite =
            suite.root(name, move || test(&World::new(Sandbox::new()?)?)).needs(&["busybox", "umoci", "tar", "setcap"]);
    }
    suite.run()
}
