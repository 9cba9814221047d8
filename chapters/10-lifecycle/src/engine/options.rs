//! The options of `create`, each from the chapter that owns it, and how they are kept with the container.
//!
//! A container is started by another process than the one that created it, and again after its end. What is kept is the
//! command line itself, in `options.json`: it is parsed again by the same code, so there is no second form of it. What
//! depends on the moment of the creation (variables passed on from the caller, the image's own configuration, the names
//! of volumes) is decided then, and kept decided.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cgroups::Limits;
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use images::ImageArgs;
use layers::{ContainerDir, MountArgs, MountSpec, Source};
use namespaces::{NamespaceArgs, TerminalArgs};
use network::NetworkArgs;
use process::cli::Common;
use process::{Error, Kind, OrCall, ProcessArgs, Program, Result, UserSpec};
use security::SecurityArgs;
use serde::{Deserialize, Serialize};

use super::life::LifeArgs;
use crate::file;

/// What a container is made of.
#[derive(Debug, Clone, Args)]
#[allow(missing_docs)] // each is documented by its chapter
pub struct CreateArgs {
    #[command(flatten)]
    pub process: ProcessArgs,
    #[command(flatten)]
    pub terminal: TerminalArgs,
    #[command(flatten)]
    pub namespaces: NamespaceArgs,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub mounts: MountArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub security: SecurityArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub life: LifeArgs,
    /// The image (a reference, the ID of one that is here, or `host` for this machine's own programs),
    /// then the program and its arguments, instead of the image's own
    // One list, so that everything behind the image is the program's, options too.
    #[arg(required = true, trailing_var_arg = true, num_args = 1.., value_names = ["IMAGE", "CMD"], help_heading = None::<&str>)]
    pub image_and_command: Vec<OsString>,
}

/// The kept command line, as it is parsed again.
#[derive(Parser)]
struct Again {
    #[command(flatten)]
    _common: Common,
    #[command(flatten)]
    run: super::run::RunArgs,
}

/// What is kept of a container's creation: `options.json` in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The options as they were typed, and those that `update` added.
    pub arguments: Vec<String>,
    /// The image and the command as they were typed.
    pub words: Vec<String>,
    /// Where they were typed: relative paths in them count from there.
    pub directory: PathBuf,
    /// The image's id (the digest of its configuration).
    pub image: String,
    /// The program, decided.
    pub program: Kept,
    /// As whom it runs; none: as root.
    pub user: Option<String>,
    /// A terminal of its own.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin: bool,
    /// Standard input ends with the first client that has it.
    pub stdin_once: bool,
    /// The volumes that have no name of their own: where they are mounted, and what they were called.
    pub volumes: BTreeMap<PathBuf, String>,
    /// The image's labels and the person's.
    pub labels: BTreeMap<String, String>,
    /// Ports that the image says it listens on, such as `80/tcp`.
    pub exposed: Vec<String>,
    /// The signal that ends it politely, such as `SIGTERM`.
    pub stop_signal: String,
    /// The health check of the image, unless the options say otherwise.
    pub health: Option<super::life::HealthCheck>,
}

/// A program as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// The whole environment, each `NAME=VALUE`.
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// Under a small init.
    pub init: bool,
}

impl Options {
    /// The file's name in a container's directory.
    pub const FILE: &'static str = "options.json";

    /// Reads what was kept in `directory`.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for a container of an earlier chapter, which kept none; [`Kind::Corrupt`]; as read(2).
    pub fn load(directory: &Path) -> Result<Self> {
        file::read(&directory.join(Self::FILE))?.ok_or_else(|| {
            Error::new(Kind::Conflict, format!("{} was made by an earlier step's `run`", directory.display()))
                .help("such a container cannot be started again; it can be looked at and removed: rm")
        })
    }

    /// Writes it into `directory`, whole or not at all.
    ///
    /// # Errors
    /// As write(2) and rename(2).
    pub fn save(&self, directory: &Path) -> Result<()> {
        file::write(&directory.join(Self::FILE), self)
    }

