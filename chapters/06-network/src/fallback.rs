//! What the default network needs, and what happens where that is missing.
//!
//! Who asks for a network by an option gets it or an error. Who asks for nothing in particular wants the
//! program to run: on a machine without nft, pasta or slirp4netns it does, with the loopback link alone, and is told so.

use colored::Colorize;
use namespaces::{find_program, rootless};
use process::{Error, Result};

use crate::carrier::Carrier;
use crate::{Mode, NetworkArgs};

/// Chooses `none` for a container whose options ask for no network, where the default one cannot be had.
pub fn settle(args: &mut NetworkArgs) {
    let asked_for = !args.network.is_empty() || args.needs_network();
    if asked_for {
        return;
    }
    if let Err(error) = available() {
        let mend = error.way_out().map(|help| format!("\n  {} {help}", "help:".green().bold())).unwrap_or_default();
        eprintln!("{} no network but the loopback link: {}{mend}", "warning:".yellow().bold(), error.what());
        args.network = vec![Mode::None.into()];
    }
}

/// Can this user have the default network?
///
/// # Errors
/// [`Kind::Unsupported`](process::Kind::Unsupported) with what is missing and the command that mends it.
pub fn available() -> Result<()> {
    if !rootless::is_rootless() {
        return match find_program("nft") {
            Some(_) => Ok(()),
            None => Err(Error::unsupported("the program nft is not installed").help("apt-get install nftables")),
        };
    }
    Carrier::find().map(drop)
}
