//! A subnet that nobody has.
//!
//! An engine makes a new network, and its user did not say which addresses it should have. The engine has pools, as
//! Docker has them in `default-address-pools`: a range of addresses, and the length of the subnets that are cut from
//! it. It takes the first subnet of the first pool that overlaps nothing that is in use: no network of its own, and no
//! route of this host. Otherwise the new network would cut the host off from whatever was there.
//!
//! `free_subnet` reads lines from its standard input, asks the kernel for the routes, prints the subnet and ends with
//! exit code 0; or with 1 if no subnet is free:
//! ```text
//! pool 10.210.0.0/16 24
//! pool 172.24.0.0/14 16
//! network 10.210.0.0/24
//! ```
//! Write [`choose`]. By hand, after `cargo build -p lab06`, in an ordinary shell:
//! `printf 'pool 10.210.0.0/16 24\n' | target/debug/free_subnet`.
//! Read: the book, chapter 6, "Which subnet?".

#![allow(unused, reason = "until the gap is filled")]

use std::io;
use std::process::ExitCode;

use ipnet::{IpNet, Ipv4Net};
use network::netlink::Netlink;
use process::Result;

/// Where subnets come from.
struct Pool {
    range: Ipv4Net,
    /// Of the subnets: 24 for 256 addresses each.
    length: u8,
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| process::cli::report(&error))
}

fn run() -> Result<ExitCode> {
    let (mut pools, mut used) = (Vec::new(), routes()?);
    for line in io::stdin().lines().map_while(io::Result::ok) {
        let net = |text: &str| text.parse().expect("a range of addresses, as 10.210.0.0/16");
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["pool", range, length] => {
                pools.push(Pool { range: net(range), length: length.parse().expect("a length") });
            }
            ["network", subnet] => used.push(net(subnet)),
            _ => panic!("neither `pool RANGE LENGTH` nor `network SUBNET`: {line:?}"),
        }
    }
    let Some(subnet) = choose(&pools, &used) else {
        eprintln!("no subnet is free");
        return Ok(ExitCode::FAILURE);
    };
    println!("{subnet}");
    Ok(ExitCode::SUCCESS)
}

/// Where this host's routes lead to; a default route is 0.0.0.0/0.
fn routes() -> Result<Vec<Ipv4Net>> {
    let routes = Netlink::open()?.routes()?.into_iter();
    let of_four = routes.filter_map(|route| if let IpNet::V4(net) = route.destination { Some(net) } else { None });
    Ok(of_four.collect())
}

/// The first subnet of the first pool that overlaps nothing of what is used.
fn choose(pools: &[Pool], used: &[Ipv4Net]) -> Option<Ipv4Net> {
    todo!("one of {} pools, free of {} networks and routes", pools.len(), used.len())
}
