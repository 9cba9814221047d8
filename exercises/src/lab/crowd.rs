//! Who is slow because others crowd the machine is not to blame: when rooms run side by side, it is known which of them
//! held more processes than anybody needs, and when.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use super::family::Process;

/// More threads than this in one room are a crowd.
const CROWD: usize = 40;

/// Which thread's room was last seen crowded, and when.
static SEEN: Mutex<Vec<(ThreadId, Instant)>> = Mutex::new(Vec::new());

/// Looks at the processes of a room of this thread's.
pub(super) fn note(family: &[Process]) {
    if family.iter().map(threads).sum::<usize>() <= CROWD {
        return;
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.retain(|(thread, _)| *thread != thread::current().id());
    seen.push((thread::current().id(), Instant::now()));
}

/// Was a room of another thread's crowded since then?
pub fn by_others(since: Instant) -> bool {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.iter().any(|(thread, when)| *thread != thread::current().id() && *when >= since)
}

/// How many threads it has (proc_pid_stat(5), `num_threads`).
fn threads(process: &Process) -> usize {
    let stat = process.read("stat").unwrap_or_default();
    let field = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(17));
    field.and_then(|field| field.parse().ok()).unwrap_or(1)
}
