//! From an image's configuration and the options of a person to the program that runs.
//!
//! The rules are Docker's (moby, daemon/commit.go, `merge`; image-spec config.md).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use layers::{MountSpec, Source};
use nix::sys::signal::Signal;
use oci_spec::image::{Config, ImageConfiguration};
use process::cli::Env;
use process::{Error, Identity, ProcessArgs, Program, Result, Stage, UserSpec, explain};
use rootfs::RootDir;

use crate::Reference;
use crate::store::{Image, MANIFEST};

/// What an image and its options make of a container.
pub struct Planned {
    /// What runs, where, with which variables.
    pub program: Program,
    /// As whom; the image's `User`, found in the image's own /etc/passwd, unless `--user` says otherwise.
    pub user: Option<UserSpec>,
    /// Where anonymous volumes belong.
    pub volumes: Vec<PathBuf>,
    /// What ends it politely.
    pub stop_signal: Signal,
    /// Ports that the image says it listens on: `80/tcp`.
    pub exposed: Vec<String>,
    /// The image's labels.
    pub labels: BTreeMap<String, String>,
}

impl Planned {
    /// Decides. `command` is what was typed behind the image's name, `entrypoint` the option.
    ///
    /// # Errors
    /// No command at all; a user, a signal or a directory in the image that makes no sense.
    pub fn new(
        config: &ImageConfiguration,
        process: &ProcessArgs,
        entrypoint: Option<&str>,
        command: &[OsString],
    ) -> Result<Self> {
        let config = config.config().clone().unwrap_or_default();
        let argv = argv(&config, entrypoint, command);
        if argv.is_empty() {
            return Err(Error::invalid("no command: the image names none").help("write one behind the image's name"));
        }
        let mut program = process.program(&argv, env(&config))?;
        let inside = config.working_dir().as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
        let cwd = program.cwd.take().unwrap_or_else(|| inside.into());
        if !cwd.is_absolute() {
            return Err(Error::invalid(format!("the working directory {} is not absolute", cwd.display()))
                .help("give one that begins with a slash: --workdir /DIR"));
        }
        program.cwd = Some(cwd);
        let user = match &process.user {
            Some(user) => Some(user.clone()),
            None => config.user().as_deref().filter(|user| !user.is_empty()).map(str::parse).transpose()?,
        };
        let stop_signal = match config.stop_signal().as_deref().filter(|text| !text.is_empty()) {
            Some(text) => process::parse_signal(text)?,
            None => Signal::SIGTERM,
        };
        // As paths, so that `/data/` is `/data`; the root itself cannot be a volume.
        let paths = config.volumes().iter().flatten().map(|text| Path::new("/").join(text).components().collect());
        let mut volumes: Vec<PathBuf> = paths.filter(|path: &PathBuf| path.parent().is_some()).collect();
        volumes.sort();
        let labels = config.labels().clone().unwrap_or_default().into_iter().collect();
        Ok(Self {
            program,
            user,
            volumes,
            stop_signal,
            exposed: config.exposed_ports().clone().unwrap_or_default(),
            labels,
        })
    }

    /// The mounts that were asked for, and a volume of the container's own for each of the image's.
    pub fn mounts(&self, mut asked: Vec<MountSpec>) -> Vec<MountSpec> {
        let missing = self.volumes.iter().filter(|path| !asked.iter().any(|spec| spec.target == **path));
        let source = Source::Volume { name: None, no_copy: false };
        let anonymous: Vec<_> =
            missing.map(|path| MountSpec { source: source.clone(), target: path.clone(), read_only: false }).collect();
        asked.extend(anonymous);
        asked
    }

    /// What is remembered of the image with the container.
    pub fn annotations(&self, image: &Image) -> BTreeMap<String, String> {
        let name = image.names.first().map_or_else(|| image.id().to_string(), Reference::familiar);
        let stop = self.stop_signal.as_str().to_owned();
        BTreeMap::from([
            ("image".into(), name),
            (MANIFEST.into(), image.descriptor.digest().to_string()),
            ("stop-signal".into(), stop),
        ])
    }

    /// The stages of this chapter, in order: the working directory is made, then the user is assumed.
    pub fn stages(&self) -> Vec<Box<dyn Stage>> {
        vec![Box::new(WorkingDir), Box::new(Identity::new(self.user.clone()))]
    }
}

