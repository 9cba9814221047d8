//! The `unsafe` lines of the attacks: bare system calls.

use nix::errno::Errno;

/// An argument of a system call.
pub enum Arg<'a> {
    /// A number, a descriptor, flags.
    Is(u64),
    /// Memory that the kernel reads or writes.
    Of(&'a mut [u8]),
}

/// Any system call, by number; what is missing of its arguments is zero.
pub fn call(number: i64, args: &mut [Arg<'_>]) -> Result<u64, Errno> {
    let mut words = [0_u64; 6];
    for (word, arg) in words.iter_mut().zip(args.iter_mut()) {
        *word = match arg {
            Arg::Is(number) => *number,
            Arg::Of(bytes) => bytes.as_mut_ptr() as u64,
        };
    }
    let [a, b, c, d, e, f] = words;
    // SAFETY: pointers are to memory that is borrowed for the call and as long as the caller says it is; other
    // arguments are numbers, which the kernel checks. No call that is made here maps or frees memory of ours.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e, f) }).map(i64::cast_unsigned)
}

/// Copies this process with clone(2) and `flags`; the copy ends at once.
pub fn clone(flags: libc::c_int) -> Result<(), Errno> {
    let flags = (flags | libc::SIGCHLD) as u64;
    // SAFETY: without CLONE_VM the copy has memory of its own, on which it does nothing but end.
    match Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })? {
        // SAFETY: never returns and touches no memory.
        0 => unsafe { libc::_exit(0) },
        child => nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child as i32), None).map(drop),
    }
}
