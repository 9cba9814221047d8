//! How a child ended.
//!
//! This program starts another one and waits for it, as an engine does: `exit_code sh -c 'exit 7'`. What it does not do
//! yet is tell how that one ended. Its own exit code shall say it as a shell would: the child's code if it exited,
//! 128 and the signal's number if a signal ended it.
//!
//! Read: the book, chapter 1, "How it ended"; wait(2).

use std::process::ExitCode;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_else(|| "true".into());
    let Ok(child) = std::process::Command::new(name).args(words).spawn() else {
        return ExitCode::from(127);
    };
    let status = waitpid(Pid::from_raw(child.id().cast_signed()), None).expect("it is our child");
    ExitCode::from(code_of(status))
}

/// The exit code that tells how a child ended.
fn code_of(status: WaitStatus) -> u8 {
    //@ starter
    todo!("tell how the child ended: {status:?}")
    //@ solution
    match status {
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(u8::MAX),
        WaitStatus::Signaled(_, signal, _) => 128 + signal as u8,
        other => unreachable!("waitpid without options waits for an end: {other:?}"),
    }
    //@ wrong no-signals
    match status {
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(u8::MAX),
        _ => 1,
    }
    //@ wrong always-one
    match status {
        WaitStatus::Exited(_, 0) => 0,
        _ => 1,
    }
    //@ end
}