/// `Entrypoint` and `Cmd`: arguments replace the second; `--entrypoint` replaces the first and drops the second.
fn argv(config: &Config, entrypoint: Option<&str>, command: &[OsString]) -> Vec<OsString> {
    let words = |words: &Option<Vec<String>>| words.clone().unwrap_or_default().into_iter().map(OsString::from);
    let mut argv: Vec<OsString> = match entrypoint {
        Some("") => Vec::new(),
        Some(program) => vec![program.into()],
        None => words(config.entrypoint()).collect(),
    };
    match (command, entrypoint) {
        ([], None) => argv.extend(words(config.cmd())),
        ([], Some(_)) => {}
        (command, _) => argv.extend(command.iter().cloned()),
    }
    argv
}

/// The image's variables; a PATH if it has none; nothing of the host's but the kind of terminal.
fn env(config: &Config) -> Env {
    let mut env = process::cli::clean_env();
    let variables = config.env().iter().flatten().filter_map(|variable| variable.split_once('='));
    for (name, value) in variables.filter(|(name, _)| !name.is_empty()) {
        match env.iter_mut().find(|(other, _)| other == name) {
            Some(entry) => entry.1 = value.into(),
            None => env.push((name.into(), value.into())),
        }
    }
    env
}

/// The stage that makes the working directory where the image does not have it, as Docker does.
pub struct WorkingDir;

impl Stage for WorkingDir {
    fn name(&self) -> &'static str {
        "working directory"
    }

    fn start_container(&mut self, program: &mut Program) -> Result<()> {
        let Some(cwd) = program.cwd.as_deref() else { return Ok(()) };
        let root = RootDir::open("/")?;
        if !root.exists(cwd) {
            root.make_dir(cwd)?;
            explain!(7, "the image's working directory", "mkdirat({:?})", cwd);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(config: &str, process: &ProcessArgs, entrypoint: Option<&str>, command: &[&str]) -> Result<Planned> {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        let command: Vec<_> = command.iter().map(OsString::from).collect();
        Planned::new(&serde_json::from_str(&text).unwrap(), process, entrypoint, &command)
    }

    fn argv(config: &str, entrypoint: Option<&str>, command: &[&str]) -> String {
        let planned = planned(config, &ProcessArgs::default(), entrypoint, command).unwrap();
        planned.program.argv.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn the_command_is_put_together_as_docker_does() {
        let both = r#"{"Entrypoint":["/entry","-x"],"Cmd":["a","b"]}"#;
        assert_eq!(argv(both, None, &[]), "/entry -x a b");
        assert_eq!(argv(both, None, &["c"]), "/entry -x c");
        assert_eq!(argv(both, Some("sh"), &[]), "sh");
        assert_eq!(argv(both, Some("sh"), &["-c", "x"]), "sh -c x");
        assert_eq!(argv(both, Some(""), &["c"]), "c");
        assert_eq!(argv(r#"{"Cmd":["sh"]}"#, None, &[]), "sh");
        let none = ProcessArgs::default();
        assert!(planned("{}", &none, None, &[]).is_err_and(|error| error.what().contains("no command")));
        assert!(planned(both, &none, Some(""), &[]).is_err());
    }

    #[test]
    fn options_win_over_the_image() {
        let config = r#"{"Cmd":["x"],"Env":["PATH=/p","A=1","B=2=3"],"User":"ada:staff","WorkingDir":"/w",
            "Volumes":{"/v2":{},"/v1":{}},"StopSignal":"SIGQUIT","ExposedPorts":{"80/tcp":{}},"Labels":{"k":"v"}}"#;
        let plain = planned(config, &ProcessArgs::default(), None, &[]).unwrap();
        assert_eq!(plain.program.var("PATH").unwrap(), "/p");
        assert_eq!(plain.program.var("B").unwrap(), "2=3");
        assert_eq!(plain.program.cwd.as_deref().unwrap(), "/w");
        assert_eq!(plain.user.unwrap().group.as_deref(), Some("staff"));
        assert_eq!(plain.stop_signal, Signal::SIGQUIT);
        assert_eq!(plain.volumes, [PathBuf::from("/v1"), "/v2".into()]);
        assert_eq!((plain.exposed, plain.labels["k"].as_str()), (vec!["80/tcp".to_owned()], "v"));
        let options = ProcessArgs {
            env: vec!["A=9".into()],
            workdir: Some("/other".into()),
            user: Some("0".parse().unwrap()),
            ..ProcessArgs::default()
        };
        let mine = planned(config, &options, None, &[]).unwrap();
        assert_eq!(mine.program.var("A").unwrap(), "9");
        assert_eq!(mine.program.cwd.as_deref().unwrap(), "/other");
        assert_eq!(mine.user.unwrap().user, "0");
        let relative = ProcessArgs { workdir: Some("x".into()), ..ProcessArgs::default() };
        assert!(planned(config, &relative, None, &[]).is_err());
    }
}
