//! `features`: what this runtime knows, for drivers that ask before they use it (features.md).

use std::process::ExitCode;

use clap::Args;
use process::Result;
use security::CapSet;
use serde_json::{Value, json};

use super::{Context, Verb, state};
use crate::oci::mount_options::Options;
use crate::oci::state::OCI_VERSION;

/// Print what this runtime knows, as JSON
#[derive(Debug, Args)]
pub(super) struct Features {}

impl Verb for Features {
    fn run(self, _context: &Context) -> Result<ExitCode> {
        println!("{}", state::json(&features())?);
        Ok(ExitCode::SUCCESS)
    }
}

const ACTIONS: [&str; 8] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

fn features() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": Options::known().collect::<Vec<_>>(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": CapSet::of_kernel().names().collect::<Vec<_>>(),
            "cgroup": { "v1": false, "v2": true, "systemd": true, "systemdUser": true, "rdma": false },
            "seccomp": { "enabled": true, "actions": ACTIONS, "operators": OPERATORS },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": false },
            "mountExtensions": { "idmap": { "enabled": true } },
        },
        "annotations": { "org.opencontainers.runc.checkpoint.enabled": "false" },
        "potentiallyUnsafeConfigAnnotations": [],
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_what_the_specification_calls_features() {
        let read = serde_json::from_value::<oci_spec::runtime::Features>(super::features()).unwrap();
        assert!(read.mount_options().as_ref().unwrap().iter().any(|option| option == "rro"));
    }
}
