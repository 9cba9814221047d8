//! The stage: a group is made, limited, and is the child's from its first instant.

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use colored::Colorize;
use namespaces::{Plan, rootless};
use nix::sched::CloneFlags;
use process::{Error, Keep, Kind, Result, Stage, explain};

use crate::place::{Held, Place};
use crate::{Bytes, Controller, Group, Limits, Machine, Setting, sweep, systemd, view};

/// Always asked for, since they also count; `cpuset` only limits, so only when it shall.
const COUNTING: [Controller; 4] = [Controller::Cpu, Controller::Io, Controller::Memory, Controller::Pids];

/// The stage that holds a container in a group with limits.
///
/// In the list it follows the system mounts: it mounts the container's view of its group into their /sys.
pub struct Cgroup {
    id: String,
    root: PathBuf,
    settings: Vec<Setting>,
    parent: Option<PathBuf>,
    own_namespace: bool,
    held: Option<Held>,
}

impl Limits {
    /// The stage for the container of `plan`, whose root is `root`.
    ///
    /// # Errors
    /// As [`settings`](Self::settings).
    pub fn stage(&self, plan: &Plan, root: PathBuf) -> Result<Cgroup> {
        Ok(Cgroup {
            id: plan.id.clone(),
            root,
            settings: self.settings(&Machine::here())?,
            parent: self.cgroup_parent.clone(),
            own_namespace: plan.flags.contains(CloneFlags::CLONE_NEWCGROUP),
            held: None,
        })
    }
}

impl Cgroup {
    fn make(&self) -> Result<Held> {
        let place = Place::find().map_err(|error| self.blame(error))?;
        let mut controllers = COUNTING.to_vec();
        if self.settings.iter().any(|setting| setting.controller == Controller::Cpuset) {
            controllers.push(Controller::Cpuset);
        }
        // Looked at before anything is made, so that a refusal leaves nothing behind.
        let available = place.available();
        if let Some(setting) = self.settings.iter().find(|setting| !available.contains(&setting.controller)) {
            return Err(place.missing(setting.option, setting.controller));
        }
        place.make(self.parent.as_deref(), &self.id, &controllers)
    }

    /// There is no place at all: says for which option that matters, and what cgroup v1 has to do with it.
    fn blame(&self, error: Error) -> Error {
        let Some(setting) = self.settings.first() else { return error };
        let error = error.at(format_args!("{} cannot be set", setting.option));
        match crate::Hierarchy::find() {
            Ok(hierarchy) => crate::controller::on_v1(setting.option, setting.controller, &hierarchy).unwrap_or(error),
            Err(_) => error,
        }
    }

    fn limit(&self, group: &Group) -> Result<()> {
        let have = Controller::parse_list(&group.read("cgroup.controllers")?);
        for setting in &self.settings {
            if !have.contains(&setting.controller) {
                return Err(Place::find()?.missing(setting.option, setting.controller));
            }
            write(setting, group)?;
        }
        Ok(())
    }
}

fn write(setting: &Setting, group: &Group) -> Result<()> {
    let present: Vec<_> = setting.files.iter().filter(|(file, _)| group.has(file)).collect();
    if present.is_empty() && !setting.implied {
        let files: Vec<_> = setting.files.iter().map(|(file, _)| *file).collect();
        let what = format!("{}: this kernel has no {}", setting.option, files.join(" and no "));
        return Err(Error::unsupported(what).help(match setting.controller {
            Controller::Memory => "boot with the kernel parameter swapaccount=1, or leave the option out",
            Controller::Io => "a disk scheduler that knows weights is needed: sudo modprobe bfq",
            _ => "leave the option out, or boot a kernel that has it",
        }));
    }
    for (file, value) in present {
        group.write(file, value).map_err(|error| error.at(setting.option))?;
        explain!(4, "a limit is a write", "write({file}, {value:?})");
    }
    Ok(())
}

impl Stage for Cgroup {
    fn name(&self) -> &'static str {
        "cgroup"
    }

    fn prepare(&mut self) -> Result<()> {
        if !rootless::is_rootless() {
            systemd::delegate();
        }
        match self.make() {
            Ok(held) => {
                let held = self.held.insert(held);
                // Held from here on, so that poststop removes it also when a write fails.
                let group = held.group.path().to_owned();
                self.limit(&Group::open(group)?)
            }
            // Without a limit nothing was promised: the container runs where we do, and `stats` tells why it cannot.
            Err(error) if self.settings.is_empty() && self.parent.is_none() && is_mild(&error) => {
                explain!(4, "no group: it stays in ours", "{}", error.what());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.held.as_ref().map(|held| held.group.as_fd())
    }

    fn create_container(&mut self) -> Result<()> {
        if let Some(held) = &self.held {
            explain!(4, "born in its group", "clone3(INTO_CGROUP, {})", held.group.path().display());
        }
        view::mount(&self.root, self.own_namespace)
    }

    fn hand_over(&mut self) -> Vec<Keep> {
        self.held.as_ref().and_then(Held::lock_for_heirs).map(Keep::Fd).into_iter().collect()
    }

    fn poststop(&mut self) -> Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        tell(&held.group);
        sweep::kill_and_remove(&held.group)?;
        for path in &held.above {
            // Others may be in there; then it stays.
            let _ = std::fs::remove_dir(path);
        }
        Ok(())
    }
}

fn is_mild(error: &Error) -> bool {
    error.kind() == Kind::Unsupported || matches!(error.kind(), Kind::Call(_))
}

/// What the program could not see of its own end: the kernel's hand.
fn tell(group: &Group) {
    if let Some(killed) = group.value("memory.events", "oom_kill").filter(|&killed| killed > 0) {
        let size = |file| group.read(file).ok()?.trim().parse().ok().map(Bytes);
        let peak = size("memory.peak").map_or(String::new(), |peak| format!(", peak {peak}"));
        let processes = if killed == 1 { "a process".to_owned() } else { format!("{killed} processes") };
        match size("memory.max") {
            Some(limit) => {
                let what = format!("the kernel killed {processes}: out of memory (limit {limit}{peak})");
                warn(&what, Some("raise --memory"));
            }
            None => warn(&format!("the kernel killed {processes}: the machine is out of memory{peak}"), None),
        }
    }
    if let Some(refused) = group.value("pids.events", "max").filter(|&refused| refused > 0) {
        let limit = group.read("pids.max").unwrap_or_default();
        let times = if refused == 1 { "once".to_owned() } else { format!("{refused} times") };
        warn(&format!("fork was refused {times} (limit {} processes)", limit.trim()), Some("raise --pids-limit"));
    }
}

fn warn(what: &str, help: Option<&str>) {
    // A terminal may still be in the mode that the program needed, where a new line does not begin at the left.
    let end = if std::io::stderr().is_terminal() { "\r\n" } else { "\n" };
    let help = help.map_or(String::new(), |help| format!("  {} {help}{end}", "help:".green().bold()));
    eprint!("{} cgroup: {what}{end}{help}", "warning:".yellow().bold());
}
