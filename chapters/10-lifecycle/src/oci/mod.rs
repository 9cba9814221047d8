//! The OCI runtime: a bundle of config.json and a root becomes a container, by the stages of all chapters.
//!
//! `cooper-runtime` is this module as a program, for Podman, containerd and Docker to drive.

mod attributes;
pub mod bundle;
mod cgroup;
pub mod cli;
mod confinement;
mod console;
mod copyup;
mod devices;
mod entry;
mod errors;
mod exec;
pub mod hooks;
mod idmap;
mod jail;
mod lenient;
mod log;
mod members;
pub mod mount_options;
mod mount_plan;
mod mounts;
mod namespaces;
mod offsets;
mod process;
mod recipe;
mod record;
pub mod resources;
mod root;
mod state;
mod stats;
mod store;
#[allow(unsafe_code)]
mod sys;
mod systemd;
mod target;

pub use bundle::Bundle;
pub use exec::{Join, exec_recipe};
pub use recipe::{Groups, Place, recipe};
