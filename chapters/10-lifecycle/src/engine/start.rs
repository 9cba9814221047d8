//! `start`, `attach` and `logs`: what begins with a supervisor, and what is asked of one.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use namespaces::rootless;
use process::{Error, Exit, Kind, Result, cli};

use super::attach::{Attachment, Ended, Wanted};
use super::container::{Kept, PATIENCE};
use super::detach::{self, DetachKeys};
use super::each::each;
use super::events;
use super::logs::LogsArgs;
use super::transitions::{Action, Next};
use crate::supervisor::socket;
use crate::supervisor::spawn::Starting;

/// How long a client that does not read may hold the program back: it came later, and must not stop it for ever.
const ATTACHED: Duration = Duration::from_secs(10);

/// The arguments of `start`.
#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Show its output, pass on signals, and end with its exit code
    #[arg(short, long)]
    attach: bool,
    /// Pass on standard input
    #[arg(short, long)]
    interactive: bool,
    /// Keys that leave it running
    #[arg(long, value_name = "KEYS", value_parser = DetachKeys::parse, default_value = detach::DEFAULT)]
    detach_keys: DetachKeys,
}

/// The arguments of `attach`.
#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    /// The container's name or id
    #[arg(value_name = "NAME")]
    name: String,
    /// Do not pass on standard input
    #[arg(long)]
    no_stdin: bool,
    /// Pass on signals; --sig-proxy=false leaves it running on Ctrl-C
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    sig_proxy: bool,
    /// Keys that leave it running
    #[arg(long, value_name = "KEYS", value_parser = DetachKeys::parse, default_value = detach::DEFAULT)]
    detach_keys: DetachKeys,
}

/// The arguments of `logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsOf {
    #[command(flatten)]
    logs: LogsArgs,
    /// The container's name or id
    #[arg(value_name = "NAME")]
    name: String,
}

impl StartArgs {
    /// Starts the containers.
    ///
    /// # Errors
    /// As entering the user namespace; the containers' own errors are told as they come.
    pub fn run(self) -> Result<ExitCode> {
        prepare()?;
        if !self.attach && !self.interactive {
            return Ok(each(&self.names, |name| start(name).map(drop)));
        }
        let [name] = &self.names[..] else {
            return Err(Error::invalid("you cannot start and attach multiple containers at once")
                .help("leave --attach and --interactive out, or start them one by one"));
        };
        let wanted = Wanted {
            stdin: self.interactive,
            stdout: true,
            stderr: true,
            patience: None,
            detach_keys: self.detach_keys,
            sig_proxy: true,
        };
        let Some(kept) = startable(name)? else {
            return Err(Error::new(Kind::Conflict, format!("container {name} runs already")).help("`attach` to it"));
        };
        let id = kept.id().to_owned();
        let starting = Starting::new(kept.dir)?;
        let attachment = Attachment::connect(&socket(&id), wanted)?;
        starting.start()?;
        ended(&id, attachment.run()?)
    }
}

impl AttachArgs {
    /// Connects our terminal, or our pipes, to the program's.
    ///
    /// # Errors
    /// A container that does not run.
    pub fn run(self) -> Result<ExitCode> {
        rootless::enter()?;
        let kept = Kept::find(&self.name)?;
        kept.may(Action::Attach)?;
        kept.supervisor()?; // says why, where there is none
        let stdin = !self.no_stdin && kept.options().is_ok_and(|options| options.stdin);
        let wanted = Wanted {
            stdin,
            stdout: true,
            stderr: true,
            patience: Some(ATTACHED),
            detach_keys: self.detach_keys,
            sig_proxy: self.sig_proxy,
        };
        events::of(&kept, "attach", &[]);
        ended(kept.id(), Attachment::connect(&socket(kept.id()), wanted)?.run()?)
    }
}

impl LogsOf {
    /// Prints what the container has said.
    ///
    /// # Errors
    /// No such container; as [`LogsArgs::print`].
    pub fn run(self) -> Result<ExitCode> {
        cli::end_with_reader()?;
        rootless::enter()?;
        let kept = Kept::find(&self.name)?;
        self.logs.print(kept.dir.path(), kept.id(), &socket(kept.id()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What a start needs before an ordinary user's engine enters its user namespace.
fn prepare() -> Result<()> {
    security::sealed::ensure()?;
    cgroups::delegate(); // while the user's own bus still knows us
    rootless::enter()
}

/// Starts the container `name`. False if it runs already.
///
/// # Errors
/// A state in which it cannot be started; whatever keeps it from running.
pub fn start(name: &str) -> Result<bool> {
    match startable(name)? {
        Some(kept) => Starting::new(kept.dir)?.start().map(|_| true),
        None => Ok(false),
    }
}

/// The container, locked for its start; none if it runs already. The supervisor of its last run may be clearing up.
fn startable(name: &str) -> Result<Option<Kept>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut kept = Kept::find(name)?;
        if kept.may(Action::Start)? == Next::Already {
            return Ok(None);
        }
        kept.options()?; // says why, where it cannot be started again
        match kept.dir.lock() {
            Ok(()) => return Ok(Some(kept)),
            Err(error) if error.kind() != Kind::Conflict || Instant::now() > end => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The exit code that belongs to the end of an attachment.
///
/// # Errors
/// A container that cannot be found any more, and that did not tell how it ended.
pub fn ended(id: &str, ended: Ended) -> Result<ExitCode> {
    match ended {
        Ended::Exit(code) => Ok(ExitCode::from(code as u8)),
        Ended::Detached | Ended::Unread => Ok(ExitCode::SUCCESS),
        Ended::Disconnected => {
            Err(Error::new(Kind::Unavailable, "its output was not read in time, so the container went on without us")
                .help("it is in `logs`; `attach` again"))
        }
        Ended::Lost => match Kept::find(id) {
            Ok(kept) => {
                if !kept.state.error.is_empty() {
                    eprintln!("warning: container {}: {}", kept.name(), kept.state.error);
                }
                Ok(ExitCode::from(kept.state.exit_code as u8))
            }
            Err(_) => Ok(ExitCode::from(Exit::ENGINE)),
        },
    }
}
