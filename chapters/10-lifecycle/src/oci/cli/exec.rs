//! `exec`: another program in a running container, confined as the container is.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use oci_spec::runtime::{Capabilities, Capability, Process, Spec, User};
use process::{Container, Error, OrCall, Program, Result, Stage};

use super::{Context, Verb, create, terminal};
use crate::oci::entry::Entry;
use crate::oci::state::{State, Status};
use crate::oci::{Join, errors, exec_recipe, lenient};

/// The exit code of an `exec` that failed itself, as runc's: no program's own is likely to be it.
pub(super) const FAILED: u8 = 255;

/// Run another program in a running container; the exit code is the program's
#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Take `process` of config.json from this file
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Send the terminal's other end to this unix socket
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Do not wait for it
    #[arg(short, long)]
    detach: bool,
    /// Write the process id to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Let the program inherit N more descriptors, from 3 on
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
    /// Also in a paused container, where it waits until that goes on
    #[arg(long)]
    ignore_paused: bool,
    /// A control group below the container's for it
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    /// Accepted for runc's sake
    #[arg(long, hide = true)]
    no_subreaper: bool,
    /// The container
    id: String,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<String>,
}

/// What is to be different from the container's own program.
#[derive(Debug, Default, Args)]
struct Changes {
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Where it starts
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Add a variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Run as this user, by number
    #[arg(short, long, value_name = "UID[:GID]", value_parser = user)]
    user: Option<(u32, Option<u32>)>,
    /// Add a group, by number
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// Add a capability
    #[arg(short, long, value_name = "CAP")]
    cap: Vec<String>,
    /// Nothing it executes may gain privileges
    #[arg(long)]
    no_new_privs: bool,
    /// Its AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// Its SELinux label
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
}

impl Verb for Exec {
    fn run(self, context: &Context) -> Result<ExitCode> {
        self.exec(context).map_err(|error| match error.kind() {
            process::Kind::Exec(_) => error,
            _ => error.at("exec failed"),
        })
    }
}

impl Exec {
    fn exec(&self, context: &Context) -> Result<ExitCode> {
        let entry = context.store.find(&self.id)?;
        let (state, status) = entry.look()?;
        match status {
            Status::Stopped | Status::Creating => return Err(errors::exec_stopped()),
            Status::Paused if !self.ignore_paused => return Err(errors::exec_paused()),
            _ => {}
        }
        let (program, stages) = self.recipe(&entry, &state)?;
        let container = Container::new(program, stages);
        if self.detach { self.detached(container, &entry) } else { self.attached(container) }
    }

    fn recipe(&self, entry: &Entry, state: &State) -> Result<(Program, Vec<Box<dyn Stage>>)> {
        let path = entry.config();
        let bytes = std::fs::read(&path).or_call("read", path.display())?;
        // It was checked at `create`, and what it says of the root may hold no longer.
        let spec = lenient::spec(&bytes)?;
        let process = match &self.process {
            Some(file) => lenient::process(&std::fs::read(file).or_call("read", file.display())?)?,
            None => self.changes.apply(spec.process().clone().unwrap_or_default(), &self.command)?,
        };
        self.stages(&spec, process, state)
    }

    fn stages(&self, spec: &Spec, mut process: Process, state: &State) -> Result<(Program, Vec<Box<dyn Stage>>)> {
        let console = terminal::connect(self.console_socket.as_deref())?;
        let relays = !self.detach && console.is_none() && process.terminal() == Some(true);
        if relays {
            process.set_terminal(Some(false));
        }
        let cgroup = state.cgroup.as_ref().map(|group| self.below(group)).transpose()?;
        let into = Join {
            told: state.told(Status::Running),
            pid: Pid::from_raw(state.pid),
            cgroup: cgroup.as_deref(),
            seccomp: spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref()),
            console,
            ignore_paused: self.ignore_paused,
            preserve_fds: self.preserve_fds,
        };
        let (program, mut stages) = exec_recipe(&process, &into)?;
        if relays {
            terminal::relay(&mut stages);
        }
        Ok((program, stages))
    }

    /// The group that `--cgroup` names below the container's; the controllers that runc lets one name are version 1's.
    fn below(&self, group: &Path) -> Result<PathBuf> {
        let Some(name) = &self.cgroup else { return Ok(group.to_owned()) };
        let path = name.strip_prefix("all:").or_else(|| name.strip_prefix(':')).unwrap_or(name).trim_start_matches('/');
        let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let below = group.join(path);
        if plain && below.is_dir() {
            return Ok(below);
        }
        Err(Error::invalid(format!("{name:?} is no control group below the container's"))
            .help("make it first, in the container"))
    }

    /// It dies with us, and signals that we get are for it.
    fn attached(&self, container: Container) -> Result<ExitCode> {
        let created = container.create()?;
        let pid = created.child().pid().as_raw();
        let running = created.start()?;
        self.write_pid(pid)?;
        let exited = running.wait()?;
        Ok(exited.exit.into())
    }

    /// Its parent will be whoever adopts it. It waits for its start at a socket as a container does, for a moment only.
    fn detached(&self, container: Container, entry: &Entry) -> Result<ExitCode> {
        let socket = entry.path().join(format!("exec-{}.sock", std::process::id()));
        let done = container.create_apart(&socket).and_then(|child| {
            let started = process::start(&socket).and_then(|()| self.write_pid(child.pid().as_raw()));
            // Nobody would know of it.
            started.inspect_err(|_| {
                let _ = process::sys::pidfd_send_signal(child.pidfd(), Signal::SIGKILL);
            })
        });
        let _ = std::fs::remove_file(&socket);
        done.map(|()| ExitCode::SUCCESS)
    }

    fn write_pid(&self, pid: i32) -> Result<()> {
        self.pid_file.as_deref().map_or(Ok(()), |path: &Path| create::write_pid(path, pid))
    }
}

