//! `network connect` and `disconnect`: the endpoints of a container that runs come and go.
//!
//! An endpoint that is marked as [half](Endpoint::half) is being made or taken away by somebody who holds the lock. Whoever
//! finds such a mark with the lock in his own hands knows that that one was killed, and takes the endpoint away.

use std::os::fd::{AsFd, OwnedFd};

use process::{Error, Kind, Result, explain};

use crate::bridge::delete_link;
use crate::ground::{self, Ground};
use crate::netlink::{Netlink, is_gone};
use crate::state::State;
use crate::sweep::{settle, sweep};
use crate::wired::{choose_ways_out, place, prepare_host};
use crate::{Endpoint, EndpointOptions, Lease, Names, Network, carrier, dns, files, inside, netns, plug};

/// Gives the running container `id` a place in `network`, as `options` ask. It is reached there when this returns.
///
/// # Errors
/// [`Kind::NotFound`] if it does not run; [`Kind::Conflict`] if it is in the network already, or shares somebody else's
/// links; otherwise as for a container that is started. Nothing of it is left then.
pub fn connect(state: &State, names: &Names, id: &str, network: &Network, options: &EndpointOptions) -> Result<()> {
    let others = sweep(state, names)?;
    let mut lease = running(&others, id)?;
    check(&lease, network, options)?;
    let mut endpoint = place(network, &lease, &others, options)?;
    endpoint.half = true;
    lease.endpoints.push(endpoint);
    let done = attach(state, names, &mut lease, network);
    if done.is_err() {
        // The first failure is the one to be told.
        let _ = forget(state, names, &mut lease, network, true);
    }
    done
}

/// Takes the running container `id` out of `network`.
///
/// # Errors
/// [`Kind::NotFound`] if it does not run, or is not in the network; as netlink(7) and nft(8).
pub fn disconnect(state: &State, names: &Names, id: &str, network: &Network) -> Result<()> {
    let mut lease = running(&sweep(state, names)?, id)?;
    if lease.network == "host" {
        let what = "cannot disconnect container from host network - container was created in host network";
        return Err(Error::new(Kind::Conflict, what).help("make it anew with another --network"));
    }
    let Some(endpoint) = lease.endpoints.iter_mut().find(|endpoint| endpoint.network == network.name) else {
        let what = format!("container {} is not connected to network {}", lease.name, network.name);
        return Err(Error::not_found(what).help(format!("`network inspect {}` lists who is", network.name)));
    };
    endpoint.half = true;
    state.put(&lease)?;
    forget(state, names, &mut lease, network, false)
}

/// Takes away what was being made or taken away when an engine was killed.
///
/// # Errors
/// As netlink(7), rename(2).
pub fn mend(state: &State, lease: &mut Lease) -> Result<bool> {
    if lease.endpoints.iter().all(|endpoint| !endpoint.half) {
        return Ok(false);
    }
    explain!(6, "left half done by an engine that was killed", "endpoint of {}", lease.container);
    for endpoint in lease.endpoints.iter().filter(|endpoint| endpoint.half) {
        unplug(state, lease, endpoint)?;
    }
    lease.endpoints.retain(|endpoint| !endpoint.half);
    turn(state, lease, true)?;
    state.put(lease)?;
    Ok(true)
}

fn running(leases: &[Lease], id: &str) -> Result<Lease> {
    let found = leases.iter().find(|lease| lease.container == id).cloned();
    found.ok_or_else(|| Error::not_found(format!("container {id} does not run")))
}

/// What cannot have one more network.
fn check(lease: &Lease, network: &Network, options: &EndpointOptions) -> Result<()> {
    let refuse = |what: &str, help: &str| Err(Error::new(Kind::Conflict, what).help(help));
    if lease.network == "host" || lease.network.starts_with("container:") {
        let what = "container sharing network namespace with another container or host cannot be connected to any other network";
        return refuse(what, "connect that other container, or make this one with a network of its own");
    }
    if lease.network == "none" {
        let what = "container cannot be connected to multiple networks with one of the networks in private (none) mode";
        return refuse(what, "make it with another --network");
    }
    if carrier::is_carried(&lease.network) {
        let what = format!("container {} has a network of its own, made by {}", lease.name, lease.network);
        let help = format!("make it with --network {0}, or with --network bridge --network {0}", network.name);
        return refuse(&what, &help);
    }
    if lease.endpoint(&network.name).is_some() {
        let what = format!("endpoint with name {} already exists in network {}", lease.name, network.name);
        return refuse(&what, "`network disconnect` it first, to change its address or aliases");
    }
    if network.is_default() && !options.aliases.is_empty() {
        let what = "network-scoped alias is supported only for containers in user defined networks";
        return refuse(what, "leave out --alias");
    }
    Ok(())
}

