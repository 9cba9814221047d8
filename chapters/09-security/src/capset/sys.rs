//! The kernel calls about capabilities, which nix does not wrap.

use nix::errno::Errno;

use super::CapSet;

/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h: 64 bits, as two halves.
const VERSION_3: u32 = 0x2008_0522;

/// linux/capability.h, `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// linux/capability.h, `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Three of the sets of this thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadCaps {
    /// What counts.
    pub effective: CapSet,
    /// What may be made effective.
    pub permitted: CapSet,
    /// What may survive an exec.
    pub inheritable: CapSet,
}

/// `capset(2)`: three sets at once.
///
/// # Errors
/// `EPERM` for what is not permitted already.
pub fn capset(caps: ThreadCaps) -> Result<(), Errno> {
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Half {
        effective: (caps.effective.0 >> shift) as u32,
        permitted: (caps.permitted.0 >> shift) as u32,
        inheritable: (caps.inheritable.0 >> shift) as u32,
    };
    let halves = [half(0), half(32)];
    // SAFETY: both structures have the kernel's layout, version 3 reads two halves, and both outlive the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) }).map(drop)
}

/// `capget(2)`: what [`capset`] sets.
///
/// # Errors
/// None that the kernel documents for the own thread.
pub fn capget() -> Result<ThreadCaps, Errno> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut halves = [Half::default(); 2];
    // SAFETY: as for capset; the kernel writes two halves into `halves`, which has room for them.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw const header, halves.as_mut_ptr()) })?;
    let whole = |part: fn(&Half) -> u32| CapSet(u64::from(part(&halves[0])) | u64::from(part(&halves[1])) << 32);
    Ok(ThreadCaps {
        effective: whole(|half| half.effective),
        permitted: whole(|half| half.permitted),
        inheritable: whole(|half| half.inheritable),
    })
}

/// `PR_CAPBSET_READ(2const)`: may an exec of this thread gain capability `number`? Not one that the kernel does not have.
pub fn is_bounding(number: u8) -> bool {
    // SAFETY: takes an integer and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(number), 0, 0, 0) == 1 }
}

/// `PR_CAPBSET_DROP(2const)`: no exec of this thread or its children gains capability `number` any more.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn drop_bounding(number: u8) -> Result<(), Errno> {
    // SAFETY: takes an integer and touches no memory of ours.
    Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) }).map(drop)
}

/// `PR_CAP_AMBIENT(2const)`, raise: an exec keeps capability `number`.
///
/// # Errors
/// `EPERM` if it is not both permitted and inheritable.
pub fn raise_ambient(number: u8) -> Result<(), Errno> {
    let (raise, number) = (libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, libc::c_ulong::from(number));
    // SAFETY: takes integers and touches no memory of ours.
    Errno::result(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, number, 0, 0) }).map(drop)
}

/// `PR_CAP_AMBIENT(2const)`, clear all.
///
/// # Errors
/// None that the kernel documents.
pub fn clear_ambient() -> Result<(), Errno> {
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
    // SAFETY: takes integers and touches no memory of ours.
    Errno::result(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, 0, 0, 0) }).map(drop)
}
