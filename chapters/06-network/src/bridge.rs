//! `--network bridge`, as root: a cable into the container, the other end in the engine's switch.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use process::{Child, Error, Keep, Kind, OrCall, Result, explain};

use crate::netlink::{Netlink, VethPeer, is_gone};
use crate::resolv::Reach;
use crate::state::{Lease, State};
use crate::wire::{Facts, Wire, loopback_up};
use crate::{Mac, Names, Network, NetworkArgs, Reserved, Wanted, nft, pool, sysctl};

/// What the kernel takes where nothing says otherwise, in bytes.
const DEFAULT_MTU: u32 = 1500;

/// The link's name inside the container.
pub const INSIDE: &str = "eth0";

/// The connection to the default network.
pub struct Bridge {
    names: Names,
    wanted: Vec<Wanted>,
    ip: Option<Ipv4Addr>,
    mac: Option<Mac>,
    place: Option<(Network, Ipv4Addr)>,
    reserved: Reserved,
}

impl Bridge {
    /// As `args` want it, for the engine whose state lies in `run`.
    pub fn new(args: &NetworkArgs, run: &Path) -> Self {
        let (names, wanted) = (Names::of(run), args.ports());
        Self { names, wanted, ip: args.ip, mac: args.mac_address, place: None, reserved: Reserved::default() }
    }
}

impl Wire for Bridge {
    fn prepare(&mut self, state: &State, others: &[Lease], lease: &mut Lease) -> Result<Facts> {
        let mut netlink = Netlink::open()?;
        let network = match state.network() {
            Some(network) => network,
            None => Network::default_on(free_subnet(&mut netlink)?, &self.names),
        };
        let taken: Vec<_> = others.iter().filter(|other| other.network == network.name).collect();
        let taken: Vec<_> = taken.iter().filter_map(|other| other.address).collect();
        let address = pool::choose_address(&network, &taken, self.ip)?;
        self.reserved = Reserved::take(&self.wanted, others)?;
        lease.network.clone_from(&network.name);
        lease.address = Some(address);
        lease.mac = Some(self.mac.unwrap_or(Mac::of(address)));
        lease.link = Some(format!("veth{}", lease.container.get(..8).unwrap_or(&lease.container)));
        lease.ports.clone_from(&self.reserved.ports);
        // Written down before it is made: what a crash leaves behind is found by it.
        state.set_network(Some(&network))?;
        state.put(lease)?;
        ensure_bridge(&mut netlink, &network)?;
        let gateway = Some(network.gateway.into());
        self.place = Some((network, address));
        Ok(Facts { gateway, reach: Reach::Ipv4 })
    }

