//! The controllers: each governs one resource, and must be handed down from group to group to be there.

use std::fmt;

use process::Error;

use crate::Hierarchy;
use crate::place::Place;

/// A controller of cgroup v2 that the engine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Controller {
    Cpu,
    Cpuset,
    Io,
    Memory,
    Pids,
}

/// What an ordinary user lacks under systemd, and how an administrator gives it (systemd.resource-control(5), `Delegate=`).
pub const DROP_IN: &str = "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, then log in anew";
/// How a host with systemd leaves version 1 behind.
pub const UNIFIED: &str = "boot with the kernel parameter systemd.unified_cgroup_hierarchy=1 (without systemd: cgroup_no_v1=all), which gives every controller to cgroup v2";

impl Controller {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cpu, Self::Cpuset, Self::Io, Self::Memory, Self::Pids];

    /// Its name in `cgroup.controllers`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuset => "cpuset",
            Self::Io => "io",
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }

    /// Its name as a mount option of cgroup v1.
    pub fn v1_name(self) -> &'static str {
        if self == Self::Io { "blkio" } else { self.name() }
    }

    /// The controllers that a file like `cgroup.controllers` lists; names that we do not use are skipped.
    pub fn parse_list(text: &str) -> Vec<Self> {
        let known = |name| Self::ALL.into_iter().find(|controller| controller.name() == name);
        text.split_whitespace().filter_map(known).collect()
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `cpu, memory`, or `none`.
pub fn names(controllers: &[Controller]) -> String {
    let names: Vec<_> = controllers.iter().map(|controller| controller.name()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Why `option` cannot be had, though there is a place for groups: its controller does not reach that place.
pub fn missing(option: &str, controller: Controller, place: &Place) -> Error {
    let hierarchy = &place.hierarchy;
    if let Some(error) = on_v1(option, controller, hierarchy) {
        return error;
    }
    let base = place.base.display();
    let top = hierarchy.mount.join("cgroup.controllers");
    let at_top = std::fs::read_to_string(&top).unwrap_or_default();
    if Controller::parse_list(&at_top).contains(&controller) && place.base != hierarchy.mount {
        return Error::unsupported(format!(
            "{option} needs the {controller} controller, which is not delegated to this user: {base}/cgroup.controllers lists {}",
            names(&place.available())
        ))
        .help(DROP_IN);
    }
    Error::unsupported(format!(
        "{option} needs the {controller} controller, which the kernel does not offer: {} lists {}",
        top.display(),
        names(&Controller::parse_list(&at_top))
    ))
    .help(format!("inside a container: have it started with that controller delegated; on a host: boot with the kernel parameter cgroup_enable={controller}, or a kernel that has it"))
}

/// The refusal where a mount of cgroup v1 holds the controller, as on hybrid hosts.
pub fn on_v1(option: &str, controller: Controller, hierarchy: &Hierarchy) -> Option<Error> {
    let mount = hierarchy.v1_mount(controller)?;
    let what = format!(
        "{option} needs the {controller} controller of cgroup v2, but cgroup v1 holds it at {}",
        mount.display()
    );
    Some(Error::unsupported(what).help(UNIFIED))
}
