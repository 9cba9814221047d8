//! How a process ended, and the exit code that tells it, as shells do.

use std::process::ExitCode;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called exit(2) with this code.
    Code(u8),
    /// A signal ended it.
    Signal(Signal),
}

impl Exit {
    /// The engine itself failed before the program ran. Docker's number.
    pub const ENGINE: u8 = 125;
    /// The program was found but could not be executed (POSIX shell, "Exit Status for Commands").
    pub const NOT_EXECUTABLE: u8 = 126;
    /// The program was not found.
    pub const NOT_FOUND: u8 = 127;

    /// What waitpid(2) reported, if it was an end.
    pub fn from_wait(status: WaitStatus) -> Option<Self> {
        match status {
            WaitStatus::Exited(_, code) => Some(Self::Code(code as u8)),
            WaitStatus::Signaled(_, signal, _) => Some(Self::Signal(signal)),
            _ => None,
        }
    }

    /// The code a shell would show: the program's own, or 128 + the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal as u8,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
