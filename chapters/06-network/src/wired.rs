//! A place in each network that was asked for, the same container in all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;

use ipnet::IpNet;
use namespaces::{id, rootless};
use process::{Child, Error, Keep, Result};
use rootfs::dirs;

use crate::drivers::vxlan;
use crate::ground::Ground;
use crate::netlink::Netlink;
use crate::resolv::Reach;
use crate::state::State;
use crate::sweep::settle;
use crate::wire::{Facts, Wire, loopback_up};
use crate::{
    Attachment, Driver, Endpoint, EndpointOptions, Lease, Mac, Mode, Names, Network, NetworkArgs, Reserved, Wanted,
    dns, inside, keeper, netns, nft, plug, pool, relay, sysctl,
};

/// The connection to networks of this host, or of this user.
pub struct Wired {
    names: Names,
    wanted: Vec<Wanted>,
    attachments: Vec<Attachment>,
    places: Vec<(Network, Endpoint)>,
    reserved: Reserved,
}

impl Wired {
    /// As `args` want it, for the engine whose state lies in `run`.
    pub fn new(args: &NetworkArgs, run: &Path) -> Self {
        let (names, wanted, attachments) = (Names::of(run), args.ports(), args.attachments());
        Self { names, wanted, attachments, places: Vec::new(), reserved: Reserved::default() }
    }
}

impl Wire for Wired {
    fn prepare(&mut self, state: &State, others: &[Lease], lease: &mut Lease) -> Result<Facts> {
        for attachment in &self.attachments {
            let network = find(state, &self.names, &attachment.mode)?;
            let endpoint = place(&network, lease, others, &attachment.options)?;
            lease.endpoints.push(endpoint.clone());
            self.places.push((network, endpoint));
        }
        let networks: Vec<_> = self.places.iter().map(|(network, _)| network.clone()).collect();
        choose_ways_out(&mut lease.endpoints, &networks);
        for ((_, place), endpoint) in self.places.iter_mut().zip(&lease.endpoints) {
            place.clone_from(endpoint);
        }
        lease.network.clone_from(&networks[0].name);
        check_entrance(&self.wanted, &networks, lease)?;
        let ipv6 = lease.endpoints.iter().any(|endpoint| endpoint.address6.is_some());
        self.reserved = Reserved::take(&self.wanted, ipv6, others)?;
        lease.ports.clone_from(&self.reserved.ports);
        // Written down before it is made: what a crash leaves behind is found by it.
        networks.iter().try_for_each(|network| state.set_standing(network))?;
        state.put(lease)?;
        Ground::get(state)?.on(|| {
            let mut netlink = Netlink::open()?;
            networks.iter().try_for_each(|network| plug::make(&mut netlink, network))
        })?;
        let way_out = self.places.iter().find(|(_, endpoint)| endpoint.gateway).or(self.places.first());
        let gateway = way_out.and_then(|(network, _)| host_gateway(network));
        let reach = if dns::serves(lease) { Reach::Embedded } else { Reach::Ipv4 };
        Ok(Facts { gateway, reach })
    }

    fn connect(&mut self, state: &State, child: &Child, lease: &Lease) -> Result<()> {
        let netns = netns::of_child(child)?;
        let ground = Ground::find(state)?.ok_or_else(keeper::gone)?;
        ground.on(|| {
            let mut netlink = Netlink::open()?;
            self.places.iter().try_for_each(|(network, endpoint)| {
                plug::attach(&mut netlink, network, endpoint, netns.as_fd())?;
                prepare_host(network, !lease.ports.is_empty())
            })
        })?;
        let directory = state.container(&lease.container);
        if dns::serves(lease) {
            dns::start(&directory, lease)?;
        }
        if let Some(netns) = ground.netns() {
            relay::start(&directory, netns, std::mem::take(&mut self.reserved))?;
        }
        settle(state, &self.names)
    }

    fn configure(&mut self) -> Result<()> {
        loopback_up()?;
        let mut netlink = Netlink::open()?;
        self.places.iter().try_for_each(|(network, endpoint)| inside::configure(&mut netlink, network, endpoint))
    }

    fn hand_over(&mut self) -> Vec<Keep> {
        std::mem::take(&mut self.reserved).into_sockets().into_iter().map(Keep::Fd).collect()
    }

    fn disconnect(&mut self, state: &State) -> Result<()> {
        settle(state, &self.names)
    }
}

