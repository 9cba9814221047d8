//! The subcommands of this chapter, for this step's program and every later one.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use namespaces::{Join, TerminalArgs, id, running};
use process::cli::{self, clean_env};
use process::{Container, Identity, OrCall, ProcessArgs, Result, Stage};

use crate::table::{self, Watched};
use crate::{Group, JoinGroup};

/// What can be done to running containers by their groups.
#[derive(Debug, Clone, Subcommand)]
pub enum GroupCommand {
    /// List running containers
    Ps,
    /// Show what running containers use, anew each second
    Stats(StatsArgs),
    /// Hold all processes of containers still
    Pause(NamesArgs),
    /// Let paused containers go on
    Unpause(NamesArgs),
}

/// The arguments of `exec`: another program in a running container, under the same limits.
#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    terminal: TerminalArgs,
    /// The name or id of a container
    #[arg(value_name = "NAME", help_heading = None::<&str>)]
    name: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", help_heading = None::<&str>)]
    command: Vec<OsString>,
}

/// The arguments of `stats`.
#[derive(Debug, Clone, Args)]
pub struct StatsArgs {
    /// Names or ids; all that run if none
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Print once, as plain lines
    #[arg(long)]
    pub no_stream: bool,
}

/// The arguments of `pause` and `unpause`.
#[derive(Debug, Clone, Args)]
pub struct NamesArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

impl GroupCommand {
    /// Does it.
    ///
    /// # Errors
    /// A name that no running container has, or a group that cannot do it.
    pub fn run(self) -> Result<ExitCode> {
        cli::end_with_reader()?;
        match self {
            Self::Stats(args) => args.run()?,
            Self::Pause(args) => args.each(Group::pause)?,
            Self::Unpause(args) => args.each(Group::unpause)?,
            Self::Ps => list()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ExecArgs {
    /// Runs it; gives its exit code.
    ///
    /// # Errors
    /// A name that no running container has; as [`Container::run`].
    pub fn run(self) -> Result<ExitCode> {
        let container = running::find(&self.name)?;
        // As the container's own program, unless told otherwise: an image that names a user means it.
        let manner = container.manner.clone();
        let base = if manner.env.is_empty() { clean_env() } else { manner.env };
        let mut program = self.process.program(&self.command, base)?;
        program.cwd = program.cwd.or(manner.cwd);
        let stages: Vec<Box<dyn Stage>> = vec![
            Box::new(JoinGroup::new(&container)?),
            Box::new(Join::new(container.pid())?),
            Box::new(Identity::new(self.process.user.or(manner.user))),
            Box::new(self.terminal.console()),
        ];
        Ok(cli::finish(Container::new(program, stages).run()?))
    }
}

impl NamesArgs {
    fn each(self, act: impl Fn(&Group) -> Result<()>) -> Result<()> {
        self.names.iter().try_for_each(|name| {
            let group = Group::of_container(&running::find(name)?)?;
            act(&group).map_err(|error| error.at(name))?;
            println!("{name}");
            Ok(())
        })
    }
}

impl StatsArgs {
    /// Reads twice, since CPU use is a rate; then, on and on, once a second.
    ///
    /// # Errors
    /// A name that no running container has.
    pub fn run(self) -> Result<()> {
        let mut watched = self.watched()?;
        std::thread::sleep(Duration::from_millis(500));
        if self.no_stream {
            return show(&rows(&mut watched), "");
        }
        // On a terminal each table takes the place of the one before (console_codes(4)).
        let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[J" } else { "" };
        loop {
            show(&rows(&mut watched), clear)?;
            std::thread::sleep(Duration::from_secs(1));
            if self.names.is_empty() {
                self.follow(&mut watched)?;
            } else if watched.is_empty() {
                return Ok(());
            }
        }
    }

    fn watched(&self) -> Result<Vec<Watched>> {
        let found = match &self.names[..] {
            [] => running::list()?,
            names => names.iter().map(|name| running::find(name)).collect::<Result<_>>()?,
        };
        Ok(found.iter().map(Watched::new).collect())
    }

    /// Containers that were started meanwhile.
    fn follow(&self, watched: &mut Vec<Watched>) -> Result<()> {
        let known: Vec<_> = watched.iter().map(|one| one.name().to_owned()).collect();
        watched.extend(running::list()?.iter().filter(|one| !known.contains(&one.name)).map(Watched::new));
        Ok(())
    }
}

/// One reading of each; those that are gone are no longer watched.
fn rows(watched: &mut Vec<Watched>) -> Vec<table::Row> {
    let mut rows = Vec::new();
    watched.retain_mut(|one| one.read().map(|row| rows.push(row)).is_some());
    rows
}

fn show(rows: &[table::Row], before: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{before}{}", table::render(rows)).and_then(|()| out.flush()).or_call("write", "standard output")
}

fn list() -> Result<()> {
    println!("{:<12}  {:<8}  {:<8}  {:<20}  GROUP", "ID", "STATE", "PID", "NAME");
    for container in running::list()? {
        let group = Group::of_container(&container);
        let state = if group.as_ref().is_ok_and(Group::is_frozen) { "paused" } else { "running" };
        let place = group.map_or("-".to_owned(), |group: Group| group.path().display().to_string());
        let (id, pid, name) = (id::short(&container.id), container.pid, &container.name);
        println!("{id:<12}  {state:<8}  {pid:<8}  {name:<20}  {place}");
    }
    Ok(())
}
