//! The network: what a namespace of one's own keeps out, and what `NET_RAW` gives.
//!
//! Docker's default has `NET_RAW`, for ping. With it a program may send and receive any packet on the container's own
//! links: so it can claim a neighbour's address on a bridge that they share (ARP), but neither see nor touch the host's
//! links. `--cap-drop NET_RAW` closes that; ping works without it, by `net.ipv4.ping_group_range`.

use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use harness::Outcome;

use crate::place::{Case, Place};

/// CVE-2020-15257: a socket without a file belongs to the network namespace.
pub fn abstract_sockets(place: &Place) -> Outcome {
    let name = format!("cooper-escape-{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    let answer = std::thread::spawn(move || {
        for stream in listener.incoming().take(2).flatten() {
            let _ = (&stream).write_all(b"the host's socket");
        }
    });
    let attack = format!("abstract:{name}");
    assert_eq!(place.tries(&[], &[&attack])?, ["ECONNREFUSED"]);
    assert_eq!(place.tries(&["--network", "host"], &[&attack])?, ["the host's socket"]);
    let outside = place.tries_outside(&[&attack])?;
    assert_eq!(outside, ["the host's socket"]);
    answer.join().map_err(|_| "the listener panicked".into())
}

/// Raw sockets, and links.
pub fn raw_sockets(place: &Place) -> Outcome {
    const CLOSED: &[&str] = &["--cap-drop", "NET_RAW"];
    const HOST: &[&str] = &["--network", "host"];
    let case = |attack, held, without, root, ordinary| Case { attack, held, without, root, ordinary };
    place.hold(&[
        case("raw", "done", CLOSED, "EPERM", "EPERM"),
        case("packet", "done", CLOSED, "EPERM", "EPERM"),
        case("links", "lo", CLOSED, "lo", "lo"),
        case("link-down:lo", "EPERM", &["--cap-add", "NET_ADMIN"], "done", "done"),
        // In the host's network it would be the host's packets: root's engine is asked for that by name.
        case("packet", "done", HOST, "done", "EPERM"),
        case("link-down:lo", "EPERM", HOST, "EPERM", "EPERM"),
    ])?;
    // For an ordinary user not even with every capability.
    if place.is_ordinary() {
        let options = ["--network", "host", "--privileged"];
        assert_eq!(place.tries(&options, &["raw", "packet", "link-down:lo"])?, ["EPERM"; 3]);
    }
    Ok(())
}
