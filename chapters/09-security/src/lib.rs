//! Chapter 9: security. What a container may still do, and how the rest is taken from it.
//!
//! [`Confinement`] is the decision, as data; [`SecurityArgs`] makes it of a person's options; stages
//! carry it out, each at its own place of the recipe.
//!
//! | module | what it is |
//! |---|---|
//! | [`confinement`] | the decision, kept as `security.json` |
//! | [`capset`], [`capadd`], [`rlimits`], [`sysctls`] | capabilities, resource limits and kernel settings, by name |
//! | [`SecurityArgs`], [`security_opt`] | a person's options |
//! | [`Paths`] | what of /proc and /sys is covered, or can only be read |
//! | [`Devices`], [`DeviceRules`] | nodes, and the program that the kernel asks at each open |
//! | [`labels`], [`keyring`], [`landlock`] | what else the kernel may hold a process to |
//! | [`IdMapped`] | a user namespace for root's containers |
//! | [`sealed`] | the engine's own file, out of reach of what runs inside |
//! | [`procfs`] | the kernel's own /proc, and nothing in its place |
//! | [`stdio`] | the caller's terminal and the host's null device, out of reach too |
//! | [`Confine`], [`Seal`] | the stages before and after the user is assumed |
//! | [`seccomp`] | the filter of system calls |
//! | [`exec`], [`detached`] | a program beside the container's own, confined as it is |
//! | [`audit`] | what a process may still do, read from the kernel |
//! | [`program`] | all commands of the step, and the recipe of its `run` |

mod args;
pub mod audit;
mod bpf;
pub mod capadd;
pub mod capset;
mod confine;
pub mod confinement;
pub mod detached;
pub mod device_rules;
pub mod devices;
mod doctor;
pub mod exec;
pub mod idmapped;
pub mod keyring;
pub mod labels;
pub mod landlock;
pub mod paths;
mod privileged;
pub mod procfs;
pub mod program;
pub mod rlimits;
mod seal;
pub mod sealed;
pub mod seccomp;
pub mod security_opt;
pub mod stdio;
#[allow(unsafe_code)]
mod sys;
pub mod sysctls;

pub use args::SecurityArgs;
pub use audit::AuditArgs;
pub use capset::CapSet;
pub use confine::Confine;
pub use confinement::{Access, Capabilities, Confinement, Device, DeviceKind, DeviceRule, Landlock, SelinuxLabels};
pub use device_rules::DeviceRules;
pub use devices::{DeviceArg, Devices};
pub use doctor::doctor;
pub use idmapped::IdMapped;
pub use paths::Paths;
pub use privileged::Writable;
pub use process::{Error, Result};
pub use rlimits::{Rlimit, RlimitKind};
pub use seal::Seal;
pub use seccomp::SeccompCommand;
pub use sysctls::Sysctls;
