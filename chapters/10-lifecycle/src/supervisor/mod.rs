//! The supervisor: one process for each container, which holds its terminal or pipes, writes its log, tends its clients
//! and its health, and records its end. It outlives the command that started it, and the daemon.
//!
//! A process that changes clothes. The *heavy* phase builds the container with everything that the earlier chapters
//! have; then it executes its own program again as the *light* one, which knows nothing of images and networks: one
//! thread, one poll loop, less than 3 MB of memory. When the container ends, the light phase records that and executes
//! the heavy one again, which cleans up, and starts the container anew if its policy says so.
//!
//! | | |
//! |---|---|
//! | [`handover`] | from the heavy phase to the light one |
//! | `begin`, `light` | the loop |
//! | `output`, [`lines`], [`json`], [`log`] | from the program's pipes to the log |
//! | [`attach`], `input` | who is attached, and the program's standard input |
//! | [`control`], `serve` | requests and answers |
//! | [`health`], [`restart`] | checks and policies |
//! | `ending`, [`exit`] | the end, and what is told of it |
//! | `thrift` | less than 3 MB |

pub mod attach;
mod begin;
pub mod control;
pub mod end;
mod ending;
pub mod exit;
pub mod handover;
pub mod health;
mod heavy;
mod input;
pub mod json;
mod light;
pub mod lines;
pub mod log;
mod output;
pub mod report;
pub mod restart;
mod serve;
pub mod spawn;
pub mod stamp;
pub mod stdio;
#[allow(unsafe_code)]
mod sys;
mod thrift;

use std::path::{Path, PathBuf};

pub use handover::{Descriptors, Handover, Then};
pub(crate) use sys::stdin;

/// If this process was executed as a supervisor, or to serve a network, becomes that and never returns. The first thing
/// that `main` does.
pub fn enter_if_asked() {
    network::attend_if_asked();
    let mut args = std::env::args_os();
    if args.next().is_none_or(|name| name != handover::NAME) {
        return;
    }
    let args: Vec<_> = args.map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["start", ..] | ["again" | "end", _] => heavy::enter(&words),
        [_, file] => light::enter(Path::new(file)),
        _ => heavy::enter(&words),
    }
}

/// The runtime directory of container `id`'s supervisor.
pub fn directory(id: &str) -> PathBuf {
    rootfs::dirs().run.join("supervisors").join(id)
}

/// The socket at which the supervisor of container `id` is asked.
pub fn socket(id: &str) -> PathBuf {
    directory(id).join(control::SOCKET)
}
