//! The runner: shows the next exercise, checks it on every save, gives hints. In the habits of rustlings.

mod attempt;
mod command;
mod doctor;
mod keys;
mod screen;
mod state;
mod watch;

pub use attempt::{Attempt, attempt};
pub use command::{hint, list, reset, run, solution, verify};
pub use doctor::doctor;
pub use state::State;
pub use watch::watch;
