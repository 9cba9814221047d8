//! Our own terminal while it stands for the container's.

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use process::{OrCall, Result, explain};

use crate::sys::stdin;

/// Our terminal in raw mode: every key goes to the container, Ctrl-C too. On drop it is as before.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Enters raw mode.
    ///
    /// # Errors
    /// As tcgetattr(3) and tcsetattr(3): `ENOTTY` if standard input is no terminal.
    pub fn enter() -> Result<Self> {
        let terminal = stdin();
        let before = tcgetattr(terminal).or_call("tcgetattr", "standard input")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(terminal, SetArg::TCSANOW, &raw).or_call("tcsetattr", "standard input")?;
        explain!(3, "each key goes to the container as it is", "tcsetattr(0, raw)");
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), SetArg::TCSADRAIN, &self.before);
    }
}
