//! Whether and when a container is started again.
//!
//! `start_again POLICY CODE:MILLISECONDS…` is told of the ends of a container, one after the other: its exit code, and
//! how long it had run. For each it prints how many milliseconds the supervisor waits before it starts the container
//! again, or `-` if it does not; then nothing more happens.
//!
//! The policies are Docker's: `no`, `always`, `on-failure` and `on-failure:N`. The first two are clear. The other ones
//! start again after an exit code that is not 0; with a number, so many times and no more.
//!
//! The waits are Docker's too: 100 milliseconds before the first start again, then each time twice as long as the last
//! time, never longer than a minute. Who ran for ten seconds or longer ran well, and the next wait is 100 milliseconds
//! again. (What does a good run do to the number of starts that are left? Nothing: they are counted over all.)
//!
//! Fill in `next`. By hand: `start_again on-failure:3 1:20 1:20 1:20000 1:20`.
//!
//! Read: the book, chapter 10, "Restart policies".

#![allow(unused, reason = "until the gap is filled")]

use std::time::Duration;

use process::{Error, Result};

/// Before the first start again; the longest; and a run that went well.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
const GOOD_RUN: Duration = Duration::from_secs(10);

/// `--restart`
enum Policy {
    No,
    /// So many times at most, if there is a number.
    OnFailure(Option<u32>),
    Always,
}

/// What is known of the container so far.
#[derive(Default)]
struct Past {
    /// How many times it was started again.
    restarts: u32,
    /// The last wait; zero if there was none.
    waited: Duration,
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let policy = policy(&words.next().unwrap_or_default())?;
    let mut past = Past::default();
    for end in words {
        let invalid = || Error::invalid(format!("CODE:MILLISECONDS, not {end:?}"));
        let (code, ran) = end.split_once(':').ok_or_else(invalid)?;
        let (code, ran) = (code.parse().map_err(|_| invalid())?, ran.parse().map_err(|_| invalid())?);
        let Some(wait) = next(&policy, &past, code, Duration::from_millis(ran)) else {
            println!("-");
            break;
        };
        println!("{}", wait.as_millis());
        past = Past { restarts: past.restarts + 1, waited: wait };
    }
    Ok(())
}

fn policy(name: &str) -> Result<Policy> {
    match name.split_once(':') {
        None if name == "no" => Ok(Policy::No),
        None if name == "always" => Ok(Policy::Always),
        None if name == "on-failure" => Ok(Policy::OnFailure(None)),
        Some(("on-failure", count)) if count.parse::<u32>().is_ok() => Ok(Policy::OnFailure(count.parse().ok())),
        _ => Err(Error::invalid(format!("no restart policy is called {name:?}"))),
    }
}

/// How long to wait before a container is started again that has ended with `code` after it `ran` so long; none if it
/// is not started again.
fn next(policy: &Policy, past: &Past, code: i32, ran: Duration) -> Option<Duration> {
    todo!("decide for {code} after {ran:?}")
}
