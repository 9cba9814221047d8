//! The recipe: from a bundle to the program and the stages, in the order that the specification gives (runtime.md,
//! "Lifecycle") and the kernel asks for.

use std::os::fd::OwnedFd;

use ::namespaces::{PivotRoot, UserNamespace};
use oci_spec::runtime::LinuxNamespaceType;
use process::{OrCall, Program, Result, Stage};
use rootfs::Chroot;
use security::{Confine, DeviceRule, DeviceRules, Devices, Paths, Seal, Sysctls};

use super::attributes::{self, Assume};
use super::console::Terminal;
use super::devices::Links;
use super::hooks::{CreateHooks, Told};
use super::jail::{Lookup, MoveRoot, WorkingDir};
use super::mount_plan::Plan;
use super::mounts::Mounts;
use super::namespaces::{self as spaces, Namespaces};
use super::process::{self as program, Identity};
use super::root::{self, ReadOnly, Root};
use super::state::Status;
use super::{Bundle, cgroup::Cgroup, confinement, resources, systemd};

/// Who makes a container's control group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Groups {
    /// We do, by mkdir(2) and write(2).
    #[default]
    Files,
    /// systemd does, as a scope.
    Systemd,
    /// Nobody: the container stays in its caller's.
    Disabled,
}

/// What the command line adds to a bundle.
#[derive(Debug, Default)]
pub struct Place {
    /// The container's name.
    pub id: String,
    /// Connected to who waits for the terminal's master; needed if and only if `process.terminal` is set.
    pub console: Option<OwnedFd>,
    /// `--no-pivot`: take the root without pivot_root(2).
    pub no_pivot: bool,
    /// `--no-new-keyring`: keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// Who makes the control group.
    pub groups: Groups,
    /// `--preserve-fds`: so many descriptors behind the standard ones stay open.
    pub preserve_fds: u32,
}

/// The program of `bundle` and the stages behind which it runs at `place`.
///
/// # Errors
/// What config.json asks for and this machine cannot do; everything is checked before anything is made.
pub fn recipe(bundle: &Bundle, place: &Place) -> Result<(Program, Vec<Box<dyn Stage>>)> {
    let (process, linux, root) = (bundle.process(), bundle.linux(), bundle.root.clone());
    let program = program::program(process, place.preserve_fds);
    let mut confinement = confinement::of(bundle)?;
    confinement.keep_keyring = place.no_new_keyring;
    let plan = Plan::of(bundle)?;
    let own_mounts = bundle.namespace(LinuxNamespaceType::Mount).is_some();
    let own_dev = own_mounts && !plan.has_foreign_dev();
    let terminal = terminal(bundle, place, own_dev)?;

    let mut stages: Vec<Box<dyn Stage>> = Vec::with_capacity(24);
    let mut add = |stage: Box<dyn Stage>| stages.push(stage);
    if let Some(map) = spaces::id_map(bundle) {
        add(Box::new(UserNamespace::new(map)));
    }
    add(Box::new(Namespaces::new(bundle)?));
    limits(bundle, place, std::mem::take(&mut confinement.device_rules))?.into_iter().for_each(&mut add);
    if own_mounts {
        let propagation = root::propagation(linux.and_then(|linux| linux.rootfs_propagation().as_deref()))?;
        add(Box::new(Root::new(root.clone(), propagation)));
        add(Box::new(Mounts::new(bundle, plan)?));
    }
    if own_dev {
        add(Box::new(Devices::new(root.clone(), std::mem::take(&mut confinement.devices))));
        add(Box::new(Links::new(root.clone(), terminal.is_some())));
    }
    add(Box::new(Sysctls::new(std::mem::take(&mut confinement.sysctls))));
    let (masked, readonly) = (std::mem::take(&mut confinement.masked), std::mem::take(&mut confinement.readonly));
    if !(masked.is_empty() && readonly.is_empty()) {
        add(Box::new(Paths::new(root.clone(), masked, readonly)));
    }
    if let Some(hooks) = bundle.spec.hooks().as_ref().and_then(|hooks| CreateHooks::new(hooks, told(bundle, place))) {
        add(Box::new(hooks));
    }
    add(match (own_mounts, place.no_pivot) {
        (true, false) => Box::new(PivotRoot::new(root)),
        (true, true) => Box::new(MoveRoot(root)),
        (false, _) => Box::new(Chroot::new(root)),
    });
    add(Box::new(WorkingDir(program.cwd.clone().unwrap_or_default())));
    if let Some(terminal) = terminal {
        add(Box::new(terminal));
    }
    if own_mounts && bundle.spec.root().as_ref().and_then(|root| root.readonly()) == Some(true) {
        add(Box::new(ReadOnly));
    }
    add(Box::new(Lookup::new(&program)));
    let attributes = attributes::of(process)?.with(linux)?;
    if attributes != attributes::Attributes::default() {
        add(Box::new(Assume(attributes)));
    }
    add(Box::new(Confine::new(confinement.clone(), None)));
    add(Box::new(Identity::new(process.user())));
    add(Box::new(Seal::of(told(bundle, place).state(), confinement)));
    Ok((program, stages))
}

/// The control group, and the rules of devices, which are a program attached to it.
fn limits(bundle: &Bundle, place: &Place, rules: Vec<DeviceRule>) -> Result<Vec<Box<dyn Stage>>> {
    let mut stages: Vec<Box<dyn Stage>> = match place.groups {
        Groups::Files => vec![Box::new(Cgroup::new(bundle, place)?)],
        Groups::Systemd => vec![Box::new(systemd::ScopeStage::new(bundle, &place.id)?)],
        Groups::Disabled => {
            no_limits(bundle)?;
            return Ok(Vec::new());
        }
    };
    // Rules of an ordinary user's container are what the drivers always write; nobody could enforce them.
    if !rules.is_empty() {
        let asked = !layers::in_user_namespace() && nix::unistd::geteuid().is_root();
        stages.push(Box::new(DeviceRules::new(security::device_rules::with_defaults(rules), asked)));
    }
    Ok(stages)
}

/// Without a group there is nothing that a limit could be written to.
fn no_limits(bundle: &Bundle) -> Result<()> {
    let writes = resources::writes(bundle.linux().and_then(|linux| linux.resources().as_ref()))?;
    writes.first().map_or(Ok(()), |write| {
        Err(process::Error::unsupported(format!("linux.resources.{} needs a control group", write.property))
            .help("leave the limit out, or let there be groups"))
    })
}

/// What hooks are told while the container is made.
pub fn told(bundle: &Bundle, place: &Place) -> Told {
    Told {
        oci_version: bundle.spec.version().clone(),
        id: place.id.clone(),
        status: Status::Creating,
        pid: None,
        bundle: bundle.dir.clone(),
        annotations: bundle.spec.annotations().clone().unwrap_or_default(),
    }
}

fn terminal(bundle: &Bundle, place: &Place, own_dev: bool) -> Result<Option<Terminal>> {
    let wanted = bundle.process().terminal() == Some(true);
    match (&place.console, wanted) {
        (_, false) => Ok(None),
        (Some(socket), true) => {
            let socket = socket.try_clone().or_call("dup", "the console socket")?;
            Ok(Some(Terminal::new(bundle.process(), socket, own_dev)))
        }
        (None, true) => {
            Err(process::Error::invalid("cannot allocate tty if runc will detach without setting console socket")
                .help("give --console-socket, or set process.terminal to false"))
        }
    }
}
