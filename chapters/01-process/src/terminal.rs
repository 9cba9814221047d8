//! The terminal's foreground: who gets Ctrl-C, and who may read (credentials(7), tcsetpgrp(3)).

use std::io::IsTerminal;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

use crate::{OrCall, Result, explain};

/// The right to the terminal, if this process has it; given to the program and taken back on drop.
pub struct Foreground {
    ours: Option<Pid>,
}

impl Foreground {
    /// Looks whether standard input is a terminal with our own group in the foreground.
    pub fn find() -> Self {
        let stdin = std::io::stdin();
        let ours = getpgrp();
        let is_ours = stdin.is_terminal() && tcgetpgrp(stdin.as_fd()) == Ok(ours);
        Self { ours: is_ours.then_some(ours) }
    }

    /// No right to any terminal, whatever standard input is.
    pub fn none() -> Self {
        Self { ours: None }
    }

    /// Do we have it?
    pub fn is_ours(&self) -> bool {
        self.ours.is_some()
    }

    /// Takes the terminal back from the program. SIGTTOU is blocked here, or this call would stop us.
    pub fn take_back(&self) {
        if let Some(group) = self.ours {
            let _ = tcsetpgrp(std::io::stdin().as_fd(), group);
        }
    }

    /// Hands the terminal to the program's group again, after a stop.
    pub fn give(&self, program: Pid) {
        if self.ours.is_some() {
            let _ = tcsetpgrp(std::io::stdin().as_fd(), program);
        }
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// In the child: makes its process group the terminal's foreground.
pub fn take_foreground() -> Result<()> {
    match tcsetpgrp(std::io::stdin().as_fd(), getpgrp()) {
        // The terminal was replaced meanwhile, or belongs to another session: nothing to take.
        Err(Errno::ENOTTY | Errno::EPERM) => Ok(()),
        done => {
            explain!(1, "Ctrl-C reaches the program only", "tcsetpgrp(0, {})", getpgrp());
            done.or_call("tcsetpgrp", "standard input")
        }
    }
}
