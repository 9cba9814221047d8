//! What every step's command line shares: `--explain`, the program's options, errors and exit codes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser};
use clap_complete::Shell;
use colored::Colorize;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::{Error, Exit, Exited, Identity, Kind, OrCall, Program, Result, UserSpec, exec::DEFAULT_PATH, explain};

/// Options that every step has.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Narrate each kernel call as it happens, with the chapter that explains it
    #[arg(long, global = true)]
    pub explain: bool,
}

/// Options about the program itself, as `docker run` has them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Process options")]
pub struct ProcessArgs {
    /// Set a variable; without a value, pass on our own
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Read variables from a file, one NAME=VALUE per line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Where the program starts
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Run as this user, by name or number as the root's /etc/passwd knows it
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<UserSpec>,
    /// Run a small init above the program that reaps zombies and forwards signals
    #[arg(long)]
    pub init: bool,
}

/// A list of environment variables.
pub type Env = Vec<(OsString, OsString)>;

impl ProcessArgs {
    /// The program `argv` with these options; `base` is the environment to start from.
    ///
    /// # Errors
    /// An unreadable `--env-file`, or a line or option that is no variable.
    pub fn program(&self, argv: &[OsString], base: Env) -> Result<Program> {
        let mut program = Program::new(argv.iter().cloned(), base);
        for file in &self.env_file {
            let text = std::fs::read_to_string(file).or_call("read", file.display())?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            lines.into_iter().try_for_each(|line| set(&mut program, line.as_ref()))?;
        }
        self.env.iter().try_for_each(|variable| set(&mut program, variable))?;
        program.cwd = self.workdir.clone();
        program.init = self.init;
        Ok(program)
    }

    /// The stage that becomes `--user`.
    pub fn identity(&self) -> Identity {
        Identity::new(self.user.clone())
    }
}

/// The environment that a container starts with: nothing of the host but the kind of terminal.
pub fn clean_env() -> Env {
    let mut env = vec![("PATH".into(), DEFAULT_PATH.into())];
    env.extend(std::env::var_os("TERM").map(|term| ("TERM".into(), term)));
    env
}

fn set(program: &mut Program, variable: &std::ffi::OsStr) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = variable.as_bytes();
    let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) => (&bytes[..at], Some(std::ffi::OsStr::from_bytes(&bytes[at + 1..]).to_owned())),
        None => (bytes, std::env::var_os(variable)),
    };
    if name.is_empty() {
        return Err(Error::invalid(format!("{variable:?} is no variable")).help("write NAME=VALUE"));
    }
    if let Some(value) = value {
        program.set_var(std::ffi::OsStr::from_bytes(name), value);
    }
    Ok(())
}

/// Parses the command line, runs, prints the error, gives the exit code: all that `main` does.
pub fn main<C: Parser + AsRef<Common>>(run: impl FnOnce(C) -> Result<ExitCode>) -> ExitCode {
    let cli = C::parse();
    if cli.as_ref().explain {
        explain::enable();
    }
    // Our caller may ignore SIGCHLD (`trap '' CHLD`): then no child would wait to be collected (waitpid(2), NOTES).
    let children = crate::sys::default_action(Signal::SIGCHLD).or_call("sigaction", "SIGCHLD");
    children.and_then(|()| run(cli)).unwrap_or_else(|error| report(&error))
}

/// Prints an error as the reader shall see it; gives the exit code that belongs to it.
pub fn report(error: &Error) -> ExitCode {
    let help = error.way_out().map(|help| format!("\n  {} {help}", "help:".green().bold()));
    eprintln!("{} {}{}", "error:".red().bold(), error.what(), help.unwrap_or_default());
    match error.kind() {
        Kind::Exec(Errno::ENOENT) => Exit::NOT_FOUND,
        Kind::Exec(_) => Exit::NOT_EXECUTABLE,
        _ => Exit::ENGINE,
    }
    .into()
}

/// The program's own exit code; what could not be undone is told as a warning.
pub fn finish(exited: Exited) -> ExitCode {
    for error in &exited.leftovers {
        eprintln!("{} {error}", "warning:".yellow().bold());
    }
    exited.exit.into()
}

/// For commands that only print: `… | head` ends them quietly, as it does other tools (SIGPIPE, signal(7)).
///
/// # Errors
/// None that the kernel documents.
pub fn end_with_reader() -> Result<()> {
    crate::sys::default_action(Signal::SIGPIPE).or_call("sigaction", "SIGPIPE")
}

/// Prints the completion script of program `C` for `shell`.
pub fn completion<C: CommandFactory>(shell: Shell) -> Result<ExitCode> {
    end_with_reader()?;
    let mut command = C::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
