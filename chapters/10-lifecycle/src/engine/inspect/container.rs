//! A container in the shape of Docker's `GET /containers/ID/json` (moby, api/types).

use std::path::PathBuf;

use process::Result;
use security::Confinement;
use serde::Serialize;
use serde_json::{Value, json};

use super::{MountPoint, host_config, mounts, network};
use crate::engine::container::{Kept, log_path};
use crate::engine::options::{CreateArgs, Options};
use crate::engine::ps::disk_usage;
use crate::state::Status;
use crate::state::{self, Probe};
use crate::supervisor::stamp::Stamp;

/// What Docker writes where there is no time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A container. The fields stand in Docker's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Shown {
    id: String,
    created: String,
    path: String,
    args: Vec<String>,
    state: State,
    image: String,
    resolv_conf_path: PathBuf,
    hostname_path: PathBuf,
    hosts_path: PathBuf,
    log_path: PathBuf,
    name: String,
    restart_count: u32,
    driver: &'static str,
    platform: &'static str,
    mount_label: String,
    process_label: String,
    app_armor_profile: String,
    #[serde(rename = "ExecIDs")]
    exec_ids: Option<Vec<String>>,
    host_config: Value,
    graph_driver: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_root_fs: Option<u64>,
    mounts: Vec<MountPoint>,
    config: Value,
    network_settings: Value,
}

/// Where in its life it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: i32,
    exit_code: i32,
    error: String,
    started_at: String,
    finished_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Value>,
}

/// Everything about `kept`; with `size`, what it has written is counted.
///
/// # Errors
/// Options or a confinement that cannot be read; a container of an earlier step has none, which is no error.
pub fn describe(kept: &Kept, size: bool) -> Result<Shown> {
    let config = kept.dir.config();
    let options = kept.options().ok();
    let args = options.as_ref().map(Options::parse).transpose()?;
    let confinement = Confinement::load(kept.dir.path())?.unwrap_or_default();
    let words: Vec<_> = config.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (path, words) = words.split_first().map_or((String::new(), &[][..]), |(path, words)| (path.clone(), words));
    let files = network::files(kept);
    let own = size.then(|| disk_usage(&kept.dir.upper()));
    let below = || config.layers.iter().map(|layer| disk_usage(layer)).sum::<u64>();
    let labels = confinement.selinux.clone();
    Ok(Shown {
        id: config.id.clone(),
        created: kept.created().to_string(),
        path,
        args: words.to_vec(),
        state: state(&kept.state),
        image: options.as_ref().map(|options| options.image.clone()).unwrap_or_default(),
        resolv_conf_path: files.join("resolv.conf"),
        hostname_path: files.join("hostname"),
        hosts_path: files.join("hosts"),
        log_path: log_path(kept),
        name: format!("/{}", config.name),
        restart_count: kept.state.restart_count,
        driver: "overlayfs",
        platform: "linux",
        mount_label: labels.as_ref().map(|labels| labels.mount.clone()).unwrap_or_default(),
        process_label: labels.map(|labels| labels.process).unwrap_or_default(),
        app_armor_profile: confinement.apparmor.clone().unwrap_or_default(),
        exec_ids: None,
        host_config: match (&options, &args) {
            (Some(options), Some(args)) => host_config::describe(options, args, &confinement),
            _ => json!({}),
        },
        graph_driver: graph_driver(kept),
        size_rw: own,
        size_root_fs: own.map(|own| own + below()),
        mounts: mounts(kept).unwrap_or_default(),
        config: options
            .as_ref()
            .zip(args.as_ref())
            .map_or_else(|| json!({}), |(options, args)| as_asked(kept, options, args)),
        network_settings: network::describe(kept),
    })
}

fn state(state: &state::State) -> State {
    let is = |status: Status| state.status == status;
    let time = |at: Option<Stamp>| at.map_or(NEVER.to_owned(), |at| at.to_string());
    State {
        status: state.status.name(),
        // In Docker's eyes a paused container runs, and so does one that is about to run again.
        running: is(Status::Running) || is(Status::Paused) || is(Status::Restarting),
        paused: is(Status::Paused),
        restarting: is(Status::Restarting),
        oom_killed: state.oom_killed,
        dead: is(Status::Dead),
        pid: state.pid,
        exit_code: state.exit_code,
        error: state.error.clone(),
        started_at: time(state.started_at),
        finished_at: time(state.finished_at),
        health: state.health.as_ref().map(|health| {
            json!({
                "Status": health.status.name(),
                "FailingStreak": health.failing_streak,
                "Log": health.log.iter().map(probe).collect::<Vec<_>>(),
            })
        }),
    }
}

fn probe(probe: &Probe) -> Value {
    json!({
        "Start": probe.start.to_string(),
        "End": probe.end.to_string(),
        "ExitCode": probe.exit_code,
        "Output": probe.output,
    })
}

fn graph_driver(kept: &Kept) -> Value {
    let lowers: Vec<_> = kept.dir.lowers().iter().map(|layer| layer.display().to_string()).collect();
    json!({
        "Name": "overlayfs",
        "Data": {
            "LowerDir": lowers.join(":"),
            "MergedDir": kept.dir.rootfs(),
            "UpperDir": kept.dir.upper(),
            "WorkDir": kept.dir.work(),
        },
    })
}

/// `Config`: what the image and the person wanted of the program.
fn as_asked(kept: &Kept, options: &Options, args: &CreateArgs) -> Value {
    let short = namespaces::id::short(kept.id());
    let exposed: serde_json::Map<_, _> = options.exposed.iter().map(|port| (port.clone(), json!({}))).collect();
    let volumes: serde_json::Map<_, _> =
        options.volumes.keys().map(|path| (path.display().to_string(), json!({}))).collect();
    json!({
        "Hostname": args.namespaces.hostname.as_deref().unwrap_or(short),
        "Domainname": "",
        "User": options.user.clone().unwrap_or_default(),
        "AttachStdin": options.stdin_once,
        "AttachStdout": options.stdin_once,
        "AttachStderr": options.stdin_once,
        "ExposedPorts": if exposed.is_empty() { Value::Null } else { exposed.into() },
        "Tty": options.tty,
        "OpenStdin": options.stdin,
        "StdinOnce": options.stdin_once,
        "Env": options.program.env,
        "Cmd": options.program.argv,
        "Healthcheck": options.health,
        "Image": kept.annotation("image"),
        "Volumes": if volumes.is_empty() { Value::Null } else { volumes.into() },
        "WorkingDir": options.program.cwd.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        "Entrypoint": Value::Null,
        "OnBuild": Value::Null,
        "Labels": options.labels,
        "StopSignal": options.stop_signal,
        "StopTimeout": args.life.stop_timeout,
    })
}