    fn connect(&mut self, state: &State, child: &Child, lease: &Lease) -> Result<()> {
        let (Some((network, _)), Some(link), Some(mac)) = (&self.place, &lease.link, lease.mac) else { return Ok(()) };
        let mut netlink = Netlink::open()?;
        let path = child.proc("ns/net");
        let netns = open(&path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", path.display())?;
        let mtu = netlink.link(&network.bridge)?.mtu;
        netlink.add_veth(link, mtu, &VethPeer { name: INSIDE, netns: netns.as_fd(), mac: mac.0 })?;
        netlink.set_master(link, &network.bridge)?;
        netlink.set_hairpin(link)?;
        netlink.set_up(link)?;
        sysctl::enable_forwarding()?;
        if !lease.ports.is_empty() {
            sysctl::enable_route_localnet(&network.bridge)?;
        }
        settle(state, &self.names)
    }

    fn configure(&mut self) -> Result<()> {
        loopback_up()?;
        let Some((network, address)) = &self.place else { return Ok(()) };
        let mut netlink = Netlink::open()?;
        netlink.add_address(INSIDE, IpNet::V4(Ipv4Net::new_assert(*address, network.subnet.prefix_len())))?;
        netlink.set_up(INSIDE)?;
        netlink.add_default_route(network.gateway.into())
    }

    fn hand_over(&mut self) -> Vec<Keep> {
        std::mem::take(&mut self.reserved).into_sockets().into_iter().map(Keep::Fd).collect()
    }

    fn disconnect(&mut self, state: &State) -> Result<()> {
        settle(state, &self.names)
    }
}

/// A subnet that nothing on this host has or leads to.
fn free_subnet(netlink: &mut Netlink) -> Result<Ipv4Net> {
    let mut taken: Vec<_> = netlink.routes()?.into_iter().map(|route| route.destination).collect();
    taken.extend(netlink.addresses()?.into_iter().map(|(_, address)| address.trunc()));
    pool::choose_subnet(&taken)
}

/// Makes whatever is missing of the bridge: all of it for the first container, nothing for the next.
fn ensure_bridge(netlink: &mut Netlink, network: &Network) -> Result<()> {
    let Network { bridge, gateway, subnet, name } = network;
    let link = match netlink.link(bridge) {
        Err(error) if is_gone(&error) => {
            let mtu = outward_mtu(netlink)?;
            netlink.add_bridge(bridge, Mac::of(*gateway).0, mtu)?;
            netlink.link(bridge)?
        }
        found => found?,
    };
    if !link.bridge {
        return Err(Error::new(Kind::Conflict, format!("link {bridge} is there already, and no bridge"))
            .help(format!("network {name} needs that name: `ip link set {bridge} name OTHER`")));
    }
    let address = IpNet::V4(Ipv4Net::new_assert(*gateway, subnet.prefix_len()));
    match netlink.add_address(bridge, address) {
        Err(error) if error.errno() == Some(Errno::EEXIST) => {}
        done => done?,
    }
    if link.up { Ok(()) } else { netlink.set_up(bridge) }
}

/// The size of packets that the host's own way out carries; larger ones would be cut or lost there.
fn outward_mtu(netlink: &mut Netlink) -> Result<u32> {
    let routes = netlink.routes()?;
    let index = routes.iter().find(|route| route.destination == IpNet::V4(Ipv4Net::default())).and_then(|it| it.link);
    let link = netlink.links()?.into_iter().find(|link| Some(link.index) == index);
    Ok(link.map_or(DEFAULT_MTU, |link| link.mtu))
}

/// Makes rules and bridge what the leases say: rules for those who are there, and when the last one
/// has left neither rules nor a bridge.
///
/// # Errors
/// As nft(8) and netlink(7).
pub fn settle(state: &State, names: &Names) -> Result<()> {
    let Some(network) = state.network() else { return Ok(()) };
    let leases = state.leases()?;
    if leases.iter().any(|lease| lease.network == network.name) {
        let script = nft::render(&names.table, &[network], &leases);
        return nft::apply(&names.table, &script);
    }
    let rules = nft::remove(&names.table);
    let link = delete_link(&network.bridge);
    rules.and(link)?;
    state.set_network(None)
}

/// Removes what killed engines left behind; gives the leases of those who live.
///
/// # Errors
/// As netlink(7), nft(8), unlink(2).
pub fn sweep(state: &State, names: &Names) -> Result<Vec<Lease>> {
    let (stale, live): (Vec<_>, Vec<_>) = state.leases()?.into_iter().partition(Lease::is_stale);
    for lease in &stale {
        explain!(6, "left behind by an engine that was killed", "unlink({})", lease.container);
        if let Some(link) = &lease.link {
            delete_link(link)?;
        }
        state.forget(&lease.container)?;
    }
    let nobody = live.iter().all(|lease| lease.network != Network::DEFAULT);
    if !stale.is_empty() || nobody {
        settle(state, names)?;
    }
    Ok(live)
}

/// Deletes a link; that it is gone already is no error (its other end's namespace has ended).
pub fn delete_link(name: &str) -> Result<()> {
    match Netlink::open()?.delete_link(name) {
        Err(error) if is_gone(&error) => Ok(()),
        done => done,
    }
}
