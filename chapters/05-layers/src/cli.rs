//! The subcommands of this chapter, for this step's program and every later one.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use namespaces::{id, rootless, running};
use nix::sys::signal::Signal;
use process::{Error, OrCall, Result};

use crate::cli_volume::VolumeCommand;
use crate::{ContainerDir, commit, diff, export, remove_with_volumes};

/// What can be done with containers' files.
#[derive(Debug, Clone, Subcommand)]
pub enum LayerCommand {
    /// Show what a container changed: A added, C changed, D deleted
    Diff(DiffArgs),
    /// Write what a container changed as a layer, a tar archive
    Commit(CommitArgs),
    /// Write everything in a container's root as a tar archive
    Export(ExportArgs),
    /// List containers, also those that have ended
    Ls,
    /// Remove containers, and the volumes that are theirs alone
    Rm(RmArgs),
    /// Manage volumes
    #[command(subcommand)]
    Volume(VolumeCommand),
}

/// The arguments of `diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// The container's name or id
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// The arguments of `commit`.
#[derive(Debug, Clone, Args)]
pub struct CommitArgs {
    /// The container's name or id
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where the archive goes; - for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// The arguments of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The container's name or id
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// The arguments of `rm`.
#[derive(Debug, Clone, Args)]
pub struct RmArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Kill those that run
    #[arg(short, long)]
    pub force: bool,
}

impl LayerCommand {
    /// Does it.
    ///
    /// # Errors
    /// A name that no container or volume has; as reading and writing their files.
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Self::Diff(args) => return args.run(),
            Self::Commit(args) => return args.run(),
            Self::Export(args) => return args.run(),
            Self::Volume(command) => return command.run(),
            Self::Ls => quiet().and_then(|()| list())?,
            Self::Rm(args) => quiet().and_then(|()| args.run())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What all of them begin with: they end with who reads them, and see the files as their owner.
pub(crate) fn quiet() -> Result<()> {
    process::cli::end_with_reader()?;
    rootless::enter()
}

impl DiffArgs {
    /// Prints the changes, a line each.
    ///
    /// # Errors
    /// A name that no container has; as reading its files.
    pub fn run(self) -> Result<ExitCode> {
        quiet()?;
        let container = ContainerDir::find(&self.name)?;
        let _held = container.hold()?;
        let mut out = std::io::stdout().lock();
        for change in diff(&container.upper(), &container.lowers())? {
            writeln!(out, "{change}").or_call("write", "standard output")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl CommitArgs {
    /// Writes the archive and prints the layer's DiffID.
    ///
    /// # Errors
    /// A name that no container has; as reading its files and writing the archive.
    pub fn run(self) -> Result<ExitCode> {
        quiet()?;
        let container = ContainerDir::find(&self.name)?;
        let _held = container.hold()?;
        let layers = &container.lowers();
        if self.file == Path::new("-") {
            let out = std::io::stdout().lock();
            if out.is_terminal() {
                return Err(
                    Error::invalid("a layer is no text for a terminal").help("name a file, or pipe it: … | tar -tv")
                );
            }
            let done = commit(&container.upper(), layers, BufWriter::new(out))?;
            eprintln!("{}", done.diff_id);
            return Ok(ExitCode::SUCCESS);
        }
        let done = whole_file(&self.file, |out| commit(&container.upper(), layers, out))?;
        println!("{}", done.diff_id);
        Ok(ExitCode::SUCCESS)
    }
}

impl ExportArgs {
    /// Writes the archive.
    ///
    /// # Errors
    /// A name that no container has; a terminal; as [`export`].
    pub fn run(self) -> Result<ExitCode> {
        quiet()?;
        let container = ContainerDir::find(&self.name)?;
        match self.output.as_deref().filter(|path| *path != Path::new("-")) {
            Some(path) => whole_file(path, |out| export(&container, out))?,
            None => export(&container, BufWriter::with_capacity(1 << 17, no_terminal("export")?))?,
        };
        Ok(ExitCode::SUCCESS)
    }
}

/// Standard output, for bytes that are no text.
///
/// # Errors
/// It is a terminal.
pub fn no_terminal(command: &str) -> Result<std::io::StdoutLock<'static>> {
    let out = std::io::stdout().lock();
    if out.is_terminal() {
        return Err(Error::invalid(format!("cowardly refusing to {command} to a terminal"))
            .help(format!("use the -o flag or redirect: {command} -o FILE")));
    }
    Ok(out)
}

/// Writes a file so that it is there whole or not at all. What is no regular file, such as a pipe, is written as it is.
///
/// # Errors
/// As open(2), write(2) and rename(2); whatever `write` reports.
pub fn whole_file<T>(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
    if path.metadata().is_ok_and(|about| !about.is_file()) {
        let out = File::options().write(true).open(path).or_call("open", path.display())?;
        return write(&mut BufWriter::new(out));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut out = BufWriter::new(File::create_new(&temporary).or_call("open", temporary.display())?);
    let done = write(&mut out).and_then(|done| {
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).or_call("write", path.display())?;
        file.sync_all().or_call("fsync", path.display())?;
        std::fs::rename(&temporary, path).or_call("rename", path.display())?;
        Ok(done)
    });
    if done.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    done
}

fn list() -> Result<()> {
    let running = running::list()?;
    println!("{:<12}  {:<8}  {:<14}  {:<20}  COMMAND", "ID", "STATUS", "CREATED", "NAME");
    for container in ContainerDir::list()? {
        let config = container.config();
        let status = if running.iter().any(|one| one.id == config.id) { "running" } else { "exited" };
        let words: Vec<_> = config.command.iter().map(|word| word.to_string_lossy()).collect();
        let (id, age) = (id::short(&config.id), age(config.created));
        // A script of several lines is one line of the table.
        let command = words.join(" ").replace(char::is_control, " ");
        println!("{id:<12}  {status:<8}  {age:<14}  {:<20}  {command}", config.name);
    }
    Ok(())
}

/// `3 hours ago`
pub(crate) fn age(since: SystemTime) -> String {
    let seconds = SystemTime::now().duration_since(since).unwrap_or_default().as_secs();
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

impl RmArgs {
    fn run(self) -> Result<()> {
        // All of them are tried; what cannot be removed is told, the last of it as the command's own failure.
        let mut failed = None;
        for name in &self.names {
            match self.remove(name) {
                Ok(()) => println!("{name}"),
                Err(error) => {
                    if let Some(before) = failed.replace(error) {
                        process::cli::report(&before);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut container = ContainerDir::find(name)?;
        if self.force {
            kill(&mut container)?;
        }
        remove_with_volumes(container)
    }
}

/// Kills the container's first process, and with it all others, and waits until its engine has let go.
fn kill(container: &mut ContainerDir) -> Result<()> {
    let id = &container.config().id;
    if let Some(running) = running::list()?.into_iter().find(|running| running.id == *id) {
        let Ok(pidfd) = process::sys::pidfd_open(running.pid()) else { return Ok(()) };
        // The number may be another process's by now; the descriptor is not, and is asked again.
        if running.is_alive() {
            let _ = process::sys::pidfd_send_signal(std::os::fd::AsFd::as_fd(&pidfd), Signal::SIGKILL);
        }
    }
    for _ in 0..500 {
        // Once the directory is gone (--rm), the removal finds that out by itself.
        if container.lock().is_ok() || !container.path().exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    container.lock()
}
