//! Where a cell runs, by what it needs and what this machine has.

use harness::{find_program, has_cgroup_v2, lacks, required};
use nix::unistd::geteuid;

use crate::cell::Cell;

/// The three lanes of the project's tests, and of the book's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// An ordinary user.
    User,
    /// Root.
    Root,
    /// Root, with all controllers of cgroup v2.
    Vm,
}

/// Where the cells of a lane run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a sandbox on this machine.
    Here,
    /// In a sandbox in the virtual machine.
    Machine,
}

impl Lane {
    /// The lane of a cell.
    pub fn of(cell: &Cell) -> Self {
        let needs = |name: &str| cell.needs.iter().any(|need| need == name);
        if needs("vm") || needs("cgroup2") {
            Self::Vm
        } else if needs("root") {
            Self::Root
        } else {
            Self::User
        }
    }

    /// As `COOPER_REQUIRE` and front matter name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Root => "root",
            Self::Vm => "vm",
        }
    }

    /// Must its cells run?
    pub fn required(self) -> bool {
        required(match self {
            Self::User => harness::Lane::User,
            Self::Root => harness::Lane::Root,
            Self::Vm => harness::Lane::Vm,
        })
    }

    /// Where its cells run here; or why they cannot. `host_root`: may root's cells run on this machine?
    ///
    /// # Errors
    /// The reason.
    pub fn place(self, host_root: bool) -> Result<Place, String> {
        let root = geteuid().is_root() && host_root;
        match self {
            Self::User => Ok(Place::Here),
            Self::Root if root => Ok(Place::Here),
            Self::Vm if root && has_cgroup_v2() => Ok(Place::Here),
            Self::Root | Self::Vm => machine(),
        }
    }
}

fn machine() -> Result<Place, String> {
    let programs = ["apt-get", "busybox", "depmod", "dpkg-deb", "flock", "qemu-system-x86_64"];
    match programs.into_iter().find(|name| find_program(name).is_none()) {
        None => Ok(Place::Machine),
        Some(missing) => Err(lacks(missing).unwrap_or_default()),
    }
}

/// Why a cell cannot run in this place, apart from its lane.
pub fn lacking(cell: &Cell) -> Option<String> {
    let lanes = ["root", "vm", "cgroup2", "network"];
    let other = cell.needs.iter().filter(|need| !lanes.contains(&need.as_str()));
    // As root we make the ordinary user, with a range of ids.
    let given = |need: &str| geteuid().is_root() && matches!(need, "userns" | "subuid");
    other.into_iter().filter(|need| !given(need)).find_map(|need| lacks(need))
}
