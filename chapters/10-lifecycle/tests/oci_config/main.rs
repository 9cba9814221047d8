//! config.json, property by property: what the container is then, seen from inside and from outside; and runc and crun,
//! given the same bundle, say the same.

mod devices;
mod hooks;
mod limits;
mod listener;
mod mounts;
mod namespaces;
mod outside;
mod places;
mod process;
mod refusals;
mod rootless;
#[allow(unsafe_code)]
mod sys;
mod world;

use harness::Suite;

fn main() {
    let mut suite = Suite::new();
    for cases in [process::cases(), namespaces::cases(), mounts::cases(), places::cases(), devices::cases()] {
        suite = world::add(suite, cases);
    }
    suite = hooks::add(suite);
    suite = outside::add(suite);
    suite = limits::add(suite);
    suite = listener::add(suite);
    suite = rootless::add(suite);
    refusals::add(suite).run()
}