/// How a container in `network` reaches this host. For root it is the bridge itself; an ordinary user's bridges are not
/// the host's, but its own address leads there.
fn host_gateway(network: &Network) -> Option<IpAddr> {
    if !rootless::is_rootless() {
        return Some(network.gateway.into());
    }
    // Nothing is sent: the kernel says with which address it would be (RFC 5737: for documentation).
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// A port that nobody could call is not published without a word.
fn check_entrance(wanted: &[Wanted], networks: &[Network], lease: &Lease) -> Result<()> {
    let at_localhost6 = |one: &&Wanted| one.host_ip == Some(Ipv6Addr::LOCALHOST.into());
    if let Some(one) = wanted.iter().find(at_localhost6).filter(|_| !rootless::is_rootless()) {
        let port = one.container_port;
        let what =
            format!("publish {port}/{} on ::1: the kernel passes no packet from there to another link", one.protocol);
        return Err(
            Error::unsupported(what).help(format!("--publish 127.0.0.1::{port}, or another address of this host"))
        );
    }
    if wanted.is_empty() || nft::entrance(&networks.iter().collect::<Vec<_>>(), lease).is_some() {
        return Ok(());
    }
    let Network { name, driver, .. } = &networks[0];
    let (why, help) = match driver.is_bridged() {
        true => ("it is internal: nothing comes in from outside", "add a --network that is not internal"),
        false => ("its containers have addresses on the wire itself", "call them there"),
    };
    Err(Error::invalid(format!("--publish with --network {name} ({driver}): {why}"))
        .help(format!("leave out --publish; {help}")))
}

/// The switches of the host's kernel that a network of ours needs.
pub fn prepare_host(network: &Network, publishes: bool) -> Result<()> {
    if !network.driver.is_bridged() || network.internal {
        return Ok(());
    }
    sysctl::enable_forwarding()?;
    if network.subnet6.is_some() {
        sysctl::enable_forwarding6()?;
    }
    if publishes { sysctl::enable_route_localnet(&network.link) } else { Ok(()) }
}

/// The network that is meant.
fn find(state: &State, names: &Names, mode: &Mode) -> Result<Network> {
    match mode {
        Mode::Named(name) => state.network(name),
        _ => default_network(state, names),
    }
}

/// The default network, described anew if it does not stand.
///
/// # Errors
/// As [`pool::choose_subnet`].
pub fn default_network(state: &State, names: &Names) -> Result<Network> {
    if let Some(network) = state.default_network() {
        return Ok(network);
    }
    let taken = taken(state, &mut Netlink::open()?)?;
    Ok(Network::default_on(pool::choose_subnet(pool::candidates(), &taken)?, names))
}

/// What a new network must not overlap: whatever this host has or has a route to, and the networks that there are.
///
/// # Errors
/// As netlink(7).
pub fn taken(state: &State, netlink: &mut Netlink) -> Result<Vec<IpNet>> {
    let mut taken: Vec<_> = netlink.routes()?.into_iter().map(|route| route.destination).collect();
    taken.extend(netlink.addresses()?.into_iter().map(|(_, address)| address.trunc()));
    let known = state.networks().into_iter().chain(state.standing());
    taken.extend(known.flat_map(|network| network.subnets()).map(|(subnet, _)| subnet));
    Ok(taken)
}

/// A place for the container of `lease` in `network`, beside those that the `others` have.
///
/// # Errors
/// As [`pool::choose_address`] and [`pool::choose_address6`].
pub fn place(network: &Network, lease: &Lease, others: &[Lease], options: &EndpointOptions) -> Result<Endpoint> {
    let neighbours: Vec<_> = others.iter().filter_map(|other| other.endpoint(&network.name)).collect();
    let mut taken: Vec<_> = neighbours.iter().filter_map(|neighbour| neighbour.address).collect();
    let mut taken6: Vec<_> = neighbours.iter().filter_map(|neighbour| neighbour.address6).collect();
    for remote in vxlan::others(&dirs().run, network) {
        taken.push(remote.address);
        taken6.extend(remote.address6);
    }
    let address = pool::choose_address(network, &taken, options.ip)?;
    let inside = |index| format!("eth{index}");
    let outside = |index| match (index, lease.container.get(..8).unwrap_or(&lease.container)) {
        (0, id) => format!("veth{id}"),
        (index, id) => format!("veth{id}-{index}"),
    };
    let is_free = |index: &usize| {
        let (inside, outside) = (inside(*index), Some(outside(*index)));
        lease.endpoints.iter().all(|endpoint| endpoint.interface != inside && endpoint.link != outside)
    };
    // Each endpoint is in the way of one number of each kind at most.
    let index = (0..=2 * lease.endpoints.len()).find(is_free).unwrap_or_default();
    Ok(Endpoint {
        network: network.name.clone(),
        id: id::random_id()?,
        link: network.driver.is_bridged().then(|| outside(index)),
        interface: options.interface.clone().unwrap_or_else(|| inside(index)),
        address: Some(address),
        address6: pool::choose_address6(network, &taken6, options.ip6)?,
        mac: mac(network, options, address)?,
        aliases: options.aliases.clone(),
        gateway_priority: options.gateway_priority,
        ..Endpoint::default()
    })
}

/// The hardware address: the one asked for, or the one that belongs to the address; with ipvlan it is the parent's.
fn mac(network: &Network, options: &EndpointOptions, address: Ipv4Addr) -> Result<Option<Mac>> {
    match (network.driver, options.mac) {
        (Driver::Ipvlan, Some(mac)) => {
            Err(Error::invalid(format!("hardware address {mac}: in an ipvlan network all have the parent's"))
                .help("leave it out, or make the network with --driver macvlan"))
        }
        (Driver::Ipvlan, None) => Ok(None),
        (_, given) => Ok(Some(given.unwrap_or(Mac::of(address)))),
    }
}

/// Decides by which endpoint the container's packets leave: the one of the highest priority, of equals the first, that
/// is in a network with a way out.
pub fn choose_ways_out(endpoints: &mut [Endpoint], networks: &[Network]) {
    let open: Vec<_> = endpoints
        .iter()
        .map(|endpoint| networks.iter().any(|network| network.name == endpoint.network && !network.internal))
        .collect();
    let best = |fits: &dyn Fn(&Endpoint) -> bool| {
        let fitting = endpoints.iter().enumerate().filter(|(index, endpoint)| open[*index] && fits(endpoint));
        fitting.map(|(index, endpoint)| (std::cmp::Reverse(endpoint.gateway_priority), index)).min().map(|best| best.1)
    };
    let (four, six) = (best(&|endpoint| endpoint.address.is_some()), best(&|endpoint| endpoint.address6.is_some()));
    for (index, endpoint) in endpoints.iter_mut().enumerate() {
        (endpoint.gateway, endpoint.gateway6) = (four == Some(index), six == Some(index));
    }
}
