//! The `unsafe` lines: wait4(2), which std does not have; it tells what the child took.

/// Waits for a child; did it end well, and what was its largest resident set, in KiB?
pub fn wait(pid: u32) -> (bool, i64) {
    // SAFETY: rusage is plain data for which all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: both pointers are valid for the call; the child is ours and has not been waited for.
    let done = unsafe { libc::wait4(pid.cast_signed(), &raw mut status, 0, &raw mut usage) };
    (done > 0 && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, usage.ru_maxrss)
}
