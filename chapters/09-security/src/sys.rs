//! Every `unsafe` line of paths, devices and labels: the kernel calls that nix does not wrap.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

// Commands and flags of bpf(2), from linux/bpf.h.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_DETACH: libc::c_long = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 4;
/// The most programs that the kernel attaches to one group (`BPF_CGROUP_MAX_PROGS`).
const MOST_PROGRAMS: usize = 64;

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
const KEYCTL_SETPERM: libc::c_long = 5;

/// Owns the descriptor that a call has just returned.
fn owned(result: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = Errno::result(result)?;
    // SAFETY: every caller passes what a kernel call returned as a new descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// bpf(2) with the part of `union bpf_attr` that the command reads; the rest of the union counts as zero.
fn bpf<T>(command: libc::c_long, attr: &mut T) -> Result<libc::c_long, Errno> {
    // SAFETY: every caller passes a `repr(C)` structure laid out as the command's part of union bpf_attr, whose
    // pointers are valid for the call; the kernel is told its size.
    Errno::result(unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) })
}

/// Loads a program of type `BPF_PROG_TYPE_CGROUP_DEVICE` (bpf(2)); `instructions` are 64 bits each.
///
/// # Errors
/// `EPERM` without CAP_BPF or CAP_SYS_ADMIN in the first user namespace, `EACCES` or `EINVAL` if the verifier does not
/// accept it, `ENOSYS` or `EINVAL` in a kernel without CONFIG_CGROUP_BPF.
pub fn bpf_load_device_program(instructions: &[u64], name: &CStr) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Load {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
    }
    let mut prog_name = [0; 16];
    let length = name.to_bytes().len().min(15);
    prog_name[..length].copy_from_slice(&name.to_bytes()[..length]);
    let mut attr = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name,
    };
    owned(bpf(BPF_PROG_LOAD, &mut attr)?)
}

#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Attaches a device program to the group `cgroup`, in the place of `old` if there is one.
///
/// # Errors
/// `EPERM` without the right to, or where a group above has a program that admits no other; `E2BIG` past 64 programs.
pub fn bpf_attach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>, old: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut attr = Attach {
        target_fd: number(cgroup),
        attach_bpf_fd: number(program),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI | if old.is_some() { BPF_F_REPLACE } else { 0 },
        replace_bpf_fd: old.map_or(0, number),
    };
    bpf(BPF_PROG_ATTACH, &mut attr).map(drop)
}

/// Takes a device program off the group.
///
/// # Errors
/// `ENOENT` if it is not there.
pub fn bpf_detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut attr = Attach {
        target_fd: number(cgroup),
        attach_bpf_fd: number(program),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: 0,
        replace_bpf_fd: 0,
    };
    bpf(BPF_PROG_DETACH, &mut attr).map(drop)
}

/// The device programs that are attached to the group itself.
///
/// # Errors
/// As bpf(2).
pub fn bpf_device_programs(cgroup: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Errno> {
    #[repr(C)]
    struct Query {
        target_fd: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        prog_cnt: u32,
        padding: u32,
    }
    let mut ids = [0_u32; MOST_PROGRAMS];
    let mut attr = Query {
        target_fd: number(cgroup),
        attach_type: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
        padding: 0,
    };
    bpf(BPF_PROG_QUERY, &mut attr)?;
    let count = (attr.prog_cnt as usize).min(ids.len());
    ids[..count].iter().map(|&id| bpf_program_by_id(id)).collect()
}

fn bpf_program_by_id(id: u32) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct ById {
        id: u32,
        next_id: u32,
        open_flags: u32,
    }
    owned(bpf(BPF_PROG_GET_FD_BY_ID, &mut ById { id, next_id: 0, open_flags: 0 })?)
}

/// `keyctl(2)`, `KEYCTL_JOIN_SESSION_KEYRING`: a new session keyring of this name; gives its serial number.
///
/// # Errors
/// `ENOSYS` in a kernel without keys, `EPERM` where a filter denies the call, `EDQUOT` past the user's quota.
pub fn join_session_keyring(name: &CStr) -> Result<i32, Errno> {
    // SAFETY: the name is a C string; the kernel only reads it.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    Errno::result(serial).map(|serial| serial as i32)
}

/// `keyctl(2)`, `KEYCTL_SETPERM`: who may do what with a key (keyrings(7), "Access rights").
///
/// # Errors
/// `EACCES` if it is not ours.
pub fn set_key_permissions(serial: i32, permissions: u32) -> Result<(), Errno> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_SETPERM, serial, permissions) }).map(drop)
}

/// The file that this process was executed as (`AT_EXECFN`, getauxval(3)).
pub fn executed_as() -> &'static CStr {
    // SAFETY: getauxval has no preconditions.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return c"";
    }
    // SAFETY: the kernel has put a C string there, on the stack's far end, and nobody writes it.
    unsafe { CStr::from_ptr(address as *const libc::c_char) }
}

/// `setdomainname(2)`: the NIS domain name of this UTS namespace.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN` in the user namespace that owns it, `EINVAL` for more than 64 bytes.
pub fn setdomainname(name: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `name.len()` bytes, which are there for the time of the call.
    Errno::result(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}
