//! A terminal of the container's own: one end is its standard input and output, we hold the other.

use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::dup2_stdin;
use process::{Attend, Child, OrCall, Program, Result, Stage};

use crate::pty;
use crate::relay::Relay;

/// What the program's standard input and output are.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Terminal options")]
pub struct TerminalArgs {
    /// Keep standard input open (implied when input and output are a terminal)
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the program a terminal of its own (implied when input and output are a terminal)
    #[arg(short, long)]
    pub tty: bool,
}

/// The stage that arranges standard input, output and error. It comes after the user is assumed, so that
/// the terminal belongs to that user.
pub struct Console {
    tty: bool,
    interactive: bool,
    /// The master travels over this pair, from the child that opened it to the parent that relays.
    pair: Option<(OwnedFd, OwnedFd)>,
    /// The host's /dev/null: what bears that name in the container may be anything, also what never answers.
    null: Option<OwnedFd>,
}

impl TerminalArgs {
    /// What is meant. A person at a terminal wants `-it` without asking for it.
    #[must_use]
    pub fn decided(self) -> Self {
        let person = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        Self { tty: self.tty || (person && !self.interactive), interactive: self.interactive || person }
    }

    /// The stage.
    pub fn console(self) -> Console {
        let Self { interactive, tty } = self.decided();
        Console { tty, interactive, pair: None, null: None }
    }
}

impl Stage for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    fn prepare(&mut self) -> Result<()> {
        if self.tty {
            let pair = socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC);
            self.pair = Some(pair.or_call("socketpair", "for the terminal")?);
        } else if !self.interactive {
            let null = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
            self.null = Some(null.or_call("open", "/dev/null")?);
        }
        Ok(())
    }

    fn start_container(&mut self, program: &mut Program) -> Result<()> {
        let Some((_, childs)) = &self.pair else {
            // Without `-i` there is no input, so that a loop in a script keeps its own.
            return self.null.as_ref().map_or(Ok(()), |null| dup2_stdin(null).or_call("dup2", "standard input"));
        };
        let size = process::sys::window_size(std::io::stdin().as_fd()).ok();
        let terminal = pty::open()?;
        pty::send(childs.as_fd(), &terminal.master)?;
        terminal.take(size)?;
        if program.var("TERM").is_none() {
            program.set_var("TERM", "xterm");
        }
        Ok(())
    }

    fn poststart(&mut self, _child: &Child) -> Result<Option<Box<dyn Attend>>> {
        let Some((ours, _)) = self.pair.take() else { return Ok(None) };
        Ok(Some(Box::new(Relay::new(pty::receive(ours.as_fd())?, self.interactive)?)))
    }
}
