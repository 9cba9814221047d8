//! Chapter 7: images. The OCI layout, pulling from a registry, and `run ubuntu sh`.
//!
//! | module | what it is |
//! |---|---|
//! | [`Reference`], [`Platform`] | what a person types, and what it means |
//! | [`registry`] | a client: manifests and blobs over HTTP, tokens, redirects |
//! | [`media`], [`manifest`], [`digest`] | what the documents say, and that they are what they claim to be |
//! | [`pull`] | layers in parallel: fetched, verified and unpacked in one pass |
//! | [`unpack`] | a layer's archive becomes a directory for overlayfs |
//! | [`store`] | an OCI image layout, with the layers unpacked beside it |
//! | [`archive`] | `save`, `load` and `import`: images as one file |
//! | [`host`] | an image of this machine's own programs, for where there is no registry |
//! | [`config`] | an image's configuration and a person's options become a program |
//! | [`template`], [`listing`] | `--format`, for this chapter's lists and later ones' |
//! | [`program`] | all commands of the step, and the recipe of its `run` |

pub mod archive;
mod args;
pub mod cli;
pub mod config;
pub mod digest;
mod doctor;
pub mod duration;
pub mod host;
pub mod listing;
pub mod manifest;
pub mod media;
mod overlay;
mod pack;
mod platform;
pub mod program;
pub mod pull;
mod reference;
pub mod registry;
pub mod store;
#[allow(unsafe_code)]
mod sys;
pub mod template;
pub mod unpack;

pub use args::{ImageArgs, Policy};
pub use cli::ImageCommand;
pub use config::Planned;
pub use doctor::doctor;
pub use platform::Platform;
pub use process::{Error, Result};
pub use reference::Reference;
pub use store::{Image, Store};