    /// The options, parsed again; of one that stands twice the later counts.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if this program does not understand them any more.
    pub fn parse(&self) -> Result<CreateArgs> {
        let words = std::iter::once("create").chain(self.arguments.iter().map(String::as_str)).chain(["--"]);
        let line = words.chain(self.words.iter().map(String::as_str));
        let parsed = Again::command().args_override_self(true).try_get_matches_from(line);
        parsed.and_then(|matches| Again::from_arg_matches(&matches)).map(|again| again.run.create).map_err(|error| {
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            Error::new(Kind::Corrupt, format!("the kept options: {first}")).help("make the container anew")
        })
    }

    /// The program that runs.
    pub fn program(&self) -> Program {
        let split = |entry: &String| entry.split_once('=').map(|(name, value)| (name.into(), value.into()));
        let mut program = Program::new(self.program.argv.iter(), self.program.env.iter().filter_map(split).collect());
        program.cwd.clone_from(&self.program.cwd);
        program.init = self.program.init;
        program
    }

    /// As whom.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what is no user.
    pub fn user(&self) -> Result<Option<UserSpec>> {
        self.user.as_deref().map(str::parse).transpose()
    }

    /// The mounts that were asked for, anonymous volumes by the names that they were given.
    ///
    /// # Errors
    /// As [`MountArgs::specs`].
    pub fn mounts(&self, args: &MountArgs) -> Result<Vec<MountSpec>> {
        let mut specs = args.specs()?;
        for (target, name) in &self.volumes {
            let no_copy = match specs.iter().position(|spec| spec.target == *target) {
                Some(at) => match specs.remove(at).source {
                    Source::Volume { no_copy, .. } => no_copy,
                    _ => false,
                },
                None => false,
            };
            let source = Source::Volume { name: Some(name.clone()), no_copy };
            specs.push(MountSpec { source, target: target.clone(), read_only: false });
        }
        Ok(specs)
    }
}

/// The container's directory and its kept options.
///
/// # Errors
/// As [`Options::load`].
pub fn of(container: &ContainerDir) -> Result<Options> {
    Options::load(container.path())
}

/// The options among `arguments`, which end with the words of `args`: the image and the command.
///
/// # Errors
/// [`Kind::Invalid`] for what is not UTF-8, since it is kept as JSON.
pub fn split(arguments: &[OsString], args: &CreateArgs) -> Result<(Vec<String>, Vec<String>)> {
    let text = |word: &OsString| {
        let shown = word.display();
        word.clone().into_string().map_err(|_| {
            Error::invalid(format!("the argument {shown} is not UTF-8"))
                .help("a container that is kept has its command line as JSON: pass such bytes in a file")
        })
    };
    let words = args.image_and_command.iter().map(text).collect::<Result<Vec<_>>>()?;
    let options = &arguments[..arguments.len().saturating_sub(words.len())];
    let mut options = options.iter().map(text).collect::<Result<Vec<_>>>()?;
    if options.last().is_some_and(|last| last == "--") {
        options.pop();
    }
    Ok((options, words))
}

impl Kept {
    /// A program, if all of it is text.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what is not UTF-8.
    pub fn new(program: &Program) -> Result<Self> {
        let text = |word: &std::ffi::OsStr| {
            word.to_str().map(str::to_owned).ok_or_else(|| Error::invalid(format!("{} is not UTF-8", word.display())))
        };
        let variable = |(name, value): &(OsString, OsString)| Ok(format!("{}={}", text(name)?, text(value)?));
        Ok(Self {
            argv: program.argv.iter().map(|word| text(word)).collect::<Result<_>>()?,
            env: program.env.iter().map(variable).collect::<Result<_>>()?,
            cwd: program.cwd.clone(),
            init: program.init,
        })
    }
}

/// The directory in which the command was given.
///
/// # Errors
/// As getcwd(3).
pub fn here() -> Result<PathBuf> {
    std::env::current_dir().or_call("getcwd", "")
}
