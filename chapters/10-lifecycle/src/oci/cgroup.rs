//! The container's control group: where `linux.cgroupsPath` says, with the limits of `linux.resources`.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

use cgroups::{Controller, Group, Held, Place};
use process::{Error, Kind, Result, Stage, explain};

use super::bundle::invalid;
use super::resources::{self, Write};
use super::{Bundle, recipe};

/// Asked for wherever they can be had, since they also count.
const COUNTING: [Controller; 4] = [Controller::Cpu, Controller::Io, Controller::Memory, Controller::Pids];
/// Where groups go for which no place is named.
pub const PARENT: &str = "cooper-runtime";

/// The stage that makes the group. It outlives this process: `delete` removes it.
pub struct Cgroup {
    /// The group above, and the group's own name.
    parent: PathBuf,
    name: String,
    /// It was asked for by path.
    asked: bool,
    writes: Vec<Write>,
    held: Option<Held>,
}

impl Cgroup {
    /// The group of `bundle`'s container.
    ///
    /// # Errors
    /// A path with `..`; as [`resources::writes`].
    pub fn new(bundle: &Bundle, place: &recipe::Place) -> Result<Self> {
        let linux = bundle.linux();
        let path = linux.and_then(|linux| linux.cgroups_path().as_deref()).filter(|path| !path.as_os_str().is_empty());
        let mut writes = resources::writes(linux.and_then(|linux| linux.resources().as_ref()))?;
        // A new group has it already, so no controller is needed for it: `ctr` always asks for 1024 shares.
        writes.retain(|write| (&*write.file, write.value.as_str()) != ("cpu.weight", "100"));
        let Some(path) = path else {
            return Ok(Self { parent: PARENT.into(), name: place.id.clone(), asked: false, writes, held: None });
        };
        let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir));
        let name = path.file_name().and_then(|name| name.to_str()).filter(|_| plain);
        let Some(name) = name else {
            return Err(invalid(&format!("linux.cgroupsPath {:?} is no path of a group", path)));
        };
        let parent = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Self { parent, name: name.to_owned(), asked: true, writes, held: None })
    }

    fn make(&self) -> Result<Held> {
        let place = Place::find()?;
        let needed = |controller: &Controller| self.needs(controller.name());
        let available = place.available();
        let lacking = Controller::ALL.into_iter().find(|one| needed(one).is_some() && !available.contains(one));
        if let Some(controller) = lacking {
            let write = needed(&controller).map_or_else(String::new, |write| write.property.to_string());
            return Err(place.missing(&format!("linux.resources.{write}"), controller));
        }
        let mut controllers = COUNTING.to_vec();
        controllers.extend(Some(Controller::Cpuset).filter(|one| needed(one).is_some()));
        // An empty parent is the place itself.
        let held = place.make(Some(&self.parent), &self.name, &controllers)?;
        if held.group.is_populated() {
            let what = format!("the group {} is not empty: another container is in it", held.group.path().display());
            return Err(Error::new(Kind::Conflict, what).help("choose another linux.cgroupsPath"));
        }
        enable(&place, &held.group, &self.writes).inspect_err(|_| drop(std::fs::remove_dir(held.group.path())))?;
        Ok(held)
    }

    fn needs(&self, controller: &str) -> Option<&Write> {
        self.writes.iter().find(|write| write.controller() == Some(controller))
    }
}

/// Where the group of container `id` would be made, whose config.json has this cgroupsPath.
pub fn planned(path: Option<&str>, id: &str) -> Option<PathBuf> {
    let place = Place::find().ok()?;
    let Some(path) = path.filter(|path| !path.is_empty()).map(Path::new) else {
        return Some(place.base.join(PARENT).join(id));
    };
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir));
    let top = if path.is_absolute() { place.hierarchy.mount } else { place.base };
    plain.then(|| top.join(path.strip_prefix("/").unwrap_or(path)))
}

/// Enables what `writes` to `group` need and it does not have yet.
///
/// # Errors
/// As write(2) to cgroup.subtree_control, of the groups from the place down.
pub fn enable(place: &Place, group: &Group, writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let enabled = group.read("cgroup.controllers").unwrap_or_default();
    for write in writes {
        let Some(controller) = write.controller() else { continue };
        if !enabled.split_whitespace().any(|name| name == controller) {
            hand_down(&place.base, group.path(), controller)
                .map_err(|error| error.at(format_args!("linux.resources.{}", write.property)))?;
        }
    }
    Ok(())
}

/// Enables a controller that no chapter before has needed, from `base` down to the parent of `group`.
fn hand_down(base: &Path, group: &Path, controller: &str) -> Result<()> {
    let mut above: Vec<_> = group.ancestors().skip(1).take_while(|path| path.starts_with(base)).collect();
    above.reverse();
    above.into_iter().try_for_each(|path| {
        let done = Group::open(path)?.write("cgroup.subtree_control", &format!("+{controller}"));
        done.map_err(|error| {
            error.help(format!("the {controller} controller is not to be had here: see cgroup.controllers"))
        })
    })
}

impl Stage for Cgroup {
    fn name(&self) -> &'static str {
        "cgroup"
    }

    fn prepare(&mut self) -> Result<()> {
        cgroups::delegate();
        match self.make() {
            Ok(held) => resources::apply(&self.held.insert(held).group, &self.writes),
            // Without a limit nothing was promised: the container runs where we do.
            Err(error) if self.writes.is_empty() && is_mild(&error) => {
                let asked = if self.asked { ", though a path was given" } else { "" };
                explain!(4, "no group: it stays in ours", "{}{asked}", error.what());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.held.as_ref().map(|held| held.group.as_fd())
    }

    fn poststop(&mut self) -> Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        cgroups::kill_and_remove(&held.group)?;
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
