//! `update`: other limits for a container that is there already. What runs has them at once; the next start, too.

use std::ffi::OsString;
use std::process::ExitCode;

use cgroups::{Group, Limits, Machine, Place, Setting};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, Parser};
use namespaces::rootless;
use process::{Error, Result, explain};

use super::container::Kept;
use super::each::each;
use super::events;
use super::transitions::Action;
use crate::supervisor::control::Request;
use crate::supervisor::restart::Policy;

/// The arguments of `update`.
#[derive(Debug, Clone, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    limits: Limits,
    /// Another restart policy: no, on-failure[:TIMES], always, unless-stopped
    #[arg(long, value_name = "POLICY", help_heading = "Life cycle options")]
    restart: Option<Policy>,
    /// Names or ids
    #[arg(value_name = "NAME", required = true, help_heading = None::<&str>)]
    names: Vec<String>,
}

/// The same, to be parsed once more: for the options as they were typed.
#[derive(Parser)]
struct Again {
    #[command(flatten)]
    _common: process::cli::Common,
    #[command(flatten)]
    _args: UpdateArgs,
}

impl UpdateArgs {
    /// Changes the containers.
    ///
    /// # Errors
    /// Values that make no sense on this machine; the containers' own errors are told as they come.
    pub fn run(self) -> Result<ExitCode> {
        let typed = typed(std::env::args_os().skip_while(|word| word != "update"));
        if typed.is_empty() {
            return Err(Error::invalid("you must provide one or more flags when using this command")
                .help("for example --memory 128m or --restart always"));
        }
        if self.limits.cgroup_parent.is_some() {
            return Err(Error::invalid("a container's group cannot be moved").help("leave out --cgroup-parent"));
        }
        let settings = self.limits.settings(&Machine::here())?;
        rootless::enter()?;
        Ok(each(&self.names, |name| {
            let kept = Kept::find(name)?;
            kept.may(Action::Update)?;
            let mut options = kept.options()?;
            options.arguments.extend(typed.iter().cloned());
            options.parse()?.limits.check()?; // together with what it had
            if kept.is_alive() && !settings.is_empty() {
                let group = kept.group().map_err(|error| error.at(settings[0].option))?;
                apply(&group, &settings)?;
            }
            options.save(kept.dir.path())?;
            if let (Some(restart), Ok(supervisor)) = (self.restart, kept.supervisor()) {
                supervisor.ask(&Request::Update { restart })?;
            }
            events::of(&kept, "update", &[]);
            Ok(())
        }))
    }
}

/// Writes the limits into a group that is in use. Those that it cannot have are refused before any is written.
fn apply(group: &Group, settings: &[Setting]) -> Result<()> {
    let has = |setting: &Setting| setting.files.iter().any(|(file, _)| group.has(file));
    if let Some(setting) = settings.iter().find(|setting| !setting.implied && !has(setting)) {
        return Err(Place::find()?.missing(setting.option, setting.controller));
    }
    for (file, value) in settings.iter().flat_map(|setting| &setting.files).filter(|(file, _)| group.has(file)) {
        group.write(file, value)?;
        explain!(4, "a limit is a write, at any time", "write({file}, {value:?})");
    }
    Ok(())
}

/// The options of the command line, each as `--name=value`.
fn typed(line: impl Iterator<Item = OsString>) -> Vec<String> {
    let Ok(matches) = Again::command().try_get_matches_from(line) else { return Vec::new() };
    let mut words = Vec::new();
    for argument in Again::command().get_arguments().filter(|argument| !argument.is_positional()) {
        let id = argument.get_id().as_str();
        let given = matches!(matches.try_contains_id(id), Ok(true))
            && matches.value_source(id) == Some(ValueSource::CommandLine);
        let (Some(long), true) = (argument.get_long(), given) else { continue };
        let takes_value = argument.get_action().takes_values();
        for value in matches.get_raw(id).into_iter().flatten().filter(|_| takes_value) {
            words.push(format!("--{long}={}", value.to_string_lossy()));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_kept_as_they_were_typed() {
        let line = ["update", "-m", "64m", "web", "--explain", "--restart=on-failure:3", "--pids-limit", "-1", "db"];
        let mut words = typed(line.iter().map(OsString::from));
        words.sort();
        assert_eq!(words, ["--memory=64m", "--pids-limit=-1", "--restart=on-failure:3"]);
        assert!(typed(["update", "web"].iter().map(OsString::from)).is_empty());
    }
}
