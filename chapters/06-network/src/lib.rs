//! Chapter 6: a network.
//!
//! | module | what it is |
//! |---|---|
//! | [`netlink`] | links, addresses and routes: a typed socket, a method per verb |
//! | [`Network`], [`pool`] | a network's description; a free subnet and free addresses |
//! | [`state`] | who has which address and port, as files under a lock |
//! | [`nft`] | the firewall's rules, rendered whole from the state |
//! | [`Reserved`] | published ports are taken on the host |
//! | [`wire`] | how a container is connected: `bridge` (root), `pasta` (without), none, host, another container's |
//! | [`Resolv`], `files` | `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf` |
//! | [`Net`] | the stage: all of the above for one container |
//!
//! Networks of the user's own will be more [`Network`]s beside the default one: [`nft::render`] takes a
//! list of them, and a [`Lease`] names its own. Their name server will be one more kind of
//! [`resolv::Reach`]. IPv6 will be a second subnet of a [`Network`]; the socket and the table
//! (family `inet`) know it already.

mod args;
pub mod bridge;
pub mod commands;
mod doctor;
mod fallback;
mod files;
mod holder;
mod join;
mod mac;
mod mode;
mod net;
pub mod netlink;
mod network;
pub mod nft;
mod pasta;
pub mod pool;
mod ports;
mod reserve;
pub mod resolv;
pub mod state;
#[allow(unsafe_code)]
mod sys;
mod sysctl;
pub mod wire;

pub use args::{ExtraHost, NetworkArgs};
pub use commands::{NetworkCommand, sweep_gone};
pub use doctor::doctor;
pub use mac::Mac;
pub use mode::Mode;
pub use net::Net;
pub use network::{Names, Network};
pub use ports::{HostPort, Port, Protocol, Publish, Wanted};
pub use process::{Error, Result};
pub use reserve::Reserved;
pub use resolv::Resolv;
pub use state::Lease;