/// Makes the last endpoint of `lease`.
fn attach(state: &State, names: &Names, lease: &mut Lease, network: &Network) -> Result<()> {
    state.set_standing(network)?;
    state.put(lease)?;
    let container = netns::of(lease)?;
    let Some(endpoint) = lease.endpoints.last().cloned() else { return Ok(()) };
    Ground::get(state)?.on(|| {
        let mut netlink = Netlink::open()?;
        plug::make(&mut netlink, network)?;
        plug::attach(&mut netlink, network, &endpoint, container.as_fd())?;
        prepare_host(network, !lease.ports.is_empty())
    })?;
    // Its own way out, if it is to be that, comes with everybody's.
    let plain = Endpoint { gateway: false, gateway6: false, ..endpoint };
    inside_of(&container, |netlink| inside::configure(netlink, network, &plain))?;
    turn(state, lease, false)?;
    if let Some(endpoint) = lease.endpoints.last_mut() {
        endpoint.half = false;
    }
    state.put(lease)?;
    let directory = state.container(&lease.container);
    dns::follow(&directory, lease)?;
    files::follow(&directory, lease)?;
    settle(state, names)
}

/// Takes the endpoint in `network` away, whatever there is of it; `torn`: how far its making had come is not known.
fn forget(state: &State, names: &Names, lease: &mut Lease, network: &Network, torn: bool) -> Result<()> {
    let at = lease.endpoints.iter().position(|endpoint| endpoint.network == network.name);
    if let Some(at) = at {
        unplug(state, lease, &lease.endpoints[at])?;
        lease.endpoints.remove(at);
        turn(state, lease, torn)?;
        state.put(lease)?;
        files::follow(&state.container(&lease.container), lease)?;
    }
    settle(state, names)
}

/// Deletes an endpoint's links: the container's end, and with it the host's, if there is one.
fn unplug(state: &State, lease: &Lease, endpoint: &Endpoint) -> Result<()> {
    if let Some(link) = &endpoint.link {
        return ground::on(state, || delete_link(link));
    }
    match netns::of(lease).and_then(|container| inside_of(&container, |it| it.delete_link(&endpoint.interface))) {
        Err(error) if is_gone(&error) || error.kind() == Kind::NotFound => Ok(()),
        done => done,
    }
}

/// Decides by which endpoint the container's packets leave now, and sets its routes if that is another one, or if it is not
/// sure what they are.
fn turn(state: &State, lease: &mut Lease, torn: bool) -> Result<()> {
    let ways_out = |lease: &Lease| {
        let of = |is: &dyn Fn(&&Endpoint) -> bool| lease.endpoints.iter().find(is).map(|one| one.network.clone());
        (of(&|one| one.gateway), of(&|one| one.gateway6))
    };
    let networks = networks(state, lease);
    let before = ways_out(lease);
    choose_ways_out(&mut lease.endpoints, &networks);
    if !torn && before == ways_out(lease) {
        return Ok(()); // what the container itself has changed of its routes stays
    }
    let container = match netns::of(lease) {
        Err(error) if error.kind() == Kind::NotFound => return Ok(()),
        container => container?,
    };
    inside_of(&container, |netlink| {
        let find = |endpoint: Option<&Endpoint>| {
            endpoint.and_then(|endpoint| networks.iter().find(|network| network.name == endpoint.network))
        };
        let network = find(lease.endpoints.iter().find(|endpoint| endpoint.gateway));
        netlink.turn_default_route(false, network.map(|network| network.gateway.into()))?;
        let network = find(lease.endpoints.iter().find(|endpoint| endpoint.gateway6));
        netlink.turn_default_route(true, network.and_then(|network| Some(network.gateway6?.into())))
    })
}

/// The networks that a container is in.
fn networks(state: &State, lease: &Lease) -> Vec<Network> {
    let all = state.standing();
    all.into_iter().filter(|network| lease.endpoint(&network.name).is_some()).collect()
}

/// With a socket in that namespace.
fn inside_of(container: &OwnedFd, work: impl FnOnce(&mut Netlink) -> Result<()>) -> Result<()> {
    netns::within(container.as_fd(), || work(&mut Netlink::open()?))
}
