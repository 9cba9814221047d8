//! The switches of the kernel that a bridge with published ports needs (ip-sysctl).

use std::fs;

use process::{Error, OrCall, Result, explain};

/// Lets the kernel pass packets on between links, which makes the host a router.
///
/// Only switched on, and only when a container is about to need it; never off again: by then others
/// (another engine, a virtual machine, a VPN) may count on it, and they saw it on when they looked.
///
/// # Errors
/// `EROFS` where /proc/sys is read-only, as inside another container.
pub fn enable_forwarding() -> Result<()> {
    switch("/proc/sys/net/ipv4/ip_forward", "this host becomes a router for its containers")
}

/// The same for IPv6.
///
/// A host that forwards no longer heeds the announcements of its own routers, and would lose its way out, unless it is
/// told to (`accept_ra` 2, ip-sysctl): links that heed them go on doing so.
///
/// # Errors
/// As [`enable_forwarding`]; `ENOENT` on a kernel without IPv6.
pub fn enable_forwarding6() -> Result<()> {
    let all = "/proc/sys/net/ipv6/conf/all/forwarding";
    if is_on(all) {
        return Ok(());
    }
    for link in fs::read_dir("/proc/sys/net/ipv6/conf").into_iter().flatten().flatten() {
        let accept = link.path().join("accept_ra");
        let accept = accept.to_string_lossy();
        if is_on(&accept) {
            fs::write(accept.as_ref(), "2").or_call("write", &accept)?;
        }
    }
    switch(all, "this host becomes a router for its containers' IPv6")
}

/// Sees to it that link `name` may have IPv6 addresses, which hosts without IPv6 of their own often forbid.
///
/// # Errors
/// As [`enable_forwarding`]; [`Kind::Unsupported`](process::Kind::Unsupported) on a kernel without IPv6.
pub fn enable_ipv6(name: &str) -> Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    if !fs::exists(&path).unwrap_or_default() {
        return Err(Error::unsupported("this kernel has no IPv6").help("make the network without --ipv6"));
    }
    if is_on(&path) { fs::write(&path, "0").or_call("write", &path) } else { Ok(()) }
}

/// Lets packets from 127.0.0.1 leave by link `name`: how a port published on 127.0.0.1 is reached.
///
/// # Errors
/// As [`enable_forwarding`].
pub fn enable_route_localnet(name: &str) -> Result<()> {
    let path = format!("/proc/sys/net/ipv4/conf/{name}/route_localnet");
    switch(&path, "published ports answer on 127.0.0.1 too")
}

/// Is forwarding on?
pub fn forwarding() -> bool {
    is_on("/proc/sys/net/ipv4/ip_forward")
}

fn switch(path: &str, why: &str) -> Result<()> {
    if is_on(path) {
        return Ok(());
    }
    fs::write(path, "1").or_call("write", path).map_err(|error: Error| {
        error
            .help("/proc/sys is read-only inside an unprivileged container; let the host set it, or use --network host")
    })?;
    explain!(6, why, "write(\"{path}\", 1)");
    Ok(())
}

fn is_on(path: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|value| value.trim() == "1")
}
