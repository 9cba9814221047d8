//! `--network bridge` without root: a network for one container, whose packets a [program](Carrier) carries.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::process::Child as Process;

use ipnet::Ipv4Net;
use nix::unistd::Pid;
use process::{Child, Error, Keep, Result};

use crate::bridge::INSIDE;
use crate::carrier::{self, Carrier, Tap};
use crate::resolv::Reach;
use crate::state::State;
use crate::wire::{Facts, Wire, loopback_up};
use crate::{Endpoint, Lease, Mac, Names, Network, NetworkArgs, Reserved, Wanted, netns, pool, relay};

/// The connection by such a program.
pub struct Carried {
    wanted: Vec<Wanted>,
    ip: Option<Ipv4Addr>,
    mac: Option<Mac>,
    host_gateway: bool,
    tap: Option<(Carrier, Tap)>,
    /// Ports that the program does not listen at itself.
    reserved: Reserved,
    process: Option<Process>,
}

impl Carried {
    /// As `args` want it.
    pub fn new(args: &NetworkArgs) -> Self {
        let host_gateway = args.add_host.iter().any(|host| host.address.is_none());
        let (wanted, first) = (args.ports(), args.attachments().swap_remove(0).options);
        let (ip, mac) = (first.ip, first.mac);
        Self { wanted, ip, mac, host_gateway, tap: None, reserved: Reserved::default(), process: None }
    }

    /// Everybody has this network for himself, so the addresses need not differ.
    fn tap(&self, carrier: Carrier) -> Result<Tap> {
        let tap = carrier.tap(INSIDE, false)?;
        let address = match (carrier, self.ip) {
            (Carrier::Pasta, wanted) => choose_address(tap.subnet, wanted)?,
            (Carrier::Slirp, Some(wanted)) if wanted != tap.address => {
                let what = format!("address {wanted}: slirp4netns gives each container {}", tap.address);
                return Err(Error::unsupported(what).help("leave out --ip, or as root: apt-get install passt"));
            }
            (Carrier::Slirp, _) => tap.address,
        };
        Ok(Tap { address, mac: self.mac, host_gateway: self.host_gateway, ..tap })
    }
}

fn choose_address(subnet: Ipv4Net, wanted: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
    let names = Names { bridge: String::new(), table: String::new() };
    pool::choose_address(&Network::default_on(subnet, &names), &[], wanted)
}

impl Wire for Carried {
    fn prepare(&mut self, _: &State, others: &[Lease], lease: &mut Lease) -> Result<Facts> {
        let carrier = Carrier::find()?;
        let mut tap = self.tap(carrier)?;
        let (name, interface) = (carrier.name().to_owned(), INSIDE.to_owned());
        lease.network.clone_from(&name);
        let address = Some(tap.address);
        lease.endpoints =
            vec![Endpoint { network: name, interface, address, mac: self.mac, gateway: true, ..Endpoint::default() }];
        let reserved = Reserved::take(&self.wanted, false, others)?;
        lease.ports.clone_from(&reserved.ports);
        match carrier {
            // Found free and let go at once: pasta will bind them, and the child must not hold a copy.
            Carrier::Pasta => tap.ports = reserved.ports,
            Carrier::Slirp => self.reserved = reserved,
        }
        let gateway = self.host_gateway.then_some(IpAddr::V4(tap.gateway));
        let reach = Reach::Forwarded(carrier.forwarder(tap.subnet).into());
        self.tap = Some((carrier, tap));
        Ok(Facts { gateway, reach })
    }

    fn connect(&mut self, state: &State, child: &Child, lease: &Lease) -> Result<()> {
        let Some((carrier, tap)) = &self.tap else { return Ok(()) };
        let directory = state.container(&lease.container);
        let container = netns::of_child(child)?;
        let process = carrier.start(tap, container.as_fd(), &directory.join("carrier.log"))?;
        self.process = Some(process);
        relay::start(&directory, container.as_fd(), std::mem::take(&mut self.reserved))
    }

    fn configure(&mut self) -> Result<()> {
        self.reserved = Reserved::default(); // the child's copies: the ports are the relay's
        loopback_up()
    }

    fn hand_over(&mut self) -> Vec<Keep> {
        let process = self.process.take();
        process.map(|process| Keep::Process(Pid::from_raw(process.id().cast_signed()))).into_iter().collect()
    }

    fn disconnect(&mut self, _: &State) -> Result<()> {
        match self.process.take() {
            Some(mut process) => carrier::end(&mut process),
            None => Ok(()),
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = carrier::end(process);
        }
    }
}
