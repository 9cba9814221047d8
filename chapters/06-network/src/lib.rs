//! Chapter 6: a network.
//!
//! | module | what it is |
//! |---|---|
//! | [`netlink`], [`netns`] | links, addresses and routes: a typed socket, a method per verb; and in another namespace |
//! | [`Network`], [`pool`] | a network's description; a free subnet and free addresses |
//! | [`Lease`], [`Endpoint`], [`state`] | who has which place in which network, and which ports: files under a lock |
//! | [`plug`], [`bridge`], [`drivers`] | what each driver makes on the host and in the container |
//! | [`inside`] | addresses and routes in the container |
//! | [`nft`] | the firewall's rules, rendered whole from the state |
//! | [`Reserved`] | published ports are taken on the host |
//! | [`wire`] | how a container is connected: [`wired`], [`carried`] (without root), none, host, another container's |
//! | [`ground`], [`keeper`], [`apart`] | where links and rules are: the host, or an ordinary user's own network namespace |
//! | [`carrier`] | pasta or slirp4netns: an ordinary user's way out |
//! | [`relay`] | an ordinary user's published ports |
//! | [`connect`] | places in networks come and go while a container runs |
//! | [`sweep`] | links and rules follow the leases; what a killed engine left is cleared |
//! | [`Resolv`], `files` | `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf` |
//! | [`dns`] | names: the server on 127.0.0.11 in each container of a network that somebody made |
//! | [`Net`] | the stage: all of the above for one container |
//! | [`commands`] | `network create`, `ls`, `inspect`, `rm`, `connect`, `disconnect`, `prune` |

pub mod apart;
mod args;
mod attachment;
mod attend;
pub mod bridge;
pub mod carried;
pub mod carrier;
pub mod commands;
pub mod connect;
pub mod dns;
mod doctor;
mod driver;
pub mod drivers;
mod endpoint;
mod fallback;
mod files;
pub mod ground;
mod holder;
pub mod inside;
mod join;
pub mod keeper;
mod lease;
mod mac;
mod mode;
mod net;
pub mod netlink;
pub mod netns;
mod network;
pub mod nft;
mod pasta;
pub mod plug;
pub mod pool;
mod ports;
pub mod relay;
mod reserve;
pub mod resolv;
mod slirp;
pub mod state;
pub mod sweep;
#[allow(unsafe_code)]
mod sys;
mod sysctl;
pub mod wire;
pub mod wired;

pub use args::{ExtraHost, NetworkArgs};
pub use attachment::Attachment;
pub use attend::attend_if_asked;
pub use commands::{NetworkCommand, sweep_gone};
pub use doctor::doctor;
pub use driver::Driver;
pub use endpoint::{Endpoint, EndpointOptions};
pub use lease::Lease;
pub use mac::Mac;
pub use mode::Mode;
pub use net::Net;
pub use network::{Names, Network};
pub use ports::{HostPort, Port, Protocol, Publish, Wanted};
pub use process::{Error, Result};
pub use reserve::Reserved;
pub use resolv::Resolv;
