//! `create`: a bundle becomes a container whose process waits for `start`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use process::{Container, OrCall, Result, Stage};

use super::{Context, Verb, delete, terminal};
use crate::oci::bundle::CONFIG;
use crate::oci::entry::{self, Held};
use crate::oci::record::Record;
use crate::oci::state::{LaterHooks, State, Status, start_socket};
use crate::oci::{Bundle, Place, hooks, log, recipe};

/// Create a container whose program waits for `start`
#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    options: CreateArgs,
}

/// What `create` and `run` have in common.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The directory with config.json
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// Send the terminal's other end to this unix socket
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Write the process id to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Let the program inherit N more descriptors, from 3 on
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
    /// Take the root by chroot where pivot_root cannot, as on the first ramdisk
    #[arg(long)]
    no_pivot: bool,
    /// Stay in the caller's session keyring
    #[arg(long)]
    no_new_keyring: bool,
    /// The new container's name
    pub id: String,
}

/// A container that is planned, and its directory.
pub(super) struct Planned {
    pub held: Held,
    pub container: Container,
}

impl Verb for Create {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let planned = self.options.plan(context, false)?;
        create_apart(context, planned, &self.options).map(|_| ExitCode::SUCCESS)
    }
}

/// Makes the process, and lets go of it. After a failure nothing of the container stays.
pub(super) fn create_apart(context: &Context, planned: Planned, options: &CreateArgs) -> Result<Held> {
    let Planned { held, container } = planned;
    let child = match container.create_apart(&start_socket(held.entry.path())) {
        Ok(child) => child,
        Err(error) => {
            abandon(held);
            return Err(error);
        }
    };
    if let Err(error) = options.write_pid(child.pid().as_raw()) {
        // There is a container by now, and nobody who would know of it.
        let (state, _) = held.look()?;
        delete::end(&state)?;
        delete::remove(context, held, &state)?;
        return Err(error);
    }
    Ok(held)
}

/// After a failure: nothing of the container stays. What had come so far that it was written down has an end, too, and
/// the hooks of the end run (runtime.md, "Lifecycle", step 12 and 13); that one of them fails is no news here.
pub(super) fn abandon(held: Held) {
    let state = held.entry.state().ok().flatten();
    let _ = held.remove();
    if let Some(state) = state {
        hooks::run_all("poststop", &state.hooks.poststop, &state.told(Status::Stopped));
    }
}

impl CreateArgs {
    /// Reads the bundle, takes the id, and lists the stages. If we stay `attached`, a terminal without a socket is ours.
    pub fn plan(&self, context: &Context, attached: bool) -> Result<Planned> {
        let dir = std::path::absolute(&self.bundle).or_call("getcwd", self.bundle.display())?;
        let (mut bundle, bytes) = read(dir)?;
        let listening = pass_on_sockets(&mut bundle);
        let console = terminal::connect(self.console_socket.as_deref())?;
        let relays = attached && console.is_none() && terminal::take(&mut bundle);
        let place = Place {
            id: self.id.clone(),
            console,
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            groups: context.groups,
            preserve_fds: self.preserve_fds + listening,
        };
        let held = context.store.create(&self.id)?;
        let planned = held.entry.save_config(&bytes).and_then(|()| recipe(&bundle, &place));
        let (program, mut stages) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                abandon(held);
                return Err(error);
            }
        };
        if relays {
            terminal::relay(&mut stages);
        }
        let state = state_of(&bundle, self.id.clone());
        let record = Record::new(&held, state);
        let mut all: Vec<Box<dyn Stage>> = Vec::with_capacity(stages.len() + 1);
        all.push(Box::new(record));
        all.extend(stages);
        Ok(Planned { held, container: Container::new(program, all) })
    }

    /// Tells the caller the process's number.
    pub fn write_pid(&self, pid: i32) -> Result<()> {
        self.pid_file.as_ref().map_or(Ok(()), |path| write_pid(path, pid))
    }
}

/// Whole or not at all: conmon reads it as soon as it is there.
pub(super) fn write_pid(path: &Path, pid: i32) -> Result<()> {
    entry::replace(path, pid.to_string().as_bytes()).map_err(|error| error.at("--pid-file"))
}

/// The bundle and the very bytes that it was read from.
fn read(dir: PathBuf) -> Result<(Bundle, Vec<u8>)> {
    match std::fs::read(dir.join(CONFIG)) {
        Ok(bytes) => Ok((Bundle::parse(dir, &bytes)?, bytes)),
        Err(_) => Ok((Bundle::load(&dir)?, Vec::new())), // which says why not
    }
}

/// Sockets that our caller's service manager listens at go to the program (sd_listen_fds(3)), whose process id is 1.
/// How many there are: they are the first descriptors behind the standard ones.
fn pass_on_sockets(bundle: &mut Bundle) -> u32 {
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    if let (Some(process), 1..) = (bundle.spec.process_mut(), count) {
        let mut env = process.env().clone().unwrap_or_default();
        env.extend([format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()]);
        env.extend(std::env::var("LISTEN_FDNAMES").ok().map(|names| format!("LISTEN_FDNAMES={names}")));
        process.set_env(Some(env));
    }
    count
}

/// What is known before there is a process.
fn state_of(bundle: &Bundle, id: String) -> State {
    let hooks = bundle.spec.hooks().as_ref();
    let hooks = hooks.map_or_else(LaterHooks::default, |hooks| LaterHooks {
        poststart: hooks.poststart().clone().unwrap_or_default(),
        poststop: hooks.poststop().clone().unwrap_or_default(),
    });
    State {
        oci_version: bundle.spec.version().clone(),
        bundle: bundle.dir.clone(),
        rootfs: bundle.root.clone(),
        created: log::now(),
        annotations: bundle.spec.annotations().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
        hooks,
        ..State::unknown(id)
    }
}
