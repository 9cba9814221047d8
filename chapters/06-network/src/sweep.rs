//! Rules and links follow the leases: what belongs to nobody goes.

use process::{Result, explain};

use crate::bridge::delete_link;
use crate::state::State;
use crate::{Lease, Names, Network, connect, nft, plug};

/// Makes rules and links what the leases say: rules for those who are there, and when the last one has left a network
/// neither rules nor links of it.
///
/// # Errors
/// As nft(8) and netlink(7).
pub fn settle(state: &State, names: &Names) -> Result<()> {
    settle_for(state, names, &state.leases()?)
}

fn settle_for(state: &State, names: &Names, leases: &[Lease]) -> Result<()> {
    let (used, idle): (Vec<_>, Vec<_>) = state.standing().into_iter().partition(|network| is_used(network, leases));
    let bridged = |networks: &[Network]| networks.iter().any(|network| network.driver.is_bridged());
    let rules = if bridged(&used) {
        let script = nft::render(&names.table, &used, leases);
        let applied = nft::apply_if_changed(&names.table, script, state.rules());
        applied.and_then(|in_force| state.set_rules(in_force.as_ref()))
    } else if bridged(&idle) {
        nft::remove(&names.table).and(state.set_rules(None))
    } else {
        Ok(())
    };
    // All of it is tried, whatever fails; the first failure is told, and that network stays noted.
    idle.iter().map(|network| plug::unmake(network).and_then(|()| state.set_gone(network))).fold(rules, Result::and)
}

/// Removes what killed engines left behind; gives the leases of those who live.
///
/// # Errors
/// As netlink(7), nft(8), unlink(2).
pub fn sweep(state: &State, names: &Names) -> Result<Vec<Lease>> {
    state.clear_torn()?;
    let (stale, mut live): (Vec<_>, Vec<_>) = state.leases()?.into_iter().partition(Lease::is_stale);
    for lease in &stale {
        explain!(6, "left behind by an engine that was killed", "unlink({})", lease.container);
        lease.endpoints.iter().filter_map(|endpoint| endpoint.link.as_ref()).try_for_each(|link| delete_link(link))?;
    }
    let mut mended = false;
    for lease in &mut live {
        mended |= connect::mend(state, lease)?;
    }
    if mended || !stale.is_empty() || state.standing().iter().any(|network| !is_used(network, &live)) {
        settle_for(state, names, &live)?;
    }
    // Last, so that whoever sweeps after a sweeper that was killed knows that there is something to do.
    stale.iter().try_for_each(|lease| state.forget(&lease.container))?;
    Ok(live)
}

/// Is there a container in it?
pub fn is_used(network: &Network, leases: &[Lease]) -> bool {
    leases.iter().any(|lease| lease.endpoint(&network.name).is_some())
}
