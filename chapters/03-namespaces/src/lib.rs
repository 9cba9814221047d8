//! Chapter 3: namespaces. Eight views of the system, pivot_root, and containers without root.
//!
//! The order of the stages, which a step's `main` spells out: [`UserNamespace`] (if any), [`running::Record`],
//! [`Isolation`]; then a root ([`BindRoot`], or a later chapter's); [`SystemMounts`]; [`PivotRoot`];
//! the identity of chapter 1; [`Console`].

mod args;
mod console;
mod dev;
mod doctor;
pub mod id;
mod idmap;
pub mod inspect;
mod isolation;
mod join;
mod manner;
pub mod mount;
mod occupants;
mod pivot;
pub mod pty;
mod raw;
mod relay;
pub mod rootless;
pub mod running;
#[allow(unsafe_code)]
mod sys;
mod system;
mod user;

pub use args::{MapArg, Namespace, NamespaceArgs, Plan};
pub use console::{Console, TerminalArgs};
pub use doctor::doctor;
pub use idmap::{IdMap, IdRange, find_program};
pub use isolation::{CLONE_NEWTIME, Isolation};
pub use join::Join;
pub use manner::Manner;
pub use pivot::{BindRoot, PivotRoot};
pub use raw::Raw;
pub use system::SystemMounts;
pub use user::UserNamespace;
