//! What has bitten every engine before: the attacks, the odd surroundings and the senseless requests, each by its name.
//!
//! Those that belong to one chapter alone are in its own tests: hostile archives and registries in chapter 7, names and
//! kills in chapters 3 and 5. Here is what holds for several steps, and what nobody would think of.

mod escapes;
mod host;
mod inputs;
mod surroundings;
mod world;

use harness::{Outcome, Sandbox, Suite};
use world::World;

/// A test, for whoever runs it.
type Test = fn(&World) -> Outcome;

fn main() {
    let mut suite = Suite::new();
    for (name, test) in [surroundings::TESTS, inputs::TESTS].concat() {
        suite = suite.user(name, move || test(&World::new(Sandbox::new()?)?)).needs(&["busybox", "bash"]);
    }
    for (name, test) in [escapes::TESTS, host::TESTS].concat() {
        suite = suite.root(format!("root: {name}"), move || test(&World::new(Sandbox::new()?)?)).needs(&["busybox"]);
    }
    for (name, test) in [surroundings::ORDINARY, escapes::TESTS, escapes::IN_USER_NAMESPACES].concat() {
        let test = move || test(&World::new(Sandbox::ordinary()?)?);
        suite = suite.user(format!("ordinary: {name}"), test);
        suite = suite.needs(&["busybox", "bash", "userns", "newuidmap", "subuid"]); // --user ada is one of the range
    }
    for (name, test) in host::ROOT_FOR_ORDINARY.iter().copied() {
        let test = move || test(&World::new(Sandbox::ordinary()?)?);
        suite = suite.root(format!("ordinary: {name}"), test).needs(&["busybox", "newuidmap"]);
    }
    suite.run()
}
