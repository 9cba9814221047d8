//! A program that goes on without us: this process forks, and the copy stays with the program until it ends.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setsid};
use process::{Container, Exit, OrCall, Program, Result, Stage, cli, sys};

/// The stage that gives the program nothing to read and nobody to listen.
#[derive(Default)]
pub struct Silent {
    null: Option<OwnedFd>,
}

impl Stage for Silent {
    fn name(&self) -> &'static str {
        "standard output"
    }

    fn prepare(&mut self) -> Result<()> {
        self.null = Some(null()?);
        Ok(())
    }

    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        self.null.as_ref().map_or(Ok(()), silence)
    }
}

/// The host's: what bears that name in a container may be anything.
fn null() -> Result<OwnedFd> {
    open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", "/dev/null")
}

fn silence(null: &OwnedFd) -> Result<()> {
    dup2_stdin(null).or_call("dup2", "standard input")?;
    dup2_stdout(null).or_call("dup2", "standard output")?;
    dup2_stderr(null).or_call("dup2", "standard error")
}

/// Runs `container`, and returns as soon as its program runs. What keeps it from running is told here still.
///
/// # Errors
/// As [`Container::create`] and [`start`](process::Created::start), in the copy; it exits with the code of that.
pub fn run(container: Container) -> Result<ExitCode> {
    let (ours, copys) = pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "")?;
    match sys::fork().or_call("fork", "the process that stays with the program")? {
        ForkResult::Child => {
            drop(ours);
            setsid().or_call("setsid", "")?; // Ctrl-C at our terminal is nothing to it
            let null = null()?;
            let running = container.create()?.start()?;
            let _ = File::from(copys).write_all(b"started");
            silence(&null)?;
            Ok(cli::finish(running.wait()?))
        }
        ForkResult::Parent { child } => {
            drop((copys, container));
            let mut word = Vec::new();
            File::from(ours).read_to_end(&mut word).or_call("read", "from the copy")?;
            if word == b"started" {
                return Ok(ExitCode::SUCCESS);
            }
            let status = loop {
                match waitpid(child, None) {
                    Err(Errno::EINTR) => {}
                    status => break status.or_call("waitpid", child)?,
                }
            };
            Ok(Exit::from_wait(status).map_or(Exit::ENGINE.into(), ExitCode::from))
        }
    }
}
