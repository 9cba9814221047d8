//! Chapter 2: a root of its own. chroot, a root built from this machine, and the way out of it.
//!
//! [`Recipe`] makes a root: [`loader`] finds what a program needs by reading it, [`tree`] copies that to
//! the same paths. [`Chroot`] makes the directory a process's root, and [`escape`] leaves it again.

mod chroot;
pub mod dirs;
mod doctor;
pub mod elf;
pub mod escape;
mod host;
pub mod ldconf;
pub mod loader;
mod partial;
pub mod programs;
pub mod recipe;
mod root;
pub mod script;
mod skeleton;
pub mod tree;

pub use chroot::Chroot;
pub use dirs::dirs;
pub use doctor::doctor;
pub use escape::Escape;
pub use host::{RootArgs, host_root, root_or_default};
pub use partial::Partial;
pub use recipe::{LeftOut, Recipe, Report};
pub use root::{RootDir, fd_path};
