//! `HostConfig`: what the person wanted of the host.

use cgroups::MemorySwap;
use security::Confinement;
use serde_json::{Map, Value, json};

use crate::engine::options::{CreateArgs, Options};
use crate::supervisor::restart::Policy;

/// All of it. What is a word for a person is given back as it was typed.
pub fn describe(options: &Options, args: &CreateArgs, confinement: &Confinement) -> Value {
    let typed = |names: &[&str]| given(&options.arguments, names);
    let or_null = |names: &[&str]| {
        let values = typed(names);
        if values.is_empty() { Value::Null } else { values.into() }
    };
    let mut described = json!({
        "Binds": or_null(&["-v", "--volume"]),
        "ContainerIDFile": args.life.cidfile.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        "LogConfig": { "Type": args.life.log_driver, "Config": log_options(args) },
        "NetworkMode": args.network.mode().to_string(),
        "PortBindings": bindings(args),
        "RestartPolicy": restart_policy(args.life.restart),
        "AutoRemove": args.life.rm,
        "CapAdd": or_null(&["--cap-add"]),
        "CapDrop": or_null(&["--cap-drop"]),
        "CgroupnsMode": "private",
        "Dns": typed(&["--dns"]),
        "DnsOptions": typed(&["--dns-option", "--dns-opt"]),
        "DnsSearch": typed(&["--dns-search"]),
        "ExtraHosts": or_null(&["--add-host"]),
        "GroupAdd": or_null(&["--group-add"]),
        "IpcMode": "private",
        "OomScoreAdj": confinement.oom_score_adj.unwrap_or(0),
        "PidMode": "",
        "Privileged": confinement.privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": args.mounts.read_only,
        "SecurityOpt": or_null(&["--security-opt"]),
        "Tmpfs": or_null(&["--tmpfs"]),
        "UTSMode": "",
        "UsernsMode": "",
        "Runtime": "cooper",
        "Init": args.process.init,
        "Devices": confinement.devices.iter().map(|device| json!({
            "PathOnHost": device.source, "PathInContainer": device.path,
        })).collect::<Vec<_>>(),
        "DeviceCgroupRules": or_null(&["--device-cgroup-rule"]),
        "Sysctls": confinement.sysctls,
        "Ulimits": confinement.rlimits.iter().map(|limit| json!({
            "Name": limit.kind.short(), "Soft": number(limit.soft), "Hard": number(limit.hard),
        })).collect::<Vec<_>>(),
        "MaskedPaths": confinement.masked,
        "ReadonlyPaths": confinement.readonly,
    });
    if let Value::Object(all) = &mut described {
        all.extend(limits(args));
    }
    described
}

fn restart_policy(policy: Policy) -> Value {
    let (name, retries) = match policy {
        Policy::OnFailure(most) => ("on-failure".to_owned(), most.unwrap_or(0)),
        other => (other.to_string(), 0),
    };
    json!({ "Name": name, "MaximumRetryCount": retries })
}

fn log_options(args: &CreateArgs) -> Map<String, Value> {
    let pairs = args.life.log_opt.iter().filter_map(|one| one.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// The limits of the control group, in Docker's units.
fn limits(args: &CreateArgs) -> Map<String, Value> {
    let limits = &args.limits;
    let bytes = |size: Option<cgroups::Bytes>| size.map_or(0, |size| size.0);
    let text = |list: &Option<cgroups::NumberList>| list.as_ref().map(ToString::to_string).unwrap_or_default();
    let fields = [
        ("Memory", bytes(limits.memory).into()),
        ("MemoryReservation", bytes(limits.memory_reservation).into()),
        (
            "MemorySwap",
            match limits.memory_swap {
                Some(MemorySwap::Unlimited) => (-1).into(),
                Some(MemorySwap::Total(size)) => size.0.into(),
                None => (bytes(limits.memory) * 2).into(),
            },
        ),
        ("NanoCpus", limits.cpus.map_or(0, |cpus| (cpus * 1e9).round() as i64).into()),
        ("CpuShares", limits.cpu_shares.unwrap_or(0).into()),
        ("CpuPeriod", limits.cpu_period.unwrap_or(0).into()),
        ("CpuQuota", limits.cpu_quota.unwrap_or(0).into()),
        ("CpusetCpus", text(&limits.cpuset_cpus).into()),
        ("CpusetMems", text(&limits.cpuset_mems).into()),
        ("PidsLimit", limits.pids_limit.into()),
        ("BlkioWeight", limits.blkio_weight.unwrap_or(0).into()),
        (
            "CgroupParent",
            limits.cgroup_parent.as_ref().map(|path| path.display().to_string()).unwrap_or_default().into(),
        ),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// No limit is -1 in Docker's JSON.
fn number(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(-1)
}

/// `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}`, as asked for: an empty port is the kernel's choice.
fn bindings(args: &CreateArgs) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for wanted in args.network.ports() {
        let host = match &wanted.host {
            network::HostPort::Any => String::new(),
            network::HostPort::FirstOf(range) if range.start() == range.end() => range.start().to_string(),
            network::HostPort::FirstOf(range) => format!("{}-{}", range.start(), range.end()),
        };
        let host_ip = wanted.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
        let binding = json!({ "HostIp": host_ip, "HostPort": host });
        let port = all.entry(format!("{}/{}", wanted.container_port, wanted.protocol)).or_insert_with(|| json!([]));
        if let Value::Array(bindings) = port {
            bindings.push(binding);
        }
    }
    all.into()
}

/// The values of an option in a command line: `--name value`, `--name=value`, `-n value`, `-nvalue`.
fn given(arguments: &[String], names: &[&str]) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if names.contains(&word.as_str()) {
            values.extend(rest.next().cloned());
        } else if let Some((name, value)) = word.split_once('=').filter(|(name, _)| names.contains(name)) {
            let _ = name;
            values.push(value.to_owned());
        } else if let Some(value) = names
            .iter()
            .filter(|name| !name.starts_with("--"))
            .find_map(|name| word.strip_prefix(name))
            .filter(|_| !word.starts_with("--"))
        {
            values.push(value.to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_however_it_was_typed() {
        let line = ["-v", "/a:/b", "--volume=/c:/d", "-it", "-v/e:/f", "--cap-add", "SYS_ADMIN", "--name", "x"]
            .map(str::to_owned);
        assert_eq!(given(&line, &["-v", "--volume"]), ["/a:/b", "/c:/d", "/e:/f"]);
        assert_eq!(given(&line, &["--cap-add"]), ["SYS_ADMIN"]);
        assert!(given(&line, &["--dns"]).is_empty());
    }
}
