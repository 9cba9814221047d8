//! A check that does not come to its end: what it looks at was made by somebody whom nobody trusts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::outcome::Status;
use super::text;
use crate::lab::crowd;
use crate::{Failure, Verdict};

/// A check, ready to be made.
pub type Run = Box<dyn FnOnce() -> Verdict + Send>;

/// Makes a check in a thread of its own, and waits no longer than this. A thread that hangs stays, and ends with us.
pub fn judge(run: Run, most: Duration) -> (Status, String, f64) {
    let start = Instant::now();
    let (tell, told) = channel();
    let worker = crowd::who();
    let spawned = thread::Builder::new().name("check".into()).spawn(move || {
        crowd::set_who(worker);
        let _ = tell.send(catch_unwind(AssertUnwindSafe(run)));
    });
    let verdict = match spawned {
        Ok(_) => told.recv_timeout(most),
        Err(error) => Ok(Ok(Err(Failure::Machine(format!("a thread: {error}"))))),
    };
    let (status, message) = match verdict {
        Ok(Ok(Ok(()))) => (Status::Passed, String::new()),
        Ok(Ok(Err(failure @ Failure::Machine(_)))) => (Status::Error, text::clean(&failure.to_string())),
        Ok(Ok(Err(failure))) => (Status::Failed, text::clean(&failure.to_string())),
        Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => (Status::Error, "the check itself broke".into()),
        Err(RecvTimeoutError::Timeout) => (Status::Error, format!("the check came to no end in {} s", most.as_secs())),
    };
    (status, message, start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_told() {
        let judged = |run: fn() -> Verdict| judge(Box::new(run), Duration::from_millis(50)).0;
        assert_eq!(judged(|| Ok(())), Status::Passed);
        assert_eq!(judged(|| Err(Failure::wrong("a", "b", "c"))), Status::Failed);
        assert_eq!(judged(|| Err(Failure::Machine("no".into()))), Status::Error);
        assert_eq!(judged(|| panic!("a check's own mistake")), Status::Error);
        assert_eq!(
            judged(|| loop {
                thread::park()
            }),
            Status::Error
        );
    }
}
