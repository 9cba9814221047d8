//! What the end of a container leaves, and its removal. There is one path for all ends: that the program has ended, and
//! that the supervisor was killed, look the same to who finds it.

use std::fs;

use cgroups::Group;
use layers::{ContainerDir, remove_with_volumes};
use namespaces::running;
use process::Result;

use crate::engine::events;
use crate::engine::options::Options;

/// Removes what belongs to containers that are gone: records, links, addresses, rules; and the group of this one.
///
/// # Errors
/// The first of what could not be removed; all of it is tried.
pub fn sweep(group: Option<&Group>) -> Result<()> {
    let above = group.and_then(|group| group.path().parent().map(ToOwned::to_owned));
    let group = group.map_or(Ok(()), cgroups::sweep::kill_and_remove);
    // The engine's own group goes with its last container; as long as there is another one, it is not empty.
    let _ = above.filter(|above| above.ends_with(cgroups::PARENT)).map(fs::remove_dir);
    let records = running::list().map(drop);
    let network = network::sweep_gone();
    group.and(records).and(network)
}

/// The last thing that a supervisor does: sweeps, and removes the container, which it has locked, if it was not to stay.
///
/// # Errors
/// As [`sweep`] and [`ContainerDir::remove`].
pub fn end(container: ContainerDir, group: Option<&Group>) -> Result<()> {
    let swept = sweep(group);
    let removed = match Options::load(container.path()).and_then(|options| options.parse()) {
        Ok(args) if args.life.rm => {
            events::note(container.config(), "destroy");
            remove_with_volumes(container)
        }
        _ => Ok(()),
    };
    swept.and(removed)
}
