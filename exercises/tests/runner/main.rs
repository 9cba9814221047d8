//! The runner, as a learner uses it: in a terminal, in a pipe, by its plain commands.

mod commands;
mod learner;
mod watching;

use harness::Suite;

fn main() {
    [commands::add, watching::add].into_iter().fold(Suite::new(), |suite, add| add(suite)).run();
}