impl Changes {
    /// The container's own process with these changes and another command.
    fn apply(&self, mut process: Process, command: &[String]) -> Result<Process> {
        if command.is_empty() {
            return Err(
                Error::invalid("process args cannot be empty").help("name the program, or a file with --process")
            );
        }
        process.set_args(Some(command.to_vec()));
        process.set_terminal(Some(self.tty));
        if let Some(cwd) = &self.cwd {
            process.set_cwd(cwd.clone());
        }
        let mut env = process.env().clone().unwrap_or_default();
        env.extend(self.env.iter().cloned());
        process.set_env(Some(env));
        self.change_user(process.user_mut());
        if !self.cap.is_empty() {
            self.add_capabilities(&mut process)?;
        }
        if self.no_new_privs {
            process.set_no_new_privileges(Some(true));
        }
        if let Some(profile) = &self.apparmor {
            process.set_apparmor_profile(Some(profile.clone()));
        }
        if let Some(label) = &self.process_label {
            process.set_selinux_label(Some(label.clone()));
        }
        Ok(process)
    }

    fn change_user(&self, user: &mut User) {
        if let Some((uid, gid)) = self.user {
            user.set_uid(uid);
            if let Some(gid) = gid {
                user.set_gid(gid);
            }
        }
        if !self.additional_gids.is_empty() {
            let mut groups = user.additional_gids().clone().unwrap_or_default();
            groups.extend(&self.additional_gids);
            user.set_additional_gids(Some(groups));
        }
    }

    /// Into every set, as runc does.
    fn add_capabilities(&self, process: &mut Process) -> Result<()> {
        let mut all = process.capabilities().clone().unwrap_or_default();
        for name in &self.cap {
            let unknown = || Error::invalid(format!("unknown capability {name:?}")).help("capabilities(7) lists them");
            let capability: Capability = lenient::again(&name.to_ascii_uppercase().into()).map_err(|_| unknown())?;
            let with = |set: &Option<Capabilities>| {
                let mut set = set.clone().unwrap_or_default();
                set.insert(capability);
                Some(set)
            };
            all.set_bounding(with(all.bounding()));
            all.set_effective(with(all.effective()));
            all.set_permitted(with(all.permitted()));
            all.set_ambient(with(all.ambient()));
        }
        process.set_capabilities(Some(all));
        Ok(())
    }
}

/// `UID[:GID]`
fn user(text: &str) -> Result<(u32, Option<u32>), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number: names are the engine's affair"));
    match text.split_once(':') {
        Some((uid, gid)) => Ok((number(uid)?, Some(number(gid)?))),
        None => Ok((number(text)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_are_made_to_the_containers_own_process() {
        let text =
            r#"{"terminal":true,"user":{"uid":1,"gid":2,"additionalGids":[3]},"args":["a"],"cwd":"/","env":["A=1"]}"#;
        let own: Process = serde_json::from_str(text).unwrap();
        let env = vec!["B=2".to_owned()];
        let changes = Changes {
            env,
            user: Some((7, None)),
            additional_gids: vec![4],
            cap: vec!["cap_kill".into()],
            no_new_privs: true,
            ..Changes::default()
        };
        let changed = changes.apply(own.clone(), &["sh".to_owned()]).unwrap();
        assert_eq!(changed.args().as_deref().unwrap(), ["sh"]);
        assert_eq!(changed.env().as_deref().unwrap(), ["A=1", "B=2"]);
        assert_eq!((changed.user().uid(), changed.user().gid(), changed.terminal()), (7, 2, Some(false)));
        assert_eq!(changed.user().additional_gids().as_deref().unwrap(), [3, 4]);
        assert!(changed.capabilities().as_ref().unwrap().ambient().as_ref().unwrap().contains(&Capability::Kill));
        assert!(changes.apply(own.clone(), &[]).is_err());
        assert!(Changes { cap: vec!["FLY".into()], ..Changes::default() }.apply(own, &["sh".into()]).is_err());
    }

    #[test]
    fn users_are_numbers() {
        assert_eq!(user("7"), Ok((7, None)));
        assert_eq!(user("7:8"), Ok((7, Some(8))));
        assert!(user("ada").is_err() && user("7:").is_err());
    }
}
