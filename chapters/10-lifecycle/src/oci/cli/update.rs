//! `update`: other limits for a container that exists.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cgroups::{Bytes, Place};
use clap::Args;
use oci_spec::runtime::LinuxResources;
use process::{Error, OrCall, Result};
use serde_json::{Map, Value, json};

use super::{Context, Verb, pause};
use crate::oci::state::Status;
use crate::oci::{cgroup, errors, lenient, resources};

/// Change the limits of a container
#[derive(Debug, Args)]
pub(super) struct Update {
    /// Take linux.resources from this file, or from standard input if it is `-`; other options are ignored then
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    #[command(flatten)]
    limits: Limits,
    /// The container
    id: String,
}

/// Limits one by one, by runc's names. 0 leaves a limit as it is.
#[derive(Debug, Default, Args)]
struct Limits {
    /// Weight among others for disks, 10 to 1000
    #[arg(long, value_name = "N")]
    blkio_weight: Option<u16>,
    /// The period of the CPU quota, in microseconds
    #[arg(long, value_name = "USEC")]
    cpu_period: Option<u64>,
    /// CPU time in each period, in microseconds
    #[arg(long, value_name = "USEC", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// CPU time that may be saved up for a burst, in microseconds
    #[arg(long, value_name = "USEC")]
    cpu_burst: Option<u64>,
    /// Weight among others for CPU time
    #[arg(long, value_name = "N")]
    cpu_share: Option<u64>,
    /// 1: run only when nobody else wants the CPU
    #[arg(long, value_name = "0|1")]
    cpu_idle: Option<i64>,
    /// CPUs to run on
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to allocate from
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Memory
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = bytes)]
    memory: Option<i64>,
    /// Memory that is left to it when others want it
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = bytes)]
    memory_reservation: Option<i64>,
    /// Memory and swap together; -1: no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = bytes)]
    memory_swap: Option<i64>,
    /// Processes and threads; -1: no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
}

impl Verb for Update {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let wanted = match &self.resources {
            Some(path) => read(path)?,
            None => self.limits.resources(),
        };
        let held = context.store.find(&self.id)?.hold()?;
        let (state, status) = held.look()?;
        if matches!(status, Status::Stopped | Status::Creating) {
            return Err(errors::not_running());
        }
        let wanted = parse(wanted)?;
        let writes = resources::writes(Some(&wanted))?;
        if writes.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let group = pause::group(&state)?;
        cgroup::enable(&Place::find()?, &group, &writes)?;
        resources::apply(&group, &writes)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Limits {
    /// The same as config.json would have them.
    fn resources(&self) -> Value {
        json!({
            "memory": { "limit": self.memory, "reservation": self.memory_reservation, "swap": self.memory_swap },
            "cpu": {
                "shares": self.cpu_share, "quota": self.cpu_quota, "period": self.cpu_period, "burst": self.cpu_burst,
                "idle": self.cpu_idle, "cpus": self.cpuset_cpus, "mems": self.cpuset_mems,
            },
            "pids": { "limit": self.pids_limit },
            "blockIO": { "weight": self.blkio_weight },
        })
    }
}

fn read(path: &Path) -> Result<Value> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).or_call("read", "standard input")?;
    } else {
        text = std::fs::read_to_string(path).or_call("read", path.display())?;
    }
    serde_json::from_str(&text).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

/// What is 0, empty or null is left as it is: drivers send whole structures with one value set.
fn parse(mut wanted: Value) -> Result<LinuxResources> {
    if let Some(parts) = wanted.as_object_mut() {
        parts.values_mut().filter_map(Value::as_object_mut).for_each(drop_unset);
        parts.retain(|_, part| !part.is_null() && part.as_object().is_none_or(|part| !part.is_empty()));
        // Devices are the container's for good; containerd sends them along.
        parts.remove("devices");
    }
    lenient::again(&wanted).map_err(|error| Error::invalid(format!("resources: {error}")))
}

fn drop_unset(part: &mut Map<String, Value>) {
    part.retain(|_, value| !(value.is_null() || value == 0 || value == ""));
}

/// `64m`, `67108864`, `-1`.
fn bytes(text: &str) -> Result<i64, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let bytes: Bytes = text.parse().map_err(|error: Error| error.what().to_owned())?;
    i64::try_from(bytes.0).map_err(|_| format!("{text} is too much"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_left_alone() {
        let text = r#"{"memory":{"limit":0,"reservation":null},"cpu":{"shares":512,"cpus":""},"pids":{"limit":0},"devices":[{}]}"#;
        let parsed = parse(serde_json::from_str(text).unwrap()).unwrap();
        assert!(parsed.memory().is_none() && parsed.pids().is_none() && parsed.devices().is_none());
        assert_eq!(parsed.cpu().as_ref().unwrap().shares(), Some(512));
        assert!(parse(Limits::default().resources()).unwrap().memory().is_none());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!((bytes("64m"), bytes("-1"), bytes("7")), (Ok(64 << 20), Ok(-1), Ok(7)));
        assert!(bytes("x").is_err());
    }
}
