//! Chapter 5: layers. overlayfs, whiteouts, diff and commit, bind mounts and volumes.
//!
//! The order of the stages: [`Storage`] (the container's directory on the host), [`Overlay`] (its root), chapter 3's
//! system mounts, [`Mounts`] (what the user asked for). [`diff`] and [`commit`] read what the container wrote.

mod args;
pub mod cli;
mod cli_volume;
mod commit;
mod config;
mod container;
mod copy;
mod diff;
mod dir;
mod doctor;
mod export;
mod filesystem;
mod init;
mod long;
mod lower;
mod marks;
mod mounts;
mod options;
mod overlay;
mod peers;
mod short;
mod spec;
mod storage;
#[allow(unsafe_code)]
mod sys;
mod tarball;
#[cfg(test)]
mod upper_tests;
mod volume;

pub use args::{LayerArgs, MountArgs};
pub use cli_volume::VolumeCommand;
pub use commit::{Committed, commit};
pub use config::Config;
pub use container::ContainerDir;
pub use diff::{Change, ChangeKind, diff};
pub use doctor::doctor;
pub use export::export;
pub use marks::in_user_namespace;
pub use mounts::Mounts;
pub use options::MOST_LAYERS;
pub use overlay::Overlay;
pub use spec::{Bind, MountSpec, Source, Tmpfs};
pub use storage::{Storage, remove_with_volumes};
pub use volume::Volume;
