//! `create`: everything is decided and written down; no process exists yet.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use images::{Planned, Store};
use layers::{Config, ContainerDir, MountSpec, Source, Volume};
use namespaces::{TerminalArgs, id};
use network::Mode;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use process::{Error, Kind, OrCall, Result};

use super::life::HealthCheck;
use super::options::{self, CreateArgs, Kept, Options};
use crate::state::State;
use crate::supervisor::restart::Policy;

/// Makes a container of `args`, which were typed as `arguments`; its input and output are `terminal`'s, and with `once`
/// its input ends with the first client's. It is locked for as long as what is returned lives.
///
/// # Errors
/// Whatever is wrong with the options or the image; nothing is left of the container then.
pub fn create(args: &CreateArgs, arguments: &[OsString], terminal: TerminalArgs, once: bool) -> Result<ContainerDir> {
    if args.life.rm && args.life.restart != Policy::No {
        return Err(Error::invalid("--rm and --restart exclude each other").help("leave out one of them"));
    }
    args.limits.check()?;
    args.network.check()?;
    args.life.log()?;
    let (arguments, words) = options::split(arguments, args)?;
    let cidfile = args.life.cidfile.as_deref().map(new_file).transpose()?;
    let store = Store::open()?;
    let hold = store.hold()?;
    let (image, command) = args.image.obtain_first(&store, &args.image_and_command)?;
    let planned = Planned::new(&image.config, &args.process, args.image.entrypoint.as_deref(), command)?;
    let plan = args.namespaces.plan()?;
    let mut own = plan.flags;
    own.set(CloneFlags::CLONE_NEWUSER, plan.map.is_some());
    if args.network.mode() == Mode::Host {
        own -= CloneFlags::CLONE_NEWNET;
    }
    let confinement = args.security.confinement(own)?;

    let mut config = Config::new(&plan.id, &plan.name, image.lowers(&store), planned.program.argv.clone());
    config.annotations = planned.annotations(&image);
    let mut kept = Options {
        arguments,
        words,
        directory: options::here()?,
        image: image.id().to_string(),
        program: Kept::new(&planned.program)?,
        user: planned.user.as_ref().map(ToString::to_string),
        tty: terminal.tty,
        stdin: terminal.interactive,
        stdin_once: once,
        volumes: std::collections::BTreeMap::new(),
        labels: planned.labels.clone(),
        exposed: planned.exposed.clone(),
        stop_signal: args.life.stop_signal.unwrap_or(planned.stop_signal).as_str().to_owned(),
        health: args.life.health.over(health_of(&store, &image)?),
    };
    kept.labels.extend(args.life.labels()?);
    note_volumes(planned.mounts(args.mounts.specs()?), &mut config, &mut kept)?;

    let directory = ContainerDir::create(config)?;
    let furnished = furnish(&directory, &kept, &confinement);
    drop(hold);
    if let Err(error) = furnished {
        let _ = layers::remove_with_volumes(directory);
        return Err(error);
    }
    if let Some((path, mut file)) = cidfile {
        file.write_all(plan.id.as_bytes()).or_call("write", path)?;
    }
    Ok(directory)
}

/// Which volumes are the container's; one without a name gets one, which is its for good.
fn note_volumes(specs: Vec<MountSpec>, config: &mut Config, kept: &mut Options) -> Result<()> {
    for spec in specs {
        match spec.source {
            Source::Volume { name: Some(name), .. } => config.volumes.push(name),
            Source::Volume { name: None, .. } => {
                let name = id::random_id()?;
                config.volumes.push(name.clone());
                kept.volumes.insert(spec.target, name);
            }
            _ => {}
        }
    }
    Ok(())
}

fn furnish(directory: &ContainerDir, kept: &Options, confinement: &security::Confinement) -> Result<()> {
    for name in kept.volumes.values() {
        Volume::ensure_anonymous(name)?;
    }
    confinement.save(directory.path())?;
    kept.save(directory.path())?;
    State::created().write(directory.path())
}

/// The check that the image has: an extension of Docker's, so read from the configuration's own bytes.
fn health_of(store: &Store, image: &images::Image) -> Result<Option<HealthCheck>> {
    let bytes = store.read_blob("the image's configuration", image.id())?;
    let config: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::new(Kind::Corrupt, format!("the image's configuration: {error}")))?;
    let check = config.pointer("/config/Healthcheck").filter(|check| !check.is_null()).cloned();
    let parsed = check.map(serde_json::from_value).transpose();
    parsed.map_err(|error| Error::new(Kind::Corrupt, format!("the image's health check: {error}")))
}

/// A file that must not be there yet, as Docker has it: two containers shall not share one.
fn new_file(path: &Path) -> Result<(String, std::fs::File)> {
    let shown = path.display().to_string();
    let file = std::fs::File::create_new(path).or_call("open", &shown);
    Ok((shown, file.map_err(|error| error.help("--cidfile takes the name of a file that is not there yet"))?))
}

/// The signal that `stop` sends to the container of `kept`.
pub fn stop_signal(kept: &Options) -> Signal {
    process::parse_signal(&kept.stop_signal).unwrap_or(Signal::SIGTERM)
}
