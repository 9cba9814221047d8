//! The three switches of the kernel that a bridge with published ports needs (ip-sysctl).

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
