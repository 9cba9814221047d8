//! Chapter 4: control groups. How much a container may use, what it uses, and how to hold it still.
//!
//! A cgroup is a directory. Its files are the interface: a limit is a write, a statistic is a read, and
//! the kernel's Documentation/admin-guide/cgroup-v2.rst is the manual. Only version 2 is served; a limit
//! that cannot be set is refused with the reason, never forgotten.
//!
//! [`Cgroup`] is the stage. It comes after chapter 3's system mounts, since it mounts something into /sys.

pub mod cli;
mod controller;
mod cpu;
mod device;
mod doctor;
mod group;
mod hierarchy;
mod join;
mod limits;
mod list;
mod memory;
mod place;
mod size;
mod stage;
mod stats;
pub mod sweep;
mod systemd;
mod table;
mod view;

pub use controller::Controller;
pub use cpu::weight_of_shares;
pub use device::DeviceRate;
pub use doctor::doctor;
pub use group::Group;
pub use hierarchy::Hierarchy;
pub use join::JoinGroup;
pub use limits::{Limits, Machine, Setting};
pub use list::NumberList;
pub use memory::MemorySwap;
pub use place::{Held, PARENT, Place};
pub use size::Bytes;
pub use stage::Cgroup;
pub use stats::{Cpu, Io, Memory, Pids, Pressure, Stats};
pub use sweep::kill_and_remove;
pub use systemd::delegate;
