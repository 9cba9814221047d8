//! The recipe of a container that is kept: chapter 9's, with the directory that is there already, and with a supervisor
//! in the place of a terminal.

use images::config::WorkingDir;
use layers::{ContainerDir, Mounts, Storage};
use network::Net;
use process::{Container, Identity, Result};
use security::idmapped::{Binds, IdMapped};
use security::program::root_user;
use security::{Confine, Confinement, DeviceRules, Devices, Paths, Seal, Sysctls, Writable};

use super::networks;
use super::options::{CreateArgs, Options};
use crate::supervisor::stdio::Stdio;

/// The container of `directory`, planned again: the same as at its creation, whoever starts it and whenever.
///
/// # Errors
/// Options that no longer fit the machine; a confinement that cannot be read.
pub fn plan(directory: ContainerDir, kept: &Options, args: &CreateArgs, stdio: Stdio) -> Result<Container> {
    let config = directory.config();
    let mut plan = args.namespaces.plan()?.again(&config.id, &config.name, args.namespaces.hostname.as_deref());
    let root = config.rootfs();
    let mut specs = kept.mounts(&args.mounts)?;
    let mapped = plan.map.as_ref().map(|_| Binds::take(&root, &mut specs)).transpose()?;
    let mounts = Mounts::new(root.clone(), specs)?;
    let network = Net::new(&networks::now(directory.path(), &args.network)?, &mut plan, root.clone())?;
    let confinement = Confinement::load(directory.path())?.unwrap_or_default();
    let mut program = kept.program();
    let user = kept.user()?;
    plan.remember(&mut program, user.as_ref());

    let storage = Storage::kept(directory);
    let overlay = storage.overlay(args.mounts.read_only);
    let mut stages = plan.isolate();
    stages.push(Box::new(storage));
    stages.push(match mapped {
        Some(binds) => Box::new(IdMapped::new(overlay, binds)),
        None => Box::new(overlay),
    });
    stages.push(Box::new(network));
    stages.push(Box::new(plan.system_mounts(root.clone())));
    stages.push(Box::new(Sysctls::new(confinement.sysctls.clone())));
    stages.push(Box::new(args.limits.stage(&plan, root.clone())?));
    if confinement.privileged {
        stages.push(Box::new(Writable::new(root.clone())));
    }
    stages.push(Box::new(DeviceRules::new(confinement.device_rules.clone(), args.security.wants_device_rules())));
    stages.push(Box::new(mounts));
    stages.push(Box::new(Devices::new(root.clone(), confinement.devices.clone())));
    stages.push(Box::new(Paths::new(root.clone(), confinement.masked.clone(), confinement.readonly.clone())));
    stages.push(Box::new(plan.pivot_root(root)));
    stages.push(Box::new(WorkingDir));
    stages.push(Box::new(Confine::new(confinement.clone(), None)));
    stages.push(Box::new(Identity::new(Some(user.unwrap_or_else(root_user)))));
    stages.push(Box::new(stdio));
    stages.push(Box::new(Seal::new(&plan.id, confinement)));
    Ok(Container::new(program, stages))
}
