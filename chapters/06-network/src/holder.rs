//! Who has a port: the socket's inode from /proc/net, then the process that has it open (proc_pid_net(5)).

use std::fs;

use crate::Protocol;

/// The local state of TCP sockets that linger after their program has closed them (`TIME_WAIT`).
const TIME_WAIT: &str = "06";

/// A few words about who holds `port`, for example `nginx (pid 42)`, as far as it can be seen.
pub fn holder(protocol: Protocol, port: u16) -> Option<String> {
    // A socket of IPv6 holds the port of IPv4 too, unless it says otherwise (ipv6(7)).
    let tables = [format!("/proc/net/{protocol}"), format!("/proc/net/{protocol}6")];
    let sockets = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect::<String>();
    let found: Vec<_> = sockets.lines().filter_map(|line| socket_at(line, port)).collect();
    if let Some(process) = found.iter().find_map(|socket| owner(socket.inode)) {
        return Some(process);
    }
    let lingering = found.iter().any(|socket| socket.state == TIME_WAIT);
    lingering.then(|| "a connection that has just been closed, for a minute at most".to_owned())
}

struct Socket<'a> {
    state: &'a str,
    inode: u64,
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn socket_at(line: &str, port: u16) -> Option<Socket<'_>> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let local = fields.get(1)?.rsplit_once(':')?.1;
    let same = u16::from_str_radix(local, 16).ok()? == port;
    let (state, inode) = (*fields.get(3)?, fields.get(9)?.parse().ok()?);
    same.then_some(Socket { state, inode })
}

fn owner(inode: u64) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?;
    processes.filter_map(Result::ok).find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut fds = fs::read_dir(entry.path().join("fd")).ok()?.filter_map(Result::ok);
        fds.find(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()))?;
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some(format!("{} (pid {pid})", name.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_net() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 31337 1 0 100 0";
        let socket = socket_at(line, 8080).unwrap();
        assert_eq!((socket.state, socket.inode), ("0A", 31337));
        assert!(socket_at(line, 80).is_none());
        assert!(socket_at("  sl  local_address rem_address   st", 8080).is_none());
    }
}
