//! The filter of system calls: which of the kernel's doors a container may try at all.
//!
//! [`Profile`] reads Docker's format and decides its conditions; [`compile`] makes one program of the outcome, in the
//! parent; [`Programs::install`] hands it to the kernel, in the child, as the last thing before exec.
//!
//! Two differences from runc with libseccomp, both on the careful side: x32 calls get the default action even if the
//! profile names `SCMP_ARCH_X32`, and a rule for `socket` opens nothing in i386's `socketcall`.

mod arch;
mod assemble;
mod compile;
mod explain;
mod listener;
pub mod numbers;
mod profile;
mod rules;
#[allow(unsafe_code)]
mod sys;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;

use assemble::{Instruction, RETURN};
use nix::errno::Errno;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompFilterFlag};
use process::{Error, Result};

pub use arch::Arch;
pub use compile::compile;
pub use explain::SeccompCommand;
pub use listener::{Call, Listener};
pub use profile::{Condition, Kernel, Profile, Rule};

use crate::CapSet;

/// Docker's default profile for a container with the capabilities `caps` in its bounding set.
///
/// # Errors
/// None: a test reads the profile.
pub fn default_profile(caps: &CapSet, arch: Arch, kernel: Kernel) -> Result<LinuxSeccomp> {
    Ok(Profile::docker()?.decide(*caps, arch, kernel))
}

/// A filter ready for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    program: Vec<Instruction>,
    flags: libc::c_ulong,
    listener: Option<Listener>,
}

impl Programs {
    fn new(program: Vec<Instruction>, profile: &LinuxSeccomp) -> Result<Self> {
        let mut flags = 0;
        for flag in profile.flags().iter().flatten() {
            flags |= match flag {
                LinuxSeccompFilterFlag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
                LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                // "All threads of the process": the container's process has one.
                LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
            };
        }
        let notifies = program.iter().any(|one| one.k == libc::SECCOMP_RET_USER_NOTIF && one.code == RETURN);
        let listener = match profile.listener_path() {
            _ if !notifies => None,
            Some(path) => Some(Listener { path: path.clone(), metadata: profile.listener_metadata().clone() }),
            None => {
                return Err(Error::invalid("seccomp: SCMP_ACT_NOTIFY without listenerPath")
                    .help("the profile must say at which socket somebody answers"));
            }
        };
        if listener.is_some() {
            flags |= libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        }
        Ok(Self { program, flags, listener })
    }

    /// Who answers the calls that the profile puts to somebody; then [`install`](Self::install) gives a descriptor.
    pub fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// How many instructions it has.
    pub fn instructions(&self) -> usize {
        self.program.len()
    }

    /// Lays the filter over this thread, for good. Allocates nothing unless it fails.
    ///
    /// # Errors
    /// `EACCES` without `CAP_SYS_ADMIN` in the user namespace and without no_new_privs; else as seccomp(2).
    pub fn install(&self) -> Result<Option<OwnedFd>> {
        // Told before it is done: afterwards the filter may not let us write.
        process::explain!(
            9,
            "calls outside of the profile are refused from here on",
            "seccomp(SET_MODE_FILTER, {} instructions)",
            self.program.len()
        );
        sys::set_filter(&self.program, self.flags).map_err(|errno| {
            let error = Error::call("seccomp", format!("SECCOMP_SET_MODE_FILTER, flags {:#x}", self.flags), errno);
            match errno {
                Errno::EACCES => error.help("it takes CAP_SYS_ADMIN, or no_new_privs (--security-opt no-new-privileges)"),
                Errno::EBUSY => error.help("a filter with a listener is there already: only one may have one"),
                Errno::ENOSYS | Errno::EINVAL => error.help("the kernel lacks CONFIG_SECCOMP_FILTER, or a flag of the profile; --security-opt seccomp=unconfined goes without"),
                _ => error,
            }
        })
    }
}
