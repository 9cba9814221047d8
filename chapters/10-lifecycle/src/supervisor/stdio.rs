//! What the program's standard input, output and error are, when nobody's terminal is: pipes, or a pty, of which the
//! supervisor has the other ends.

use std::os::fd::{AsFd, OwnedFd};

use namespaces::pty;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, pipe2};
use process::{OrCall, Program, Result, Stage};

/// The stage. It stands where chapter 3's `Console` does in a `run` in the foreground.
pub struct Stdio {
    childs: Childs,
}

enum Childs {
    /// The child opens a pty and sends the master over this.
    Terminal(OwnedFd),
    /// The child's ends: input, output, error.
    Pipes([OwnedFd; 3]),
}

/// The supervisor's ends.
pub enum Ends {
    /// The master of a pty, once the child has sent it.
    Terminal(OwnedFd),
    /// Pipes: into the program, if its input is open, and out of it.
    Pipes {
        /// Its standard input.
        stdin: Option<OwnedFd>,
        /// Its standard output.
        stdout: OwnedFd,
        /// Its standard error.
        stderr: OwnedFd,
    },
}

impl Stdio {
    /// With a terminal (`tty`), or with pipes; input is empty unless it is `open_stdin`.
    ///
    /// # Errors
    /// As pipe2(2), socketpair(2), open(2) of /dev/null.
    pub fn new(tty: bool, open_stdin: bool) -> Result<(Self, Ends)> {
        if tty {
            let pair = socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC);
            let (ours, childs) = pair.or_call("socketpair", "for the terminal")?;
            return Ok((Self { childs: Childs::Terminal(childs) }, Ends::Terminal(ours)));
        }
        let pipe = || pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "for the output");
        let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
        let (input, stdin) = if open_stdin {
            let (read, write) = pipe()?;
            (read, Some(write))
        } else {
            let null = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
            (null.or_call("open", "/dev/null")?, None)
        };
        Ok((Self { childs: Childs::Pipes([input, out, err]) }, Ends::Pipes { stdin, stdout, stderr }))
    }
}

impl Ends {
    /// The ends as they are once the program runs: what came over the socket is the terminal.
    ///
    /// # Errors
    /// As recvmsg(2).
    pub fn arrived(self) -> Result<Self> {
        match self {
            Self::Terminal(socket) => Ok(Self::Terminal(pty::receive(socket.as_fd())?)),
            pipes => Ok(pipes),
        }
    }
}

impl Stage for Stdio {
    fn name(&self) -> &'static str {
        "standard input and output"
    }

    fn start_container(&mut self, program: &mut Program) -> Result<()> {
        match &self.childs {
            Childs::Terminal(socket) => {
                let terminal = pty::open()?;
                pty::send(socket.as_fd(), &terminal.master)?;
                terminal.take(None)?;
                if program.var("TERM").is_none() {
                    program.set_var("TERM", "xterm");
                }
                Ok(())
            }
            Childs::Pipes([input, output, error]) => {
                dup2_stdin(input).or_call("dup2", "standard input")?;
                dup2_stdout(output).or_call("dup2", "standard output")?;
                dup2_stderr(error).or_call("dup2", "standard error")
            }
        }
    }
}
