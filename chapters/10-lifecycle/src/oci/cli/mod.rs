//! The command line of an OCI runtime, in runc's words: what Podman, containerd and Docker call.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod resume;
mod run;
mod spec;
mod start;
mod state;
#[allow(unsafe_code)]
mod sys;
mod terminal;
mod update;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use process::cli::Common;
use process::{Error, Result, explain};

use super::Groups;
use super::log::{Format, Log};
use super::store::Store;

/// The options before the verb.
#[derive(Debug, Args)]
struct Global {
    #[command(flatten)]
    common: Common,
    /// Keep containers' state in this directory (default: /run/cooper-runtime, or $XDG_RUNTIME_DIR/cooper-runtime)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Write errors to this file too
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How they are written there
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: Format,
    /// Also log what is not wrong
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    debug: bool,
    /// Have systemd make the control groups; cgroupsPath is then slice:prefix:name
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    systemd_cgroup: bool,
    /// Who makes the control groups, in crun's words: --systemd-cgroup is `systemd`
    #[arg(long, value_enum, value_name = "WHO")]
    cgroup_manager: Option<CgroupManager>,
    /// Accepted for runc's sake: what an ordinary user may do, the kernel says
    #[arg(long, value_name = "BOOL", hide = true)]
    rootless: Option<String>,
    /// Accepted for runc's sake: there is no checkpoint
    #[arg(long, value_name = "FILE", hide = true)]
    criu: Option<PathBuf>,
}

/// As crun names them; Podman's `--cgroups=disabled` comes to us as the last one.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CgroupManager {
    Cgroupfs,
    Systemd,
    Disabled,
}

impl Global {
    fn groups(&self) -> Groups {
        match self.cgroup_manager {
            Some(CgroupManager::Cgroupfs) => Groups::Files,
            Some(CgroupManager::Systemd) => Groups::Systemd,
            Some(CgroupManager::Disabled) => Groups::Disabled,
            None if self.systemd_cgroup => Groups::Systemd,
            None => Groups::Files,
        }
    }
}

/// Global options that have a value: the word after one is no verb.
const WITH_VALUE: [&str; 6] = ["--root", "--log", "--log-format", "--cgroup-manager", "--rootless", "--criu"];

/// What every verb has.
struct Context {
    store: Store,
    log: Log,
    groups: Groups,
}

/// A command after the global options.
trait Verb: Args {
    /// Does it.
    fn run(self, context: &Context) -> Result<ExitCode>;
}

/// One table for parsing, help and dispatch. Only the verb that is asked for is built: a driver calls us often, and
/// nobody reads the help of twenty verbs then.
macro_rules! verbs {
    ($($name:literal => $verb:ty,)*) => {
        fn with_verbs(mut command: Command, wanted: Option<&str>) -> Command {
            let all = ![$($name),*].into_iter().any(|name| Some(name) == wanted);
            $(if all || wanted == Some($name) {
                command = command.subcommand(<$verb>::augment_args(Command::new($name)));
            })*
            command
        }

        fn run(verb: &str, matches: &ArgMatches, context: &Context) -> Result<ExitCode> {
            match verb {
                $($name => parsed::<$verb>(matches)?.run(context),)*
                _ => Err(Error::invalid(format!("no verb {verb}"))),
            }
        }
    };
}

verbs! {
    "create" => create::Create,
    "start" => start::Start,
    "state" => state::State,
    "kill" => kill::Kill,
    "delete" => delete::Delete,
    "run" => run::Run,
    "exec" => exec::Exec,
    "ps" => ps::Ps,
    "pause" => pause::Pause,
    "resume" => resume::Resume,
    "update" => update::Update,
    "events" => events::Events,
    "list" => list::List,
    "spec" => spec::Spec,
    "features" => features::Features,
    "checkpoint" => checkpoint::Checkpoint,
    "restore" => checkpoint::Restore,
}

/// All that `main` does. Every failure ends with 1, as runc's do, but for those that a verb has another code for.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let command = Command::new("cooper-runtime")
        .about("An OCI runtime: containers as Podman, containerd and Docker want them made");
    let command = command.version(VERSION).disable_help_subcommand(true).subcommand_required(true);
    let command = with_verbs(Global::augment_args(command), verb_of(&arguments));
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    dispatch(&matches).unwrap_or_else(|error| process::cli::report(&error))
}

fn dispatch(matches: &ArgMatches) -> Result<ExitCode> {
    let global = parsed::<Global>(matches)?;
    if global.common.explain {
        explain::enable();
    }
    // Our caller may ignore SIGCHLD: then no child would wait to be collected (waitpid(2), NOTES).
    let children = process::sys::default_action(nix::sys::signal::Signal::SIGCHLD);
    process::OrCall::or_call(children, "sigaction", "SIGCHLD")?;
    let log = Log::open(global.log.as_deref(), global.log_format, global.debug)?;
    let groups = global.groups();
    let store = Store::new(global.root.unwrap_or_else(Store::default_root));
    let context = Context { store, log, groups };
    let Some((verb, matches)) = matches.subcommand() else { return Err(Error::invalid("no verb was given")) };
    // These have a child that runs our file in the container.
    let enters = ["create", "run", "exec"].contains(&verb);
    let sealed = if enters { security::sealed::ensure() } else { Ok(()) };
    let done = sealed.and_then(|()| run(verb, matches, &context));
    Ok(done.unwrap_or_else(|error| {
        context.log.error(&error);
        if verb == "exec" { exec::FAILED.into() } else { ExitCode::FAILURE }
    }))
}

fn parsed<T: FromArgMatches>(matches: &ArgMatches) -> Result<T> {
    T::from_arg_matches(matches).map_err(|error| Error::invalid(error.to_string()))
}

/// The first word that is neither a global option nor the value of one.
fn verb_of(arguments: &[OsString]) -> Option<&str> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_str().unwrap_or_default());
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

/// As `runc --version`: drivers look for the line `spec:`.
const VERSION: &str =
    concat!("version ", env!("CARGO_PKG_VERSION"), "\ncommit: ", env!("CARGO_PKG_VERSION"), "\nspec: 1.2.0");

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(line: &str) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        verb_of(&words).map(str::to_owned)
    }

    #[test]
    fn the_verb_is_found_behind_options_and_their_values() {
        assert_eq!(verb("x create id").as_deref(), Some("create"));
        assert_eq!(verb("x --root start --log=l --debug kill id").as_deref(), Some("kill"));
        assert_eq!(verb("x --systemd-cgroup --log-format json state a").as_deref(), Some("state"));
        assert_eq!(verb("x --help"), None);
    }

    #[test]
    fn the_version_names_the_specification() {
        assert!(VERSION.ends_with(&format!("\nspec: {}", crate::oci::state::OCI_VERSION)));
    }

    #[test]
    fn the_whole_command_line_holds_together() {
        with_verbs(Global::augment_args(Command::new("x")), None).debug_assert();
        let some = with_verbs(Command::new("x"), Some("kill"));
        assert_eq!(some.get_subcommands().map(Command::get_name).collect::<Vec<_>>(), ["kill"]);
    }
}
