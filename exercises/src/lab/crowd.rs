//! Who is slow because others crowd the machine is not to blame: when rooms run side by side, it is known which of them
//! held more threads than anybody needs, and when.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::family::Process;

/// More threads than this in one room are a crowd.
const CROWD: usize = 40;

/// Whose room was last seen crowded, and when.
static SEEN: Mutex<Vec<(usize, Instant)>> = Mutex::new(Vec::new());

thread_local! {
    static WHO: Cell<usize> = const { Cell::new(0) };
}

/// For whom this thread works.
pub fn who() -> usize {
    WHO.get()
}

/// Rooms that this thread makes are this one's.
pub fn set_who(who: usize) {
    WHO.set(who);
}

/// Looks at the processes of a room of ours.
pub(super) fn note(family: &[Process]) {
    if family.iter().map(threads).sum::<usize>() <= CROWD {
        return;
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.retain(|(by, _)| *by != who());
    seen.push((who(), Instant::now()));
}

/// Was somebody else's room crowded since then?
pub fn by_others(since: Instant) -> bool {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.iter().any(|(by, when)| *by != who() && *when >= since)
}

/// How many threads it has (proc_pid_stat(5), `num_threads`).
fn threads(process: &Process) -> usize {
    let stat = process.read("stat").unwrap_or_default();
    let field = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(17));
    field.and_then(|field| field.parse().ok()).unwrap_or(1)
}
