//! Rules and links follow the leases: what belongs to nobody goes.

use process::{Result, explain};

use crate::bridge::delete_link;
use crate::ground::{self, Ground};
use crate::state::State;
use crate::{Lease, Names, Network, connect, dns, nft, plug, relay};

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
    let settled = match Ground::find(state)? {
        Some(ground) => ground.on(|| settle_on(state, names, leases, &used, &idle)),
        // Links and rules have gone with their namespace.
        None => idle.iter().try_for_each(|network| state.set_gone(network)).and(state.set_rules(None)),
    };
    if used.is_empty() { settled.and(ground::leave(state)) } else { settled }
}

/// The same where the links and rules are.
fn settle_on(state: &State, names: &Names, leases: &[Lease], used: &[Network], idle: &[Network]) -> Result<()> {
    let bridged = |networks: &[Network]| networks.iter().any(|network| network.driver.is_bridged());
    let rules = if bridged(used) {
        let script = nft::render(&names.table, used, leases);
        let applied = nft::apply_if_changed(&names.table, script, state.rules());
        applied.and_then(|in_force| state.set_rules(in_force.as_ref()))
    } else if bridged(idle) {
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
        let links: Vec<_> = lease.endpoints.iter().filter_map(|endpoint| endpoint.link.as_ref()).collect();
        if !links.is_empty() {
            ground::on(state, || links.iter().try_for_each(|link| delete_link(link)))?;
        }
    }
    let mut mended = false;
    for lease in &mut live {
        mended |= connect::mend(state, lease)?;
        // Names are not worth another container's start.
        let _ = dns::mend(&state.container(&lease.container), lease);
        let _ = relay::mend(state, lease); // nor are ports
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
