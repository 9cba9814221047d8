//! Chapter 1: a process.
//!
//! A container is a process that was started with care. This crate starts one: it makes a child,
//! lets a list of [`Stage`]s prepare it from outside and from inside, replaces it by the program,
//! forwards signals, waits, and undoes what was prepared. The stages are what the later chapters
//! add; the order of events is [`init`]'s, and never changes again.

pub mod address;
pub mod cli;
mod container;
pub mod doctor;
mod error;
mod exec;
mod exit;
pub mod explain;
mod identity;
mod init;
mod reaper;
mod signals;
mod stage;
mod sync;
#[allow(unsafe_code)]
pub mod sys;
mod terminal;
mod wait;

pub use cli::ProcessArgs;
pub use container::{Container, Created, Exited, Handed, Running, names as namespace_names, start};
pub use error::{Error, Kind, OrCall, Result};
pub use exec::Program;
pub use exit::Exit;
pub use identity::{Identity, UserSpec};
pub use signals::parse_signal;
pub use stage::{Attend, Child, Keep, Stage};
