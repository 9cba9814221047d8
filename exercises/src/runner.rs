//! The runner: shows the next exercise, checks it on every save, gives hints. In the habits of rustlings.

/// Prints a line. Who reads us may have had enough (`… | head`): then this ends as other programs do, quietly.
macro_rules! say {
    ($($word:tt)*) => { $crate::runner::out(&format!($($word)*)) };
}

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

/// What a shell shows of a program that SIGPIPE ended. We cannot let it end us: programs that we write to may be gone.
const READER_GONE: i32 = 128 + nix::sys::signal::Signal::SIGPIPE as i32;

/// Prints a line and sees to it that it is shown.
fn out(line: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
        std::process::exit(READER_GONE);
    }
}
