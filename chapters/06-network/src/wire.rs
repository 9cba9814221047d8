//! How a container is connected: one small type for each kind of network.

use std::net::IpAddr;

use process::{Child, Keep, Result, explain};

use crate::Lease;
use crate::netlink::Netlink;
use crate::resolv::Reach;
use crate::state::State;

/// What the files in `/etc` need to know of a network.
#[derive(Debug, Clone)]
pub struct Facts {
    /// How the host is reached, for `host-gateway`.
    pub gateway: Option<IpAddr>,
    /// Which name servers are.
    pub reach: Reach,
}

/// The parts of a stage that differ by the kind of network. The state is locked in all but [`configure`](Self::configure).
pub trait Wire {
    /// Parent, before the child exists: takes addresses and ports, and writes them into `lease`.
    fn prepare(&mut self, state: &State, others: &[Lease], lease: &mut Lease) -> Result<Facts>;

    /// Parent; the child exists and waits.
    fn connect(&mut self, _state: &State, _child: &Child, _lease: &Lease) -> Result<()> {
        Ok(())
    }

    /// Child, in its namespaces.
    fn configure(&mut self) -> Result<()> {
        Ok(())
    }

    /// Parent; this process becomes another program, and the container goes on (`Stage::hand_over`).
    fn hand_over(&mut self) -> Vec<Keep> {
        Vec::new()
    }

    /// Parent, at the end; the lease is empty already.
    fn disconnect(&mut self, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// `--network none`: a loopback link and nothing else.
pub struct Nothing;

impl Wire for Nothing {
    fn prepare(&mut self, _: &State, _: &[Lease], _: &mut Lease) -> Result<Facts> {
        Ok(Facts { gateway: None, reach: Reach::Ipv4 })
    }

    fn configure(&mut self) -> Result<()> {
        loopback_up()
    }
}

/// `--network host`: nothing is made, the host's links are the container's.
pub struct Host;

impl Wire for Host {
    fn prepare(&mut self, _: &State, _: &[Lease], _: &mut Lease) -> Result<Facts> {
        explain!(6, "the host's own links, addresses and ports", "clone3 without NEWNET");
        Ok(Facts { gateway: Some(IpAddr::from([127, 0, 0, 1])), reach: Reach::Host })
    }
}

/// A new network namespace has a loopback link that is switched off.
pub fn loopback_up() -> Result<()> {
    Netlink::open()?.set_up("lo")
}
