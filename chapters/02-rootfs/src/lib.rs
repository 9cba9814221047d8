//! Chapter 2: a root of its own. chroot, a root built from this machine, and the way out of it.

pub mod dirs;
mod root;

pub use dirs::dirs;
pub use root::{RootDir, fd_path};
